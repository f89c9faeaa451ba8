"""The writer: deterministic bytes, resuming, refusing, and what it reports."""

import errno
import json
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import shards, write
from data_prep.metadata import features
from data_prep.shards import plan_shards, read_part, write_shard
from data_prep.write import write_split
from tests.prepared_sets import ToyFrame, ToyVideo, contents, toy_plan, toy_set
from vos_jax.core.errors import AnnotationError, ConfigError, OutputError
from vos_jax.data.frames import Frame, encode_frame
from vos_jax.data.index import FrameIndex
from vos_jax.data.records import RecordSet


@pytest.fixture
def whole(tmp_path_factory):
    """Contents of the default toy set in three shards, written without disturbance."""
    return contents(toy_set(tmp_path_factory.mktemp("undisturbed"), shards=3))


def jobs_of(output: Path, count: int = 3):
    """The jobs of the default toy set."""
    plan = toy_plan()
    return plan_shards(plan.videos, output, plan.dataset, plan.split, count)


class TestPlan:
    """Dealing videos onto shards."""

    @given(st.integers(1, 40), st.integers(1, 50))
    def test_every_video_once_in_order_and_no_empty_shard(self, videos, count):
        named = [ToyVideo(str(number)) for number in range(videos)]
        jobs = plan_shards(named, Path("out"), "toy", "train", count)
        assert [video for job in jobs for video in job.videos] == named
        sizes = [len(job.videos) for job in jobs]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert len(jobs) == min(videos, count)
        assert all((job.shard, job.shards) == (n, len(jobs)) for n, job in enumerate(jobs))

    def test_jobs_pickle(self, tmp_path):
        job = jobs_of(tmp_path)[1]
        assert pickle.loads(pickle.dumps(job)) == job

    def test_default_number_of_shards_follows_the_frames(self, tmp_path, monkeypatch):
        monkeypatch.setattr(write, "FRAMES_PER_SHARD", 4)
        assert write_split(toy_plan(), tmp_path).shards == 4


class TestBytes:
    """Bytes depend on the input and nothing else."""

    def test_processes_make_no_difference(self, tmp_path, whole):
        write_split(toy_plan(), tmp_path / "two", 3, processes=2)
        assert contents(tmp_path / "two") == whole

    def test_order_and_repetition_of_jobs_make_no_difference(self, tmp_path, whole):
        jobs = jobs_of(tmp_path)
        for job in (jobs[2], jobs[0], jobs[2], jobs[1], jobs[0]):
            write_shard(job)
        write_split(toy_plan(), tmp_path, 3)
        assert contents(tmp_path) == whole

    def test_a_job_needs_nothing_but_itself(self, tmp_path, whole):
        job = pickle.loads(pickle.dumps(jobs_of(tmp_path)[1]))
        assert write_shard(job)
        assert job.path.read_bytes() == whole[job.path.name]

    @given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 6))
    @settings(max_examples=15, deadline=None)
    def test_any_set_reads_back(self, tmp_path_factory, lengths, count):
        videos = [ToyVideo(f"v{number}", length) for number, length in enumerate(lengths)]
        found = RecordSet(toy_set(tmp_path_factory.mktemp("any"), *videos, shards=count), "train")
        assert [video.frames for video in found.videos] == lengths
        for number in range(len(found)):
            row = found.index.frames[number]
            frame = found[number]
            assert (found.videos[int(row["video"])].name, row["time"]) == (frame.video, frame.time)


