"""Wire format of `tf.train.Example`: named lists of bytes, floats or integers.

Written without protobuf so that reading needs no generated code, and with keys in sorted
order so that equal features give equal bytes. Message definitions: TensorFlow's
`core/example/feature.proto` (`bytes_list` 1, `float_list` 2, `int64_list` 3).
"""

from collections.abc import Mapping, Sequence

import numpy as np

Values = Sequence[bytes] | np.ndarray

_VARINT, _BYTES = 0, 2
_KIND_BYTES, _KIND_FLOAT, _KIND_INT = 1, 2, 3
_WORD = 1 << 64


def encode_example(features: Mapping[str, Values]) -> bytes:
    """Serialises features.

    Args:
        features: per name a float array (stored as float32), an integer or bool array
            (stored as int64), each flattened, or a sequence of bytes.
    """
    entries = []
    for name in sorted(features):
        entry = _field(1, name.encode()) + _field(2, _encode_feature(features[name]))
        entries.append(_field(1, entry))
    return _field(1, b"".join(entries))


def decode_example(data: bytes) -> dict[str, list[bytes] | np.ndarray]:
    """Inverse of `encode_example`: lists of bytes, float32 or int64 arrays of one axis.

    Raises:
        ValueError: the bytes are not a `tf.train.Example`.
    """
    features = {}
    for _, message in _fields(data):
        for _, entry in _fields(message):
            pair = dict(_fields(entry))
            if pair.keys() != {1, 2}:
                raise ValueError("a feature without name or value")
            features[str(pair[1], "utf-8")] = _decode_feature(pair[2])
    return features


def _encode_feature(values: Values) -> bytes:
    if not isinstance(values, np.ndarray):
        return _field(_KIND_BYTES, b"".join(_field(1, value) for value in values))
    if np.issubdtype(values.dtype, np.floating):
        packed = values.astype("<f4").tobytes()
        return _field(_KIND_FLOAT, _field(1, packed) if packed else b"")
    packed = b"".join(_varint(int(value) % _WORD) for value in values.ravel())
    return _field(_KIND_INT, _field(1, packed) if packed else b"")


def _decode_feature(data: memoryview) -> list[bytes] | np.ndarray:
    kinds = list(_fields(data))
    if len(kinds) != 1:
        raise ValueError("a feature must hold exactly one list")
    kind, values = kinds[0]
    chunks = [chunk for _, chunk in _fields(values)]
    if kind == _KIND_BYTES:
        return [bytes(chunk) for chunk in chunks]
    packed = b"".join(chunks)
    if kind == _KIND_FLOAT:
        return np.frombuffer(packed, "<f4").astype(np.float32)
    if kind != _KIND_INT:
        raise ValueError(f"unknown kind of list {kind}")
    words = []
    position = 0
    while position < len(packed):
        word, position = _read_varint(packed, position)
        words.append(word)
    return np.array(words, np.uint64).astype(np.int64)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(payload)) + payload


def _fields(data: bytes | memoryview):
    """Yields (field number, content) of a message that has length-delimited fields only."""
    view = memoryview(data)
    position = 0
    while position < len(view):
        key, position = _read_varint(view, position)
        if key & 7 != _BYTES:
            raise ValueError(f"unexpected wire type {key & 7}")
        length, position = _read_varint(view, position)
        if position + length > len(view):
            raise ValueError("a field runs past the end")
        yield key >> 3, view[position : position + length]
        position += length


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("an integer runs past the end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % _WORD, position
    raise ValueError("an integer of more than ten bytes")
