"""Random access to prepared sets: RecordSet, its index, and the planes of a frame."""

import gc
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tests.prepared_sets import SIZE, ToyFrame, ToyVideo, square_labels, toy_set
from vos_jax.data import records
from vos_jax.data.frames import Frame, Objects, decode_frame, encode_frame
from vos_jax.data.index import FRAME_ROW, OBJECT_ROW, FrameIndex, video_rows
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet, shard_name
from vos_jax.io.images import encode_mask


def assert_same_frame(left: Frame, right: Frame) -> None:
    """Equal in every attribute, arrays with equal types."""
    for name in vars(right):
        if name != "objects":
            assert getattr(left, name) == getattr(right, name), name
    assert_same_objects(left.objects, right.objects)


def assert_same_objects(left: Objects, right: Objects) -> None:
    """Equal in every column."""
    for name, column in vars(right).items():
        np.testing.assert_array_equal(getattr(left, name), column, err_msg=name)
        assert np.shape(getattr(left, name)) == np.shape(column)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A prepared set of videos of 3, 1, 4 and 2 frames in three shards."""
    lengths = {"a": 3, "b": 1, "ü": 4, "d": 2}
    videos = [ToyVideo(name, length) for name, length in lengths.items()]
    return toy_set(tmp_path_factory.mktemp("toy"), *videos, shards=3)


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def frames(draw):
    """Any frame that can be stored."""
    count = draw(st.integers(0, 4))
    column = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)
    overlapping = draw(st.booleans()) and count > 0
    rle = st.lists(st.binary(min_size=1, max_size=9), min_size=count, max_size=count)
    return Frame(
        video=draw(st.text(max_size=8)),
        name=draw(st.text(max_size=8)),
        time=draw(st.integers(0, 2**32 - 1)),
        source=draw(st.text(max_size=8)),
        image=draw(st.binary(max_size=50)),
        height=draw(st.integers(0, 2**20)),
        width=draw(st.integers(0, 2**20)),
        annotated=draw(st.booleans()),
        mask=None if overlapping else draw(st.none() | st.binary(min_size=1, max_size=50)),
        objects=Objects(
            ids=np.array(draw(column), np.int64),
            categories=np.array(draw(column), np.int64),
            areas=np.array(draw(st.lists(finite, min_size=count, max_size=count)), np.float32),
            boxes=np.array(
                draw(st.lists(finite, min_size=4 * count, max_size=4 * count)), np.float32
            ).reshape(-1, 4),
            crowds=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool),
            rles=tuple(draw(rle)) if overlapping else (),
        ),
    )


@given(frames())
@settings(max_examples=150, deadline=None)
def test_frame_round_trip(frame):
    assert_same_frame(decode_frame(encode_frame(frame)), frame)


def test_every_frame_comes_back(toy):
    found = RecordSet(toy, "train")
    for number, video in enumerate(found.videos):
        for t in range(video.frames):
            expected = ToyFrame(video.name, t).load()
            assert_same_frame(found.frame(number, t), expected)
            assert_same_frame(found.frame(video.name, t), expected)
            assert_same_objects(found.objects(number, t), expected.objects)


def test_videos_tell_names_sizes_ids_and_lengths(toy):
    videos = RecordSet(toy, "train").videos
    assert [(video.name, video.frames) for video in videos] == [
        ("a", 3),
        ("b", 1),
        ("ü", 4),
        ("d", 2),
    ]
    assert all(video.size == SIZE and video.object_ids == (1, 2) for video in videos)
    assert videos[-1].name == "d"


def test_numbering_runs_over_all_videos(toy):
    found = RecordSet(toy, "train")
    assert len(found) == 10
    order = [(frame.video, frame.time) for frame in (found[number] for number in range(10))]
    assert order == [(v.name, t) for v in found.videos for t in range(v.frames)]


def test_files_are_named_as_tfds_names_them(toy):
    names = sorted(path.name for path in toy.glob("*tfrecord*"))
    assert names == [f"toy-train.tfrecord-0000{n}-of-00003" for n in range(3)]
    assert shard_name("coco", "test-dev", 7, 120) == "coco-test-dev.tfrecord-00007-of-00120"


def test_the_index_says_where_every_record_lies(toy):
    index = FrameIndex.open(FrameIndex.folder(toy, "train"))
    for shard in range(3):
        rows = index.frames[index.frames["shard"] == shard]
        ends = rows["offset"] + rows["length"]
        size = (toy / shard_name("toy", "train", shard, 3)).stat().st_size
        assert rows["offset"].tolist() == [0, *ends[:-1].tolist()]
        assert ends[-1] == size


def test_the_index_is_mapped_not_loaded(toy):
    index = FrameIndex.open(FrameIndex.folder(toy, "train"))
    assert all(isinstance(table, np.memmap) for table in vars(index).values())
    assert FRAME_ROW.itemsize + 4 * OBJECT_ROW.itemsize < 200


@pytest.mark.parametrize(
    "videos, same",
    [
        ([ToyVideo("a"), ToyVideo("b")], True),
        ([ToyVideo("a"), ToyVideo("c")], False),
        ([ToyVideo("a"), ToyVideo("b", 2)], False),
        ([ToyVideo("b"), ToyVideo("a")], False),
    ],
)
def test_the_fingerprint_tells_sets_apart(tmp_path, videos, same):
    first = RecordSet(toy_set(tmp_path / "first", ToyVideo("a"), ToyVideo("b")), "train")
    assert (
        RecordSet(toy_set(tmp_path / "x", *videos), "train").fingerprint == first.fingerprint
    ) is same


@pytest.mark.parametrize("table", ["videos", "frames", "objects"])
def test_the_fingerprint_looks_at_every_table(tmp_path, table):
    path = toy_set(tmp_path)
    before = RecordSet(path, "train").fingerprint
    file = FrameIndex.folder(path, "train") / f"{table}.npy"
    rows = np.load(file)
    field = {"videos": "height", "frames": "offset", "objects": "area"}[table]
    rows[field][-1] += 1
    np.save(file, rows)
    assert RecordSet(path, "train").fingerprint != before


def test_pickling_carries_no_handle(toy):
    found = RecordSet(toy, "train")
    found.frame(0, 0)
    data = pickle.dumps(found)
    assert len(data) < 500
    assert_same_frame(pickle.loads(data).frame("d", 1), found.frame("d", 1))


@pytest.mark.parametrize("most_open", [0, 1, 256])
def test_reading_with_few_open_files(toy, monkeypatch, most_open):
    monkeypatch.setattr(records, "MAX_OPEN_SHARDS", most_open)
    found = RecordSet(toy, "train")
    names = [found[number].video for number in (9, 0, 5, 9, 0)]
    assert names == ["d", "a", "ü", "d", "a"]
    assert len(found._files) <= most_open


def test_threads_share_a_reader(toy):
    found = RecordSet(toy, "train")
    seen = []

    def read(seed):
        for number in np.random.default_rng(seed).permutation(10):
            seen.append((int(number), found[int(number)].time))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [t for length in (3, 1, 4, 2) for t in range(length)]
    assert len(seen) == 80
    assert all(time == times[number] for number, time in seen)


def test_dropped_readers_close_their_files(toy):
    found = RecordSet(toy, "train")
    found.frame(0, 0)
    (descriptor,) = found._files.values()
    del found
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        records.os.fstat(descriptor)


@pytest.mark.parametrize(("video", "t"), [(4, 0), (-1, 0), ("nobody", 0), (0, 3), ("b", -1)])
def test_frames_out_of_range_are_index_errors(toy, video, t):
    with pytest.raises(IndexError, match="has"):
        RecordSet(toy, "train").frame(video, t)


def test_a_split_may_have_no_objects(tmp_path):
    videos = video_rows(["only"])
    videos["frames"] = 1
    index = FrameIndex(videos, np.zeros(1, FRAME_ROW), np.zeros(0, OBJECT_ROW))
    index.save(tmp_path)
    opened = FrameIndex.open(tmp_path)
    assert len(opened.objects) == 0
    assert opened.videos["name"].tolist() == [b"only"]


class TestPlanes:
    """`object_planes` and `frame_labels`."""

    @staticmethod
    def frame(mask: bytes | None, ids: list[int], rles: tuple[bytes, ...] = ()) -> Frame:
        """A frame of SIZE with these objects."""
        return Frame("v", "0", 0, "s", b"", *SIZE, True, mask, Objects(np.array(ids), rles=rles))

    def test_palette_mask(self):
        labels = square_labels(0)
        labels[0, 0] = 255
        frame = self.frame(encode_mask(labels), [1, 2])
        np.testing.assert_array_equal(frame_labels(frame), labels)
        np.testing.assert_array_equal(object_planes(frame), np.stack([labels == 1, labels == 2]))

    def test_large_ids_do_not_wrap(self):
        frame = self.frame(encode_mask(square_labels(0)), [257])
        assert not object_planes(frame).any()

    def test_no_objects(self):
        assert object_planes(self.frame(None, [])).shape == (0, *SIZE)

    @given(st.integers(0, 2**32 - 1), st.integers(1, 5))
    @settings(max_examples=30, deadline=None)
    def test_overlapping_codes_stay_exact(self, seed, count):
        planes = np.random.default_rng(seed).random((count, *SIZE)) < 0.5
        encoded = coco_mask.encode(np.asfortranarray(planes.transpose(1, 2, 0), np.uint8))
        frame = self.frame(None, list(range(count)), tuple(rle["counts"] for rle in encoded))
        np.testing.assert_array_equal(object_planes(decode_frame(encode_frame(frame))), planes)