class TestResuming:
    """Killed, rerun, changed."""

    @pytest.mark.parametrize("survivors", [0, 1, 2])
    def test_killed_between_shards(self, tmp_path, whole, monkeypatch, survivors):
        real, calls = write.write_shard, []

        def killed(job, tick):
            if len(calls) == survivors:
                raise KeyboardInterrupt
            calls.append(job)
            return real(job, tick)

        monkeypatch.setattr(write, "write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            write_split(toy_plan(), tmp_path, 3)
        monkeypatch.setattr(write, "write_shard", real)
        assert write_split(toy_plan(), tmp_path, 3).shards_kept == survivors
        assert contents(tmp_path) == whole

    @pytest.mark.parametrize("frame", [0, 4, 14])
    def test_killed_inside_a_shard(self, tmp_path, whole, monkeypatch, frame):
        real, calls = ToyFrame.load, []

        def killed(self):
            calls.append(self)
            if len(calls) == frame + 1:
                raise KeyboardInterrupt
            return real(self)

        monkeypatch.setattr(ToyFrame, "load", killed)
        with pytest.raises(KeyboardInterrupt):
            write_split(toy_plan(), tmp_path, 3)
        assert not list(tmp_path.rglob("*.tmp"))
        monkeypatch.setattr(ToyFrame, "load", real)
        write_split(toy_plan(), tmp_path, 3)
        assert contents(tmp_path) == whole

    def test_killed_outright_leaves_files_that_are_cleared(self, tmp_path, whole):
        name = "toy-train.tfrecord-00000-of-00003.abc.tmp"
        parts = FrameIndex.folder(tmp_path, "train") / "parts"
        parts.mkdir(parents=True)
        for folder in (tmp_path, parts):
            (folder / name).write_bytes(b"half")
        write_split(toy_plan(), tmp_path, 3)
        assert contents(tmp_path) == whole

    def test_another_splits_temporary_files_are_left(self, tmp_path):
        other = tmp_path / "toy-val.tfrecord-00000-of-00003.abc.tmp"
        other.write_bytes(b"being written")
        write_split(toy_plan(), tmp_path, 3)
        assert other.exists()

    def test_a_finished_set_is_not_read_again(self, tmp_path, whole, monkeypatch):
        write_split(toy_plan(), tmp_path, 3)
        monkeypatch.setattr(ToyFrame, "load", None)
        report = write_split(toy_plan(), tmp_path, 3)
        assert (report.shards_kept, report.written) == (3, 15)
        assert contents(tmp_path) == whole

    @pytest.mark.parametrize("spoil", ["shard", "shard size", "part", "part garbage"])
    def test_spoilt_shards_are_written_again(self, tmp_path, whole, spoil):
        write_split(toy_plan(), tmp_path, 3)
        job = jobs_of(tmp_path)[1]
        path = job.part_path if "part" in spoil else job.path
        path.write_bytes(path.read_bytes()[:-7]) if " " in spoil else path.unlink()
        assert write_split(toy_plan(), tmp_path, 3).shards_kept == 2
        assert contents(tmp_path) == whole

    def test_a_changed_input_file_is_noticed(self, tmp_path):
        source = tmp_path / "input"
        source.write_bytes(b"one")
        videos = [ToyVideo("a", path=source), ToyVideo("b")]
        toy_set(tmp_path / "set", *videos)
        assert write_split(toy_plan(*videos), tmp_path / "set", 2).shards_kept == 2
        source.write_bytes(b"three")
        assert write_split(toy_plan(*videos), tmp_path / "set", 2).shards_kept == 1
        os.utime(source, (1, 1))
        assert write_split(toy_plan(*videos), tmp_path / "set", 2).shards_kept == 1
        source.unlink()
        assert write_split(toy_plan(*videos), tmp_path / "set", 2).shards_kept == 1

    def test_a_changed_source_is_noticed(self, tmp_path):
        toy_set(tmp_path, ToyVideo("a"), ToyVideo("b"))
        report = write_split(toy_plan(ToyVideo("a"), ToyVideo("b", failing=(1,))), tmp_path, 2)
        assert (report.shards_kept, report.written) == (1, 5)
        assert [video.frames for video in RecordSet(tmp_path, "train").videos] == [3, 2]

    def test_no_index_stays_beside_rewritten_shards(self, tmp_path, monkeypatch):
        toy_set(tmp_path, ToyVideo("a"), ToyVideo("b"))
        (job, _) = plan_shards([ToyVideo("a", 2), ToyVideo("b")], tmp_path, "toy", "train", 2)
        write_shard(job)
        assert not (FrameIndex.folder(tmp_path, "train") / "frames.npy").exists()


class TestRefusing:
    """Outputs and plans that cannot work."""

    def test_another_number_of_shards(self, tmp_path):
        toy_set(tmp_path, shards=2)
        with pytest.raises(OutputError, match="in 2 shards, not 3: give --shards 2"):
            write_split(toy_plan(), tmp_path, 3)

    def test_another_data_set(self, tmp_path):
        toy_set(tmp_path)
        (tmp_path / "dataset_info.json").write_text('{"name": "coco"}')
        with pytest.raises(OutputError, match="holds the data set coco"):
            write_split(toy_plan(), tmp_path, 2)

    @pytest.mark.parametrize("content", ["", "[]", "{}"])
    def test_garbage_metadata(self, tmp_path, content):
        (tmp_path / "dataset_info.json").write_text(content)
        with pytest.raises(OutputError, match="garbage"):
            write_split(toy_plan(), tmp_path, 2)

    @pytest.mark.parametrize(("count", "processes"), [(0, 1), (100000, 1), (1, 0), (-1, 1)])
    def test_impossible_numbers(self, tmp_path, count, processes):
        with pytest.raises(ConfigError, match="--shards"):
            write_split(toy_plan(), tmp_path, count, processes)

    def test_nothing_to_write(self, tmp_path):
        plan = write.SplitPlan("toy", "train", [])
        with pytest.raises(AnnotationError, match="lists no images"):
            write_split(plan, tmp_path)

    def test_one_name_twice(self, tmp_path):
        with pytest.raises(AnnotationError, match="lists a twice"):
            write_split(toy_plan(ToyVideo("a"), ToyVideo("a")), tmp_path)

    def test_output_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(OutputError, match="file/set cannot be written"):
            toy_set(tmp_path / "file" / "set")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_a_full_or_read_only_disk(self, tmp_path, monkeypatch, number):
        def fail(descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(shards.os, "fsync", fail)
        expected = rf"00000-of-00002 cannot be written \({os.strerror(number)}\).*same command"
        with pytest.raises(OutputError, match=expected):
            toy_set(tmp_path)
        assert not list(tmp_path.rglob("*.tmp"))
        assert not list(tmp_path.glob("*tfrecord*"))

    def test_an_error_in_a_worker_process_comes_through(self, tmp_path):
        (tmp_path / "index").write_text("in the way")
        with pytest.raises(OutputError, match="cannot be written"):
            write_split(toy_plan(), tmp_path, 3, processes=2)


class TestRejecting:
    """Frames that cannot be read."""

    def test_rejected_frames_are_left_out_and_reported(self, tmp_path):
        videos = [ToyVideo("a", failing=(0, 2)), ToyVideo("b"), ToyVideo("c", failing=(0, 1, 2))]
        report = write_split(toy_plan(*videos), tmp_path, 2)
        assert (report.read, report.written, report.videos, report.objects) == (9, 4, 2, 8)
        assert [source for source, _ in report.rejected] == [
            "a/00000.jpg",
            "a/00002.jpg",
            *(f"c/0000{t}.jpg" for t in range(3)),
        ]
        found = RecordSet(tmp_path, "train")
        assert [(video.name, video.frames) for video in found.videos] == [("a", 1), ("b", 3)]
        assert found.frame("a", 0).time == 1

    def test_the_report_is_the_same_after_a_rerun(self, tmp_path):
        plan = toy_plan(ToyVideo("a", failing=(0,)), ToyVideo("b"))
        first, second = (write_split(plan, tmp_path, 2) for _ in range(2))
        assert (
            first.rejected
            == second.rejected
            == [("a/00000.jpg", "a/00000.jpg is broken on purpose")]
        )
        saved = json.loads((tmp_path / "report-train.json").read_text())
        assert saved["rejected"] == [list(pair) for pair in second.rejected]
        assert (saved["read"], saved["written"], saved["shards_kept"]) == (6, 5, 2)

    def test_frames_of_another_size_than_their_video(self, tmp_path, monkeypatch):
        real = ToyFrame.load

        def load(self):
            frame = real(self)
            object.__setattr__(frame, "height", 24 + self.time // 2)
            return frame

        monkeypatch.setattr(ToyFrame, "load", load)
        report = write_split(toy_plan(), tmp_path, 1)
        assert report.written == 10
        assert (
            "video0/00002.jpg is 25x32 pixels but its video began with 24x32"
            in (report.rejected[0][1])
        )

    def test_a_split_with_nothing_usable_is_an_empty_set(self, tmp_path):
        report = write_split(toy_plan(ToyVideo("a", failing=(0, 1, 2))), tmp_path)
        assert (report.read, report.written, report.videos) == (3, 0, 0)
        assert len(RecordSet(tmp_path, "train")) == 0

    def test_plan_rejections_come_first(self, tmp_path):
        plan = toy_plan(ToyVideo("a", failing=(0,)))
        plan.__dict__["rejected"] = [("x", "not listed")]
        assert [source for source, _ in write_split(plan, tmp_path).rejected] == [
            "x",
            "a/00000.jpg",
        ]

    def test_the_text_lists_the_first_and_counts_the_rest(self, tmp_path):
        failing = tuple(range(12))
        text = write_split(toy_plan(ToyVideo("a", 13, failing=failing)), tmp_path).text()
        assert "read 13 frames, wrote 1 of 1 videos (1 annotated, 2 objects), rejected 12" in text
        assert text.count("on purpose") == 10
        assert "12 in all (12 in a)" in text


class TestTfds:
    """The folder as tfds sees it."""

    def test_builder_loads_splits_features_and_names(self, tmp_path):
        output = toy_set(tmp_path, shards=3)
        write_split(toy_plan(ToyVideo("x", 1), split="test-dev"), output)
        builder = tfds.builder_from_directory(output)
        assert builder.info.full_name == "toy/1.0.0"
        split = builder.info.splits["train"]
        assert split.shard_lengths == [3, 6, 6]
        assert split.num_bytes == sum(path.stat().st_size for path in output.glob("toy-train*"))
        assert [path.name for path in map(Path, split.filepaths)] == sorted(
            path.name for path in output.glob("toy-train*")
        )
        assert builder.info.splits["test-dev"].num_examples == 1
        assert str(builder.info.features) == str(features())
        assert dict(builder.info.metadata["categories"]) == {"7": "cat", "9": "dog"}

    def test_records_have_the_features_of_the_schema(self):
        """Ours decode with tfds's own serialiser, byte for byte the same message."""
        frame = ToyFrame("v", 3).load()
        objects = frame.objects
        rows = {
            "id": objects.ids,
            "category": objects.categories,
            "area": objects.areas,
            "box": objects.boxes,
            "crowd": objects.crowds,
        }
        example = {
            "video": frame.video,
            "frame": frame.name,
            "time": frame.time,
            "source": frame.source,
            "image": frame.image,
            "height": frame.height,
            "width": frame.width,
            "annotated": frame.annotated,
            "mask": frame.mask,
            "objects": rows,
            "rles": [],
        }
        specs = features().get_serialized_info()
        serializer = tfds.core.example_serializer.ExampleSerializer(specs)
        message = serializer.get_tf_example(example)
        assert message.SerializeToString(deterministic=True) == encode_frame(frame)

    def test_metadata_of_splits_adds_up(self, tmp_path):
        toy_set(tmp_path)
        plan = toy_plan(ToyVideo("x"), split="val")
        plan.categories.clear()
        write_split(plan, tmp_path)
        info = json.loads((tmp_path / "dataset_info.json").read_text())
        assert [split["name"] for split in info["splits"]] == ["train", "val"]
        assert json.loads((tmp_path / "metadata.json").read_text())["categories"]["7"] == "cat"


def test_memory_holds_one_frame_however_long_the_shard(tmp_path, monkeypatch):
    size = 1 << 20

    def load(self):
        return Frame(self.video, f"{self.time:05d}", self.time, self.source, bytes(size), 4, 4)

    monkeypatch.setattr(ToyFrame, "load", load)
    (job,) = plan_shards([ToyVideo("long", 64)], tmp_path, "toy", "train", 1)
    tracemalloc.start()
    try:
        write_shard(job)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert job.path.stat().st_size > 64 * size
    assert peak < 8 * size


def test_parts_of_other_settings_do_not_count(tmp_path):
    job = jobs_of(tmp_path)[0]
    write_shard(job)
    part = read_part(job)
    assert part.read == len(part.index.frames) == 3
    assert np.array_equal(part.index.videos["name"], [b"video0"])
    renamed = shards.ShardJob(job.output, job.dataset, job.split, 0, 3, (ToyVideo("z"),))
    assert write_shard(renamed)
    assert not write_shard(renamed)
