"""Writes `.pth` files byte by byte, honest and hostile ones, without torch."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

KINDS = {"float32": "FloatStorage", "int64": "LongStorage", "float64": "DoubleStorage"}
LEGACY_HEAD = (
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
    b"\x80\x02M\xe9\x03.",
    b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.",
)


def name(module: str, attribute: str) -> bytes:
    """The opcode GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    """The opcode BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    """The opcode LONG1."""
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def group(*parts: bytes) -> bytes:
    """A tuple of what the parts push."""
    return b"(" + b"".join(parts) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    """The opcode REDUCE on a function and its arguments."""
    return function + group(*arguments) + b"R"


def dictionary(items: Mapping[str, bytes]) -> bytes:
    """A dict with string keys."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    """The persistent id of a storage."""
    identity = group(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count))
    return identity + b"Q"


def tensor(
    stored: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> bytes:
    """A call of torch's function that makes tensors."""
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        stored,
        integer(offset),
        group(*map(integer, shape)),
        group(*map(integer, strides)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


def contiguous(key: str, array: np.ndarray) -> bytes:
    """A tensor that covers its storage."""
    strides = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
    return tensor(storage(key, array.size, KINDS[str(array.dtype)]), array.shape, strides)


def program(body: bytes) -> bytes:
    """A whole pickle of protocol 2."""
    return b"\x80\x02" + body + b"."


def write_zip(
    path: Path, body: bytes, storages: Mapping[str, bytes] | None = None, prefix: str = "archive/"
) -> Path:
    """Writes the zip layout and returns the path."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}data.pkl", program(body))
        for key, data in (storages or {}).items():
            archive.writestr(f"{prefix}data/{key}", data)
    return path


def write_legacy(path: Path, body: bytes, storages: Mapping[str, np.ndarray] | None = None) -> Path:
    """Writes the legacy layout and returns the path."""
    storages = storages or {}
    keys = program(b"](" + b"".join(map(text, storages)) + b"e")
    raw = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())
    path.write_bytes(b"".join(LEGACY_HEAD) + program(body) + keys + raw)
    return path


def write_state_dict(
    path: Path, tensors: Mapping[str, np.ndarray], under: str | None = None
) -> Path:
    """Writes a checkpoint in the zip layout, the tensors outermost or under a key."""
    refs = {key: contiguous(str(i), array) for i, (key, array) in enumerate(tensors.items())}
    data = {str(i): array.tobytes() for i, array in enumerate(tensors.values())}
    body = dictionary(refs)
    if under is not None:
        body = dictionary({under: body, "iterations": integer(7)})
    return write_zip(path, body, data)


class Listing:
    """A file with every tensor of a listing, small because they overlap in one storage.

    Args:
        tensors: shape and type by name; integer tensors are zeros.
    """

    def __init__(self, tensors: Mapping[str, tuple[list[int], str]]):
        sizes = [int(np.prod(shape)) for shape, _ in tensors.values()]
        self._floats = np.random.default_rng(0).normal(0, 0.01, max(sizes) + len(sizes))
        self._floats = self._floats.astype(np.float32)
        self._shapes = {key: (tuple(shape), kind) for key, (shape, kind) in tensors.items()}
        self._offsets = {key: offset for offset, key in enumerate(tensors)}

    def __getitem__(self, key: str) -> np.ndarray:
        """What the file holds under a name."""
        shape, kind = self._shapes[key]
        if kind != "float32":
            return np.zeros(shape, kind)
        start = self._offsets[key]
        return self._floats[start : start + int(np.prod(shape))].reshape(shape)

    def write(self, path: Path, under: str | None = None, legacy: bool = False) -> Path:
        """Writes the file, the tensors outermost or under a key, and returns the path."""
        storages = {"0": self._floats}
        if any(kind != "float32" for _, kind in self._shapes.values()):
            storages["1"] = np.zeros(1, np.int64)
        refs = {key: self._ref(key) for key in self._shapes}
        body = dictionary(refs)
        if under is not None:
            body = dictionary({under: body, "it": integer(7)})
        if legacy:
            return write_legacy(path, body, storages)
        return write_zip(path, body, {key: array.tobytes() for key, array in storages.items()})

    def _ref(self, key: str) -> bytes:
        shape, kind = self._shapes[key]
        if kind != "float32":
            return tensor(storage("1", 1, "LongStorage"), shape, ())
        steps = np.empty(shape, np.int8).strides
        return tensor(storage("0", self._floats.size), shape, steps, self._offsets[key])
