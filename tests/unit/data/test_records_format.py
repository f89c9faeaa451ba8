"""TFRecord framing and the Example wire format, against published values and protobuf."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from vos_jax.core.errors import RecordError
from vos_jax.data.example import decode_example, encode_example
from vos_jax.data.tfrecord import OVERHEAD_BYTES, frame_record, masked_crc, unframe_record

KINDS = ("bytes_list", "float_list", "int64_list")

names = st.text(min_size=1, max_size=12)
integers = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)
floats = st.lists(st.floats(width=32, allow_nan=False), max_size=20)
strings = st.lists(st.binary(max_size=300), max_size=4)
features = st.dictionaries(
    names,
    st.one_of(
        strings,
        integers.map(lambda values: np.array(values, np.int64)),
        floats.map(lambda values: np.array(values, np.float32)),
    ),
    max_size=6,
)


def same(left: dict, right: dict) -> bool:
    """Equal names and equal values of equal types."""
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name])
        and getattr(left[name], "dtype", list) == getattr(right[name], "dtype", list)
        for name in left
    )


def through_protobuf(data: bytes) -> dict:
    """The features that Google's protobuf reads."""
    message = tf_example_pb2.Example.FromString(data)
    found = {}
    for name, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value)
        types = {"float_list": np.float32, "int64_list": np.int64}
        found[name] = values if kind == "bytes_list" else np.array(values, types[kind])
    return found


@given(features)
@settings(max_examples=150, deadline=None)
def test_example_round_trip(values):
    assert same(decode_example(encode_example(values)), values)


@given(features)
@settings(max_examples=150, deadline=None)
def test_example_is_what_protobuf_reads(values):
    assert same(through_protobuf(encode_example(values)), values)


@given(features)
@settings(max_examples=150, deadline=None)
def test_what_protobuf_writes_is_decoded(values):
    message = tf_example_pb2.Example()
    for name, column in values.items():
        kind = KINDS[0] if isinstance(column, list) else KINDS[1 if column.dtype.kind == "f" else 2]
        getattr(message.features.feature[name], kind).SetInParent()
        getattr(message.features.feature[name], kind).value.extend(column)
    assert same(decode_example(message.SerializeToString()), values)


def test_example_bytes_do_not_depend_on_the_order_of_names():
    assert encode_example({"a": [b"1"], "b": [b"2"]}) == encode_example({"b": [b"2"], "a": [b"1"]})


def test_bools_become_integers():
    decoded = decode_example(encode_example({"x": np.array([True, False])}))
    assert decoded["x"].tolist() == [1, 0]


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_garbage_example_is_a_value_error_or_features(data):
    try:
        decoded = decode_example(data)
    except ValueError:
        return
    assert isinstance(decoded, dict)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x08\x01",
        b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x0a\x02\x0a\x00",
        b"\x0a\x09\x0a\x07\x0a\x01a\x12\x02\x22\x00",
        b"\x0a\x07\x0a\x05\x0a\x01a\x12\x00",
    ],
    ids=["cut key", "cut field", "varint", "long varint", "no pair", "unknown list", "no list"],
)
def test_garbage_example_is_refused(data):
    with pytest.raises(ValueError, match="."):
        decode_example(data)


def test_masked_crc_of_published_vectors():
    """RFC 3720 B.4 gives CRC-32C of 32 zeros as 0x8a9136aa, of 32 ones as 0x62a8ab43."""
    for data, crc in ((b"\x00" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)):
        rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
        assert masked_crc(data) == (rotated + 0xA282EAD8) & 0xFFFFFFFF


def test_framing_is_what_tensorflow_writes():
    """An empty record of `tf.io.TFRecordWriter`, and the layout of one of three bytes."""
    assert frame_record(b"") == bytes.fromhex("0000000000000000 29039807 d8ea82a2")
    record = frame_record(b"foo")
    assert record[:8] == struct.pack("<Q", 3)
    assert record[12:15] == b"foo"
    assert len(record) == 3 + OVERHEAD_BYTES


@given(st.binary(max_size=500))
def test_framing_round_trip(payload):
    record = frame_record(payload)
    assert unframe_record(record, len(record), "shard", 0) == payload


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_flipped_bit_is_noticed(payload, data):
    record = bytearray(frame_record(payload))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RecordError, match="shard7.*byte 123"):
        unframe_record(bytes(record), len(record), "shard7", 123)


@given(st.binary(max_size=60), st.data())
def test_any_cut_is_noticed(payload, data):
    record = frame_record(payload)
    kept = data.draw(st.integers(0, len(record) - 1))
    with pytest.raises(RecordError, match=f"cut after {kept} of {len(record)} bytes"):
        unframe_record(record[:kept], len(record), "shard", 0)
