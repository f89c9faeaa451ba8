"""TFRecord framing: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload.

Agrees with TensorFlow's `lib/io/record_writer.cc`.
"""

import struct

import google_crc32c

from vos_jax.core.errors import RecordError

HEADER_BYTES = 12
FOOTER_BYTES = 4
OVERHEAD_BYTES = HEADER_BYTES + FOOTER_BYTES

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """The CRC-32C of `data`, rotated right by 15 bits plus a constant, as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def frame_record(payload: bytes) -> bytes:
    """The bytes one record takes in a shard: `OVERHEAD_BYTES` more than its payload."""
    length = struct.pack("<Q", len(payload))
    header = length + _FOOTER.pack(masked_crc(length))
    return b"".join((header, payload, _FOOTER.pack(masked_crc(payload))))


def unframe_record(data: bytes, expected_bytes: int, shard: str, offset: int) -> bytes:
    """Checks a framed record and returns its payload.

    Args:
        data: what was read of the shard from `offset` on.
        expected_bytes: the framed length that the index gives.
        shard: name of the shard, for messages.
        offset: position of the record in the shard, for messages.

    Raises:
        RecordError: the record is cut, or a length or checksum does not agree.
    """
    if len(data) != expected_bytes:
        raise record_error(shard, offset, f"cut after {len(data)} of {expected_bytes} bytes")
    length, length_crc = _HEADER.unpack_from(data)
    if length_crc != masked_crc(data[:8]) or length != expected_bytes - OVERHEAD_BYTES:
        raise record_error(shard, offset, "its length field is corrupt")
    payload = data[HEADER_BYTES:-FOOTER_BYTES]
    if _FOOTER.unpack_from(data, expected_bytes - FOOTER_BYTES)[0] != masked_crc(payload):
        raise record_error(shard, offset, "its checksum does not agree with its content")
    return payload


def record_error(shard: str, offset: int, what: str) -> RecordError:
    """The error for a bad record, naming shard, offset and the way out."""
    return RecordError(
        f"{shard}: record at byte {offset} is unusable: {what}; "
        "delete that shard and run the data_prep command again"
    )
