"""Looking into a prepared set: counts against brute force, verification, the command."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep import inspect
from data_prep.contact_sheet import GAP, LINE
from data_prep.summary import count_objects, objects_text, split_text, videos_text
from data_prep.write import write_split
from tests.drawn_sets import CATEGORIES, DrawnVideo, drawn
from tests.prepared_sets import SIZE, ToyVideo, toy_plan, toy_set
from vos_jax.core.commands import run_command
from vos_jax.core.errors import RecordError
from vos_jax.data.records import RecordSet

ROOT = Path(__file__).resolve().parents[3]


class TestSummary:
    """Counts against the records themselves."""

    @given(
        st.lists(
            st.lists(
                st.none() | st.dictionaries(st.integers(1, 5), st.just((1, 1, 5, 5)), max_size=4),
                min_size=1,
                max_size=4,
            ),
            min_size=1,
            max_size=4,
        ),
        st.integers(1, 3),
    )
    @settings(max_examples=15, deadline=None)
    def test_counts_are_those_of_the_records(self, tmp_path_factory, content, shards):
        videos = [
            DrawnVideo(f"v{n}", tuple(boxes), (40 + n, 60)) for n, boxes in enumerate(content)
        ]
        records = drawn(tmp_path_factory.mktemp("any"), *videos, shards=shards)
        frames = [records[number] for number in range(len(records))]
        pairs = {(frame.video, number) for frame in frames for number in frame.objects.ids.tolist()}
        annotated = [frame for frame in frames if frame.annotated]
        assert count_objects(records) == len(pairs)
        text = split_text(records, CATEGORIES)
        masks = sum(len(frame.objects) for frame in frames)
        size = sum(path.stat().st_size for path in records.path.glob("*tfrecord*"))
        assert text.splitlines()[0] == (
            f"train: {len(videos)} videos, {len(frames)} frames ({len(annotated)} annotated), "
            f"{len(pairs)} objects ({masks} masks), {size / 1e6:.1f} MB in "
            f"{min(shards, len(videos))} shards"
        )
        bins = [line.split()[:2] for line in text.partition("annotated frame:\n")[2].splitlines()]
        numbers = [len(frame.objects) for frame in annotated]
        expected = [[str(n), str(numbers.count(n))] for n in range(1 + max(numbers, default=-1))]
        assert bins == expected

    def test_sizes_are_by_area_and_their_median_by_frames(self, tmp_path):
        sizes = {"a": ((60, 40), 1), "b": ((20, 30), 1), "c": ((40, 50), 7)}
        videos = [DrawnVideo(name, ({},) * n, size) for name, (size, n) in sizes.items()]
        text = split_text(drawn(tmp_path, *videos), {})
        assert "image height x width: 20x30 to 60x40, median 40x50" in text
        assert "frames per video: 1 to 7, median 1" in text

    def test_equal_values_are_said_once(self, tmp_path):
        text = split_text(RecordSet(toy_set(tmp_path), "train"), CATEGORIES)
        assert "frames per video: 3\n" in text
        assert "image height x width: 24x32\n" in text

    def test_categories_by_name_the_frequent_first(self, tmp_path):
        box = (1, 1, 5, 5)
        records = drawn(tmp_path, DrawnVideo("a", ({1: box, 2: box, 3: box}, {2: box, 1: box})))
        assert "2 categories, by masks: cat 3, dog 2" in split_text(records, CATEGORIES)
        assert "by masks: 7 3, dog 2" in split_text(records, {9: "dog"})

    def test_many_objects_share_the_last_line(self, tmp_path):
        boxes = [{n: (1, 1, 5, 5) for n in range(1, 1 + count)} for count in (12, 13, 20, 2)]
        lines = split_text(drawn(tmp_path, DrawnVideo("a", tuple(boxes))), {}).splitlines()
        assert lines[-1].split() == ["12+", "3", "#" * 40]
        assert lines[-11].split() == ["2", "1", "#" * 14]

    def test_no_annotation_no_histogram(self, tmp_path):
        text = split_text(drawn(tmp_path, DrawnVideo("a", (None, None))), {})
        assert "(0 annotated), 0 objects (0 masks)" in text
        assert "#" not in text and "categories" not in text


class TestTables:
    """Ids per video."""

    def test_videos_with_their_ids(self, tmp_path):
        box = (1, 1, 5, 5)
        records = drawn(
            tmp_path,
            DrawnVideo("long/name", ({2: box}, None, {5: box, 2: box})),
            DrawnVideo("b", (None,), (50, 70)),
            DrawnVideo("c", ({n: box for n in range(1, 15)},)),
        )
        assert videos_text(records, [0, 1, 2]).splitlines() == [
            "  video      height x width  frames  annotated  object ids",
            "  long/name  40x60           3       2          2, 5",
            "  b          50x70           1       0          -",
            "  c          40x60           1       1          "
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ... 4 more",
        ]
        assert videos_text(records, [1]).splitlines()[-1].startswith("  ... and 2 more (--videos")

    def test_ids_of_one_video(self, tmp_path):
        small, large = (0, 0, 2, 5), (0, 0, 10, 10)
        records = drawn(
            tmp_path,
            DrawnVideo("a", ({9: large},)),
            DrawnVideo("b", ({}, {4: small}, {4: large, 11: small}, {4: small}, {})),
        )
        assert objects_text(records, 1, CATEGORIES).splitlines() == [
            "  id  category  masks  from  to  area in pixels",
            "  4   dog       3      1     3   10 to 100, median 10",
            "  11  cat       1      2     2   10",
        ]


class TestVerify:
    """Every record is read."""

    def test_a_whole_set(self, tmp_path, capsys):
        inspect.verify(RecordSet(toy_set(tmp_path), "train"))
        said = capsys.readouterr()
        assert said.out == "train: all 15 records are whole\n"
        assert "100%" in said.err and "B/s" in said.err

    @given(st.integers(0, 14), st.floats(0, 1, exclude_max=True))
    @settings(max_examples=25, deadline=None)
    def test_any_flipped_byte_is_found(self, tmp_path_factory, number, place):
        records = RecordSet(toy_set(tmp_path_factory.mktemp("set")), "train")
        row = records.index.frames[number]
        path = sorted(records.path.glob("*tfrecord*"))[row["shard"]]
        content = bytearray(path.read_bytes())
        at = int(row["offset"]) + int(place * int(row["length"]))
        content[at] ^= 0x40
        path.write_bytes(content)
        expected = rf"1 of 15 records are unusable: {path}: record at byte {row['offset']} "
        with pytest.raises(RecordError, match=expected):
            inspect.verify(records)

    def test_a_cut_shard_lists_the_first_and_counts_all(self, tmp_path, monkeypatch):
        monkeypatch.setattr(inspect, "LISTED_ERRORS", 2)
        records = RecordSet(toy_set(tmp_path, shards=1), "train")
        path = next(records.path.glob("*tfrecord*"))
        path.write_bytes(path.read_bytes()[: int(records.index.frames[10]["offset"])])
        with pytest.raises(RecordError, match="^5 of 15 records are unusable") as caught:
            inspect.verify(records)
        assert str(caught.value).count("record at byte") == 2

    @pytest.mark.parametrize("table", ["frames", "videos"])
    def test_a_whole_record_that_is_not_the_indexed_one(self, tmp_path, table):
        records = RecordSet(toy_set(tmp_path), "train")
        tables = {name: np.array(getattr(records.index, name)) for name in ("frames", "videos")}
        if table == "frames":
            tables["frames"]["time"][4] = 9
            expected = r"frame 4 is video1 1, not \('video1', 9\)"
        else:
            tables["videos"]["name"][1] = b"other"
            expected = r"3 of 15 .* frame 3 is video1 0, not \('other', 0\)"
        records.index = dataclasses.replace(records.index, **tables)
        with pytest.raises(RecordError, match=expected):
            inspect.verify(records)


class TestCommand:
    """`python -m data_prep.inspect`."""

    def call(self, capsys, *arguments) -> tuple[int, str, str]:
        """Exit code, output and last line of errors."""
        code = run_command(inspect.main, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, (said.err.splitlines() or [""])[-1]

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        """A set of two splits."""
        folder = toy_set(tmp_path / "set")
        write_split(toy_plan(ToyVideo("lone", 1), split="val"), folder)
        return folder

    def test_all_splits_or_one(self, folder, capsys):
        code, both, _ = self.call(capsys, folder)
        assert code == 0
        assert both.startswith(f"{folder}: toy\ntrain: 5 videos, 15 frames")
        assert "\nval: 1 videos, 1 frames" in both and "2 categories, by masks: cat 15" in both
        code, one, _ = self.call(capsys, folder, "--split", "val")
        assert code == 0 and "train" not in one

    def test_picture_and_verification(self, folder, tmp_path, capsys):
        path = tmp_path / "sheet.png"
        options = ["--output", path, "--verify", "--videos", 2, "--frames", 3, "--side", 64]
        code, said, _ = self.call(capsys, folder, *options)
        assert code == 0
        assert "train: all 15 records are whole" in said and "val: all 1 records" in said
        row = 64 * SIZE[0] // SIZE[1] + 2 * LINE + GAP
        height, width = 3 * row + GAP, 3 * (64 + GAP) + GAP
        assert f"contact sheet: {path} ({height}x{width})" in said
        with Image.open(path) as image:
            assert image.size == (width, height)

    def test_one_video_of_whatever_split_has_it(self, folder, tmp_path, capsys):
        path = tmp_path / "sheet.png"
        code, said, _ = self.call(capsys, folder, "--video", "lone", "--output", path)
        assert code == 0
        assert "  lone   24x32           1       1          1, 2\n" in said
        assert "  1   cat       1      0     0   15\n" in said
        assert "video0" not in said
        with Image.open(path) as image:
            assert image.width == 300 + 2 * GAP

    def test_a_split_with_nothing_usable(self, tmp_path, capsys):
        folder = toy_set(tmp_path / "set", ToyVideo("a", failing=(0, 1, 2)))
        code, said, _ = self.call(capsys, folder, "--verify")
        assert code == 0
        assert "train: 0 videos, 0 frames (0 annotated), 0 objects (0 masks), 0.0 MB" in said
        code, _, error = self.call(capsys, folder, "--output", tmp_path / "sheet.png")
        assert code == 2 and error.endswith("has no frames to show")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--split", "test"], "has no split 'test', only ['train', 'val']"),
            (["--video", "nobody"], "has no video 'nobody'"),
            (["--videos", "0"], "--videos and --frames must be 1 or more"),
            (["--frames", "-1"], "--videos and --frames must be 1 or more"),
            (["--side", "9"], "--side 50 or more"),
            (["--output", "sheet.nonsense"], "sheet.nonsense cannot be written"),
            (["--output", "no/folder/sheet.png"], "no/folder/sheet.png cannot be written"),
        ],
    )
    def test_bad_arguments(self, folder, tmp_path, monkeypatch, capsys, arguments, message):
        monkeypatch.chdir(tmp_path)
        code, _, error = self.call(capsys, folder, *arguments)
        assert code == 2
        assert message in error
        assert not [path for path in tmp_path.iterdir() if path.name != "set"]

    def test_no_prepared_set(self, tmp_path, capsys):
        code, _, error = self.call(capsys, tmp_path)
        assert code == 2 and "holds no prepared data set" in error

    @pytest.mark.parametrize("content", ["", "[]", '{"categories": 3}', '{"categories": {"x": 1}}'])
    def test_garbage_categories(self, folder, capsys, content):
        (folder / "metadata.json").write_text(content)
        code, _, error = self.call(capsys, folder)
        assert code == 2 and "metadata.json is garbage" in error

    def test_no_categories(self, folder, capsys):
        (folder / "metadata.json").unlink()
        code, said, _ = self.call(capsys, folder)
        assert code == 0 and "by masks: 7 15, 9 15" in said

    def test_as_a_program_without_tfds(self, folder):
        """It starts fast: what takes seconds to import is not imported."""
        program = (
            "import sys; from data_prep import inspect; code = inspect.main(sys.argv[1:]); "
            "assert not {'tensorflow_datasets', 'apache_beam', 'jax'} & set(sys.modules); "
            "sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), "--verify"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
        assert "val: all 1 records are whole" in done.stdout
