"""What stands for torch's names in a pickle: references to storages and tensors, no data.

The pickle of a `.pth` file describes tensors as views of storages that lie elsewhere in the file.
Interpreting it gives `TensorRef`s, checked against the size their storage claims; the data is
read afterwards, and only what is asked for.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vos_jax.checkpoints.numpy_pickle import numpy_constructors
from vos_jax.checkpoints.unpickler import Constructor
from vos_jax.core.errors import CheckpointError

MAX_DIMENSIONS = 32
MAX_REPEATED = 1 << 24
STORED_TYPES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "bool",
}
RAW_TYPES = {"bfloat16": "u2", "bool": "u1"}
TYPE_NAMES = (
    "float64 double float32 float float16 half bfloat16 int64 long int32 int int16 short int8 "
    "uint8 bool"
).split()


@dataclass(frozen=True)
class StorageRef:
    """A stretch of a storage in the file.

    Attributes:
        key: the storage's name in the file.
        kind: element type, a key or value of `RAW_TYPES` or a NumPy code.
        total: elements of the whole storage.
        start: first element of the stretch.
        count: elements of the stretch.
    """

    key: str
    kind: str
    total: int
    start: int
    count: int

    @property
    def raw(self) -> np.dtype:
        """Element type of the bytes in the file, byte order apart."""
        return np.dtype(RAW_TYPES.get(self.kind, self.kind))

    @property
    def size(self) -> int:
        """Bytes of the whole storage."""
        return self.total * self.raw.itemsize

    def decode(self, data: bytes, byteorder: str) -> np.ndarray:
        """The whole storage as a flat array; bfloat16 becomes float32.

        Args:
            data: its bytes, `size` of them.
            byteorder: "little" or "big".

        Raises:
            CheckpointError: the file holds another number of bytes than the pickle claims.
        """
        if len(data) != self.size:
            raise CheckpointError(
                f"storage {self.key!r} has {len(data)} bytes where its pickle claims {self.size}"
            )
        stored = np.frombuffer(data, self.raw.newbyteorder("<" if byteorder == "little" else ">"))
        flat = stored.astype(self.raw, copy=False)
        if self.kind == "bfloat16":
            return (flat.astype(np.uint32) << 16).view(np.float32)
        return flat != 0 if self.kind == "bool" else flat


@dataclass(frozen=True)
class TensorRef:
    """A strided view of a storage: offset and strides in elements, checked by `_tensor`."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The tensor, without a copy, out of its whole storage."""
        item = flat.itemsize
        start = (self.storage.start + self.offset) * item if math.prod(self.shape) else 0
        strides = tuple(item * stride for stride in self.strides)
        array = np.ndarray(self.shape, flat.dtype, flat, start, strides)
        array.flags.writeable = False
        return array


def storage_ref(identity: Any) -> StorageRef:
    """Turns a persistent id of torch into a reference.

    Args:
        identity: ("storage", type, key, device, elements[, view]); a view, in old files, is
            None or (key, first element, elements).

    Raises:
        CheckpointError: anything else.
    """
    if not (isinstance(identity, tuple) and len(identity) in (5, 6) and identity[0] == "storage"):
        raise CheckpointError("refused: its pickle has a persistent id that names no storage")
    _, kind, key, device, total = identity[:5]
    view = identity[5] if len(identity) == 6 else None
    if not isinstance(kind, Constructor) or kind.name not in STORED_TYPES:
        raise CheckpointError("refused: its pickle has a storage of an unknown type")
    if not (isinstance(key, str) and isinstance(device, str) and _natural(total)):
        raise CheckpointError("refused: its pickle has a persistent id that names no storage")
    start, count = 0, total
    if view is not None:
        _, start, count = view if isinstance(view, tuple) and len(view) == 3 else (None, -1, -1)
        if not (_natural(start) and _natural(count) and start + count <= total):
            raise CheckpointError(f"storage {key!r}: a view lies outside it")
    return StorageRef(key, STORED_TYPES[kind.name], total, start, count)


def _natural(value: Any) -> bool:
    return type(value) is int and value >= 0


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorRef:
    """`torch._utils._rebuild_tensor` and `_v2`; gradient flag and hooks are ignored."""
    if not (isinstance(storage, StorageRef) and isinstance(shape, tuple)):
        raise ValueError("not a storage and a shape")
    if not (isinstance(strides, tuple) and len(strides) == len(shape) <= MAX_DIMENSIONS):
        raise ValueError("strides do not fit the shape")
    if not (_natural(offset) and all(map(_natural, shape)) and all(map(_natural, strides))):
        raise ValueError("negative offset, size or stride")
    elements = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if elements and last >= storage.count:
        raise ValueError(f"the tensor reaches outside its storage {storage.key!r}")
    if elements > max(storage.count, MAX_REPEATED):
        raise ValueError(f"the tensor repeats its storage {storage.key!r} to {elements} elements")
    return TensorRef(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> TensorRef:
    if not isinstance(data, TensorRef):
        raise ValueError("a parameter that is not a tensor")
    return data


def _dictionary(items: Iterable[Any] = ()) -> dict[Any, Any]:
    if isinstance(items, dict):
        return dict(items)
    return {_plain(key): value for key, value in items}


def _plain(key: Any) -> Any:
    if not isinstance(key, (str, int, float, type(None))):
        raise ValueError("a key that is not a plain value")
    return key


def _sequence_of_plain(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda items=(): kind(_plain(item) for item in items)


def _size(items: Iterable[Any] = ()) -> tuple[int, ...]:
    size = tuple(items)
    if not all(map(_natural, size)):
        raise ValueError("not a size")
    return size


def _device(kind: Any, index: Any = None) -> str:
    return str(_plain(kind)) if index is None else f"{_plain(kind)}:{_plain(index)}"


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("encoding")
    return text.encode("latin-1")


def torch_constructors() -> dict[str, Constructor]:
    """The closed list of names that a `.pth` file may mention; nothing in it has an effect."""
    builds: dict[str, Callable[..., Any] | None] = {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.Size": _size,
        "torch.device": _device,
        "collections.OrderedDict": _dictionary,
        "collections.Counter": _dictionary,
        "collections.defaultdict": lambda factory=None: {},
        "_codecs.encode": _encode,
    }
    builds |= dict.fromkeys(STORED_TYPES) | {f"torch.{name}": None for name in TYPE_NAMES}
    for home in ("builtins", "__builtin__"):
        builds |= {f"{home}.{name}": None for name in ("list", "dict", "int", "float", "str")}
        builds |= {
            f"{home}.set": _sequence_of_plain(set),
            f"{home}.frozenset": _sequence_of_plain(frozenset),
            f"{home}.bytes": lambda: b"",
        }
    named = {name: Constructor(name, build) for name, build in builds.items()}
    return named | numpy_constructors()
