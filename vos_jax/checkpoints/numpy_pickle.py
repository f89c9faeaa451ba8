"""What stands for NumPy's names in a pickle: scalars, arrays and their element types."""

import math
import re
from typing import Any

import numpy as np

from vos_jax.checkpoints.unpickler import Constructor, Stateful

PLAIN_TYPE = re.compile(r"b1|[iu][1248]|f[248]")
BYTE_ORDERS = ("<", ">", "|", "=")


class ElementType(Stateful):
    """A NumPy element type under construction: its kind first, its byte order by BUILD.

    Args:
        kind: one of booleans, integers and floats, such as `f8`.
        align: ignored.
        copy: ignored.
    """

    def __init__(self, kind: str, align: object = False, copy: object = True):
        if not (isinstance(kind, str) and PLAIN_TYPE.fullmatch(kind)):
            raise ValueError(f"element type {str(kind)[:20]!r} is not a plain number")
        self.dtype = np.dtype(kind)

    def set_state(self, state: Any) -> None:
        """Takes NumPy's tuple (version, byte order, None, None, None, ...)."""
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in BYTE_ORDERS):
            raise ValueError("state of an element type")
        if any(part is not None for part in state[2:5]):
            raise ValueError("structured element types are not read")
        self.dtype = self.dtype.newbyteorder(state[1])


class ArrayInPickle(Stateful):
    """A NumPy array under construction: empty first, its contents by BUILD.

    Args:
        kind: must stand for `numpy.ndarray`.
        shape: ignored, NumPy writes (0,).
        code: ignored, NumPy writes b"b".
    """

    def __init__(self, kind: object, shape: object, code: object):
        if not (isinstance(kind, Constructor) and kind.name == "numpy.ndarray"):
            raise ValueError("not a plain array")
        self.value = np.empty(0, np.int8)

    def set_state(self, state: Any) -> None:
        """Takes NumPy's tuple (version, shape, element type, column-major, raw bytes)."""
        _, shape, element, column_major, raw = state
        dtype, data = _dtype(element), _raw(raw)
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("array shape")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError("array bytes do not fit the shape")
        order = "F" if column_major else "C"
        flat = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
        self.value = flat.reshape(shape, order=order)


def _dtype(element: Any) -> np.dtype:
    if not isinstance(element, ElementType):
        raise ValueError("element type")
    return element.dtype


def _raw(data: Any) -> bytes:
    """Bytes as they are, or as the text that Python 2 made of them."""
    return data.encode("latin-1") if isinstance(data, str) else bytes(memoryview(data))


def _scalar(element: Any, data: Any) -> Any:
    dtype, raw = _dtype(element), _raw(data)
    if len(raw) != dtype.itemsize:
        raise ValueError("scalar bytes do not fit the type")
    return np.frombuffer(raw, dtype)[0].item()


def numpy_constructors() -> dict[str, Constructor]:
    """NumPy's names that may stand in a checkpoint, under both homes they have had."""
    builds = {"numpy.dtype": ElementType, "numpy.ndarray": None}
    for home in ("numpy.core.multiarray", "numpy._core.multiarray"):
        builds |= {f"{home}._reconstruct": ArrayInPickle, f"{home}.scalar": _scalar}
    return {name: Constructor(name, build) for name, build in builds.items()}
