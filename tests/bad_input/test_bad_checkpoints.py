"""Damaged and hostile `.pth` files: each is refused by name, and nothing in it is executed."""

import os
import re
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests import pth_writer as w
from vos_jax.checkpoints import pth, unpickler
from vos_jax.checkpoints.pth import read_pth
from vos_jax.core.errors import CheckpointError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "pth"
CANARY = "canary"
COMMAND = w.text(f"touch {CANARY}")


def nested(depth: int) -> bytes:
    """A tuple in a tuple in a tuple."""
    return b")" + b"\x85" * depth


def doubled(depth: int, start: bytes, pair: bytes) -> bytes:
    """A value that holds itself twice, `depth` times over: 2**depth values in a few bytes."""
    return start + pair * depth


def view(shape, strides, offset=0, count=6):
    return w.tensor(w.storage("0", count), shape, strides, offset)


CALLS = {
    "os.system": w.call(w.name("os", "system"), COMMAND),
    "posix.system": w.call(w.name("posix", "system"), COMMAND),
    "subprocess.Popen": w.call(w.name("subprocess", "Popen"), COMMAND),
    "builtins.eval": w.call(w.name("builtins", "eval"), w.text(f"open('{CANARY}', 'w')")),
    "builtins.exec": w.call(w.name("builtins", "exec"), w.text(f"open('{CANARY}', 'w')")),
    "builtins.open": w.call(w.name("builtins", "open"), w.text(CANARY), w.text("w")),
    "__builtin__.eval": w.call(w.name("__builtin__", "eval"), w.text(f"open('{CANARY}', 'w')")),
    "builtins.getattr": w.call(w.name("builtins", "getattr"), w.text("a"), w.text("join")),
    "builtins.__import__": w.text("builtins") + w.text("__import__") + b"\x93" + b"(" + b"tR",
    "collections.OrderedDict.__class__": (
        w.text("collections") + w.text("OrderedDict.__class__") + b"\x93)R"
    ),
    "torch.load": w.call(w.name("torch", "load"), w.text("other.pth")),
    "torch.storage._load_from_bytes": w.call(w.name("torch.storage", "_load_from_bytes"), b"C\x00"),
    "torch.hub.load": w.call(w.name("torch.hub", "load"), w.text("x")),
    "numpy.load": w.call(w.name("numpy", "load"), w.text("x.npy")),
    "functools.partial": w.call(w.name("functools", "partial"), w.name("builtins", "list")),
    "pickle.loads": w.call(w.name("pickle", "loads"), b"C\x02N."),
    "operator.attrgetter": w.call(w.name("operator", "attrgetter"), w.text("x")),
    "__torch__.Model": w.name("__torch__", "Model") + b")\x81",
    "os system": b"(" + COMMAND + b"ios\nsystem\n",
}
REFUSED_OPCODES = {
    "NEWOBJ": w.name("collections", "OrderedDict") + b")\x81",
    "NEWOBJ_EX": w.name("collections", "OrderedDict") + b")}\x92",
    "OBJ": b"(" + w.name("builtins", "list") + b"o",
    "EXT1": b"\x82\x01",
    "PERSID": b"Pstorage\n",
    "NEXT_BUFFER": b"\x97",
    "makes an object": b"(icollections\nOrderedDict\n",
}
WRONG_USE = {
    "calls builtins.list": w.call(w.name("builtins", "list"), w.text("x")),
    "calls torch.float32": w.call(w.name("torch", "float32")),
    "calls a plain value": w.text("os.system") + w.group(COMMAND) + b"R",
    "not a tuple": w.name("collections", "OrderedDict") + b"}R",
    "state of a list": b"]}" + w.text("__setstate__") + w.name("torch", "Size") + b"sb",
    "state of a Constructor": w.name("collections", "OrderedDict") + b"}b",
    "state of a TensorRef": view((6,), (1,)) + b"}b",
    "by something not a string": w.text("os") + b"K\x01\x93",
    "fills something": w.name("collections", "OrderedDict") + w.text("a") + w.text("b") + b"s",
    "as a key": b"}" + doubled(60, b")", b"2\x86") + b"Ns",
    "names no storage": w.group(w.text("module"), w.text("a"), w.text("b")) + b"Q",
    "storage of an unknown type": w.group(
        w.text("storage"), w.text("FloatStorage"), w.text("0"), w.text("cpu"), b"K\x06"
    )
    + b"Q",
    "a view lies outside": w.group(
        w.text("storage"),
        w.name("torch", "FloatStorage"),
        w.text("0"),
        w.text("cpu"),
        b"K\x06",
        w.group(w.text("v"), b"K\x04", b"K\x04"),
    )
    + b"Q",
    "element type": w.call(w.name("numpy", "dtype"), w.text("O")),
    "bytes do not fit": w.call(
        w.name("numpy.core.multiarray", "scalar"),
        w.call(w.name("numpy", "dtype"), w.text("f8")),
        b"C\x01a",
    ),
    "wrong arguments of _codecs.encode": w.call(
        w.name("_codecs", "encode"), w.text("x"), w.text("rot13")
    ),
    "wrong arguments of builtins.set": w.call(w.name("builtins", "set"), b"](]e"),
    "unknown protocol": b"\x80\x77N",
}
DAMAGED = {
    "stack underflow": b"0000",
    "tuple of nothing": b"\x87",
    "unknown memo": b"h\x07",
    "unknown opcode": b"\xff",
    "text of 4 GB": b"X\xff\xff\xff\xff" + b"abc",
    "bytes of 2**60": b"\x8e" + struct.pack("<Q", 1 << 60) + b"abc",
    "long of 2 GB": b"\x8b\xff\xff\xff\x7f",
    "negative long": b"\x8b\xff\xff\xff\xff",
    "number of a million digits": b"I" + b"9" * 1_000_000 + b"\n",
    "not UTF-8": b"X\x02\x00\x00\x00\xff\xfe",
    "mark without start": b"t",
}
TENSORS = {
    "outside its storage '0'": [
        view((7,), (1,)),
        view((6,), (1,), offset=1),
        view((1,), (1,), offset=1 << 62),
        view((2, 3), (4, 1)),
        view((1 << 40, 1 << 40), (1, 1)),
        view((1,), (1,), count=0),
    ],
    "negative": [
        view((6,), (1,), offset=-1),
        view((6,), (-1,), offset=5),
        view((-6,), (1,)),
        w.tensor(w.storage("0", 6), (), ()).replace(w.integer(0), b"\x88"),
    ],
    "strides do not fit": [view((6,), ()), view((1,) * 40, (1,) * 40)],
    "repeats its storage": [view((1 << 50,), (0,)), view((1 << 20, 1 << 20, 6), (0, 0, 1))],
    "not a storage": [w.tensor(w.text("0"), (6,), (1,))],
    "names no storage": [w.tensor(w.storage("0", -6), (6,), (1,))],
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """Whatever a file made the reader do would show as a new entry of the working folder."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert os.listdir(folder) == []


def both_layouts(tmp_path, body):
    data = np.arange(6, dtype=np.float32)
    yield w.write_zip(tmp_path / "zip.pth", body, {"0": data.tobytes()})
    yield w.write_legacy(tmp_path / "legacy.pth", body, {"0": data})


def refused(path, match=""):
    start = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        read_pth(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert re.search(match, str(caught.value).removeprefix(f"{path}: "))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("name", CALLS)
def test_dangerous_names_are_refused_by_name(tmp_path, name):
    for path in both_layouts(tmp_path, CALLS[name]):
        refused(path, "asks for '" + name.replace(" ", "."))


@pytest.mark.parametrize("name", CALLS)
def test_dangerous_names_inside_a_persistent_id(tmp_path, name):
    identity = w.group(w.text("storage"), CALLS[name], w.text("0"), w.text("cpu"), b"K\x06")
    for path in both_layouts(tmp_path, identity + b"Q"):
        refused(path, "refused")


@pytest.mark.parametrize("name", CALLS)
def test_dangerous_names_before_the_checkpoint(tmp_path, name):
    """The small pickles at the head of the legacy layout may name nothing at all."""
    path = tmp_path / "x.pth"
    path.write_bytes(w.program(CALLS[name]) + b"".join(w.LEGACY_HEAD))
    refused(path, "no checkpoint of torch")
    path.write_bytes(b"".join(w.LEGACY_HEAD[:2]) + w.program(CALLS[name]))
    refused(path, "refused")


@pytest.mark.parametrize("name", REFUSED_OPCODES)
def test_opcodes_that_reach_further(tmp_path, name):
    for path in both_layouts(tmp_path, REFUSED_OPCODES[name]):
        refused(path, name)


@pytest.mark.parametrize("name", WRONG_USE)
def test_wrong_use_of_what_is_allowed(tmp_path, name):
    for path in both_layouts(tmp_path, WRONG_USE[name]):
        refused(path, name)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_pickles(tmp_path, name):
    for path in both_layouts(tmp_path, DAMAGED[name]):
        refused(path, "damaged")


@pytest.mark.parametrize("reason", TENSORS)
def test_tensors_that_leave_their_storage(tmp_path, reason):
    for body in TENSORS[reason]:
        for path in both_layouts(tmp_path, body):
            refused(path, reason)


def test_storage_smaller_than_claimed(tmp_path):
    body = view((9,), (1,), count=9)
    for path in both_layouts(tmp_path, body):
        refused(path, "cut short|24 bytes, 36 expected")


def test_storage_claims_terabytes(tmp_path):
    for path in both_layouts(tmp_path, view((1 << 42,), (1,), count=1 << 42)):
        refused(path, "cut short|expected")


def test_storage_described_in_two_ways(tmp_path):
    ints = w.tensor(w.storage("0", 3, "LongStorage"), (3,), (1,))
    for path in both_layouts(tmp_path, w.group(view((6,), (1,)), ints)):
        refused(path, "two ways")


def test_legacy_storage_with_another_count(tmp_path):
    *_, path = both_layouts(tmp_path, view((6,), (1,)))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<q", 6) + bytes(4), struct.pack("<q", 5) + bytes(4)))
    refused(path, "storage '0': 5 elements, 6 expected")


def test_storages_missing(tmp_path):
    body = w.tensor(w.storage("1", 6), (6,), (1,))
    for path in both_layouts(tmp_path, body):
        refused(path, "storage '1' is missing|list of storages")


@pytest.mark.parametrize("key", ["../../secret", "0/../../x", "/etc/passwd", "", "a\\b"])
def test_storage_names_that_climb(tmp_path, key):
    path = w.write_zip(tmp_path / "x.pth", w.tensor(w.storage(key, 6), (6,), (1,)))
    refused(path, "storage name")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "c:evil"])
def test_zip_entries_that_climb(tmp_path, name):
    path = w.write_zip(tmp_path / "x.pth", b"}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    refused(path, "zip entry name")


def test_zip_entry_twice(tmp_path):
    path = w.write_zip(tmp_path / "x.pth", b"}")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", w.program(CALLS["os.system"]))
    refused(path, "twice")


def test_zip_with_two_checkpoints_or_none(tmp_path):
    path = tmp_path / "x.pth"
    for names in (["a/data.pkl", "b/data.pkl"], ["a/readme"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, w.program(b"}"))
        refused(path, "not a checkpoint")


def test_zip_bomb(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", w.program(view((1 << 23,), (1,), count=1 << 23)))
        archive.writestr("a/data/0", bytes(1 << 25))
    assert path.stat().st_size < 1 << 16
    refused(path, "claim to hold")


def test_zip_entry_larger_than_it_says(tmp_path):
    """A deflated entry whose header understates what comes out of it."""
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", w.program(view((6,), (1,))))
        archive.writestr("a/data/0", bytes(1 << 22))
    data = path.read_bytes().replace(struct.pack("<I", 1 << 22), struct.pack("<I", 24))
    path.write_bytes(data)
    refused(path, "damaged")


def test_zip_with_another_compression(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/data.pkl", w.program(b"}"))
    refused(path, "unusual compression")


def test_zip_byte_order_nobody_knows(tmp_path):
    path = w.write_zip(tmp_path / "x.pth", b"}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/byteorder", "middle")
    refused(path, "byte order 'middle'")


def test_deep_nesting(tmp_path):
    for path in both_layouts(tmp_path, view((6,), (1,)) + b"0" + nested(200_000)):
        refused(path, "nested deeper")


@pytest.mark.parametrize(
    "pair",
    [
        b"2\x86",
        b"q\x00h\x00h\x00\x86\x86",
        b"q\x000](h\x00h\x00e",
        b"q\x000}(K\x00h\x00K\x01h\x00u",
    ],
)
def test_memo_bombs(tmp_path, monkeypatch, pair):
    monkeypatch.setattr(pth, "MAX_VALUES", 100_000)
    for path in both_layouts(tmp_path, view((6,), (1,)) + b"0" + doubled(60, b")", pair)):
        refused(path, "more than 100000 values")


def test_list_that_holds_itself(tmp_path):
    for path in both_layouts(tmp_path, view((6,), (1,)) + b"0]q\x00h\x00a"):
        refused(path, "nested deeper")


def test_endless_programs(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickler, "MAX_OPCODES", 1000)
    for path in both_layouts(tmp_path, b"N0" * 600 + b"N"):
        refused(path, "more than 1000 opcodes")


def test_values_are_counted_across_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(pth, "MAX_VALUES", 50)
    path = w.write_zip(tmp_path / "x.pth", b"](" + b"N" * 60 + b"e")
    refused(path, "more than 50 values")


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_files_cut_short(tmp_path, layout, share):
    data = (FIXTURES / f"training.{layout}.pth").read_bytes()
    path = tmp_path / "x.pth"
    path.write_bytes(data[: int(share * len(data))])
    refused(path)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_any_flipped_byte_reads_or_is_refused(tmp_path, layout):
    """Damage anywhere never gives another exception than ours."""
    data = (FIXTURES / f"parameters.{layout}.pth").read_bytes()
    path = tmp_path / "x.pth"
    for position in range(0, len(data), 3):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x2D]) + data[position + 1 :])
        try:
            read_pth(path)
        except CheckpointError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        bytes(4096),
        b"\x80\x02M\xe9\x03.",
        b"PK\x03\x04",
    ],
)
def test_other_files(tmp_path, content):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    refused(path, "empty|no checkpoint of torch|damaged or cut short")


def test_plain_pickle_is_no_checkpoint(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(w.program(CALLS["os.system"]))
    refused(path, "no checkpoint of torch")
