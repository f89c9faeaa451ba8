"""Prepared sets that were cut, corrupted, or are not there."""

import errno
import json

import numpy as np
import pytest

from tests.prepared_sets import ToyVideo, toy_set
from vos_jax.core.errors import MissingInputError, RecordError
from vos_jax.data.frames import Frame, Objects, decode_frame, encode_frame
from vos_jax.data.index import FRAME_ROW, FrameIndex
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet, shard_name
from vos_jax.data.tfrecord import frame_record


@pytest.fixture
def toy(tmp_path):
    """Two videos of three frames, one shard each."""
    return toy_set(tmp_path / "set", ToyVideo("a"), ToyVideo("b"), shards=2)


def shard(toy, number=1):
    """Path of a shard."""
    return toy / shard_name("toy", "train", number, 2)


def test_a_shard_cut_in_the_middle(toy):
    found = RecordSet(toy, "train")
    row = found.index.frames[4]
    cut = int(row["offset"]) + int(row["length"]) // 2
    shard(toy).write_bytes(shard(toy).read_bytes()[:cut])
    assert found.frame("b", 0).time == 0
    expected = rf"{shard(toy).name}: record at byte {row['offset']} .*cut after .*data_prep"
    with pytest.raises(RecordError, match=expected):
        found.frame("b", 1)
    with pytest.raises(RecordError, match="cut after 0 of"):
        found.frame("b", 2)
    assert found.frame("a", 2).time == 2


@pytest.mark.parametrize("place", [0, 9, 40, -1], ids=["length", "its crc", "payload", "crc"])
def test_a_flipped_bit(toy, place):
    found = RecordSet(toy, "train")
    row = found.index.frames[4]
    data = bytearray(shard(toy).read_bytes())
    data[int(row["offset"]) + place % int(row["length"])] ^= 4
    shard(toy).write_bytes(data)
    with pytest.raises(RecordError, match=rf"{shard(toy).name}: record at byte {row['offset']} "):
        found.frame("b", 1)
    assert found.frame("b", 0).time == 0


def test_a_record_of_another_schema(toy):
    found = RecordSet(toy, "train")
    length = int(found.index.frames[0]["length"])
    foreign = frame_record(b"x" * (length - 16))
    shard(toy, 0).write_bytes(foreign)
    with pytest.raises(RecordError, match="byte 0 .*not a frame of our schema"):
        found[0]


def test_a_missing_shard(toy):
    shard(toy).unlink()
    with pytest.raises(MissingInputError, match=f"{shard(toy).name} is missing: run the data_prep"):
        RecordSet(toy, "train")


def test_a_shard_that_vanishes_later(toy):
    found = RecordSet(toy, "train")
    shard(toy).unlink()
    with pytest.raises(MissingInputError, match=f"{shard(toy).name}: No such file"):
        found.frame("b", 0)


def test_a_disk_that_cannot_be_read(toy, monkeypatch):
    found = RecordSet(toy, "train")

    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("vos_jax.data.records.os.pread", fail)
    expected = f"{shard(toy, 0).name}: record at byte 0 .*cannot be read .Input/output error"
    with pytest.raises(RecordError, match=expected):
        found[0]


@pytest.mark.parametrize("table", ["videos", "frames", "objects"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 50),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: np.save(path, np.zeros(3)),
        lambda path: np.save(path, np.load(path)[:-1]),
        lambda path: np.save(path, np.array([{}]), allow_pickle=True),
        lambda path: np.savez(path.open("wb"), x=np.zeros(2)),
    ],
    ids=["empty", "garbage", "cut", "other table", "a row less", "pickle", "archive"],
)
def test_a_garbage_index(toy, table, spoil):
    spoil(FrameIndex.folder(toy, "train") / f"{table}.npy")
    with pytest.raises(RecordError, match="index/train.*not a usable index.*run the data_prep"):
        RecordSet(toy, "train")


def test_an_index_that_names_a_shard_too_many(toy):
    path = FrameIndex.folder(toy, "train") / "frames.npy"
    frames = np.load(path)
    frames["shard"] = 5
    np.save(path, frames)
    with pytest.raises(RecordError, match="shard 5 of 2"):
        RecordSet(toy, "train")[0]


@pytest.mark.parametrize("table", ["videos", "frames", "objects"])
def test_an_unfinished_index(toy, table):
    (FrameIndex.folder(toy, "train") / f"{table}.npy").unlink()
    with pytest.raises(MissingInputError, match=f"{table}.npy is missing: run the data_prep"):
        RecordSet(toy, "train")


def test_a_folder_without_a_set(tmp_path):
    with pytest.raises(MissingInputError, match="`python -m data_prep.coco --images"):
        RecordSet(tmp_path / "nothing", "train")


def test_a_split_that_is_not_there(toy):
    with pytest.raises(MissingInputError, match=r"no split 'val', only \['train'\]"):
        RecordSet(toy, "val")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "x", "splits": [{}]}', '"x"'])
def test_garbage_metadata(toy, content):
    (toy / "dataset_info.json").write_text(content)
    with pytest.raises(RecordError, match="dataset_info.json is not usable metadata"):
        RecordSet(toy, "train")


def test_metadata_of_more_shards_than_there_are(toy):
    path = toy / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"].append("1")
    path.write_text(json.dumps(info))
    with pytest.raises(MissingInputError, match="of-00003 is missing"):
        RecordSet(toy, "train")


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x0a\x00"])
def test_payloads_that_are_no_frame(payload):
    with pytest.raises(RecordError, match="not a frame of our schema"):
        decode_frame(payload)


@pytest.mark.parametrize("mask", [b"garbage", b"\x89PNG\r\n\x1a\n", None])
def test_masks_that_cannot_be_decoded(mask):
    frame = Frame("v", "00000", 0, "v/0.jpg", b"", 4, 4, True, mask, Objects(np.array([1])))
    with pytest.raises(RecordError, match="frame 00000 of v "):
        frame_labels(frame)
    with pytest.raises(RecordError, match="frame 00000 of v "):
        object_planes(frame)


def test_codes_that_cannot_be_decoded():
    objects = Objects(np.array([1]), rles=(b"garbage",))
    frame = Frame("v", "00000", 0, "v/0.jpg", b"", 4, 4, True, None, objects)
    with pytest.raises(RecordError, match="run-length code cannot be decoded"):
        object_planes(decode_frame(encode_frame(frame)))


def test_the_frame_table_stays_small():
    """BL30K has 4.8 million frames: the table has to stay far below a gigabyte."""
    assert FRAME_ROW.itemsize * 4_800_000 < 200e6
