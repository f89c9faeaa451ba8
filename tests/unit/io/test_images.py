"""Frames and masks: exact values in and out, and a named error for each kind of bad file."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from vos_jax.core.errors import ImageError, MaskError, MissingInputError, OutputError
from vos_jax.core.labels import DAVIS_PALETTE, YOUTUBE_VOS_PALETTE
from vos_jax.io.images import (
    decode_image,
    decode_mask,
    encode_mask,
    read_image,
    read_mask,
    write_mask,
)

LABELS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9))


def encoded(pixels, kind="PNG", mode=None, **options):
    """The bytes of an image file with these pixels."""
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def photograph(height=40, width=52):
    """A smooth picture with a different pattern in each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * y, 4 * x, 2 * (x + y)], axis=-1).astype(np.uint8)


class TestImages:
    """read_image and decode_image."""

    def test_png_is_exact_rgb(self, tmp_path):
        path = tmp_path / "frame.png"
        path.write_bytes(encoded(photograph()))
        assert (read_image(path) == photograph()).all()

    def test_jpeg_is_rgb(self):
        image = decode_image(encoded(photograph(), "JPEG", quality=95), "x")
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - photograph()).mean() < 3

    def test_grey_becomes_three_channels(self):
        image = decode_image(encoded(photograph()[..., 0]), "x")
        assert (image == photograph()[..., :1]).all() and image.shape[2] == 3

    def test_alpha_is_dropped(self):
        rgba = np.dstack([photograph(), np.full((40, 52), 255, np.uint8)])
        assert (decode_image(encoded(rgba), "x") == photograph()).all()

    def test_sixteen_bits_lose_the_low_byte(self):
        deep = photograph()[..., 0].astype(np.uint16) * 256 + 77
        assert (decode_image(encoded(deep), "x")[..., 0] == photograph()[..., 0]).all()

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
    def test_a_cut_file_is_named(self, tmp_path, kind, share):
        data = encoded(photograph(), kind)
        path = tmp_path / "frame.bin"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError, match="frame.bin"):
            read_image(path)

    def test_a_cut_jpeg_with_a_whole_thumbnail_is_seen(self, monkeypatch):
        monkeypatch.setattr(cv2, "imdecode", lambda *_: photograph())
        data = encoded(photograph(), "JPEG")
        thumbnail = encoded(photograph(8, 8), "JPEG")
        comment = b"\xff\xfe" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
        with_thumbnail = data[:2] + comment + data[2:]
        assert decode_image(with_thumbnail, "x").shape == (40, 52, 3)
        with pytest.raises(ImageError, match="cut off"):
            decode_image(with_thumbnail[:-40], "x")

    @pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n"])
    def test_what_is_no_image_is_named(self, data):
        with pytest.raises(ImageError, match="strange.jpg"):
            decode_image(data, "strange.jpg")

    def test_a_missing_frame_is_named(self, tmp_path):
        with pytest.raises(MissingInputError, match="nowhere.jpg"):
            read_image(tmp_path / "nowhere.jpg")

    def test_a_folder_is_no_frame(self, tmp_path):
        with pytest.raises(ImageError, match=str(tmp_path)):
            read_image(tmp_path)


class TestMasks:
    """read_mask and decode_mask on files that hold ids."""

    @given(LABELS)
    def test_palette_round_trip(self, labels):
        assert (decode_mask(encode_mask(labels), "x") == labels).all()

    @given(LABELS)
    def test_palette_does_not_matter(self, labels):
        assert (decode_mask(encode_mask(labels, YOUTUBE_VOS_PALETTE), "x") == labels).all()

    @given(LABELS)
    def test_grey_values_are_ids(self, labels):
        assert (decode_mask(encoded(labels), "x") == labels).all()

    @given(LABELS)
    def test_davis_colours_are_ids(self, labels):
        assert (decode_mask(encoded(DAVIS_PALETTE[labels]), "x") == labels).all()

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_few_bits_per_pixel(self, bits):
        labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 2**bits
        image = Image.fromarray(labels)
        image.putpalette(DAVIS_PALETTE.tobytes())
        stream = io.BytesIO()
        image.save(stream, "PNG", bits=bits)
        assert (decode_mask(stream.getvalue(), "x") == labels).all()

    def test_one_bit_grey(self):
        labels = np.array([[0, 1], [1, 0]], np.uint8)
        assert (decode_mask(encoded(labels * 255, mode="1"), "x") == labels).all()

    def test_opaque_rgba_is_rgb(self):
        labels = np.array([[0, 3], [9, 0]], np.uint8)
        data = encoded(np.dstack([DAVIS_PALETTE[labels], np.full((2, 2), 255, np.uint8)]))
        assert (decode_mask(data, "x") == labels).all()

    def test_white_on_black_rgb_is_grey(self):
        data = encoded(np.dstack([np.array([[0, 255]], np.uint8)] * 3))
        assert decode_mask(data, "x").tolist() == [[0, 255]]
        assert decode_mask(data, "x", binary=True, prompt=True).tolist() == [[0, 1]]

    def test_sixteen_bits_with_small_values(self):
        labels = np.array([[0, 3], [200, 255]], np.uint16)
        assert decode_mask(encoded(labels), "x").tolist() == labels.tolist()

    def test_result_can_be_written_to(self):
        mask = decode_mask(encode_mask(np.zeros((2, 2), np.uint8)), "x")
        mask[0, 0] = 1

    @pytest.mark.parametrize(
        "values, binary",
        [
            ([0, 255], [0, 1]),
            ([0, 0], [0, 0]),
            ([255, 255], [1, 1]),
            ([0, 1], [0, 1]),
            ([1, 255], [1, 255]),
        ],
    )
    def test_binary_grey(self, values, binary):
        assert decode_mask(encoded(np.array([values], np.uint8)), "x").tolist() == [values]
        data = encoded(np.array([values], np.uint8))
        assert decode_mask(data, "x", binary=True).tolist() == [binary]

    def test_palette_index_255_stays_void_when_binary(self):
        data = encode_mask(np.array([[0, 255]], np.uint8))
        assert decode_mask(data, "x", binary=True).tolist() == [[0, 255]]

    def test_prompt_with_gaps_and_void_is_kept(self):
        labels = np.array([[0, 3, 17, 31, 255]], np.uint8)
        assert decode_mask(encoded(labels), "x", prompt=True).tolist() == labels.tolist()

    def test_many_ids_in_a_palette_prompt_are_kept(self):
        labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        assert (decode_mask(encode_mask(labels), "x", prompt=True) == labels).all()


def transparent():
    """A mask whose background is transparent."""
    return np.dstack([DAVIS_PALETTE[np.array([[0, 1]])], np.array([[0, 255]], np.uint8)])


def disk_with_soft_edge():
    """A white disk drawn the way painting programs do."""
    disk = np.zeros((64, 64), np.uint8)
    return cv2.circle(disk, (30, 30), 18, 255, -1, cv2.LINE_AA)


class TestBadMasks:
    """Every kind of file that does not hold object ids."""

    @pytest.mark.parametrize(
        "pixels, remedy",
        [
            (photograph(), "DAVIS palette; save it as palette"),
            (YOUTUBE_VOS_PALETTE[np.array([[0, 1, 2]])], "#ec5f67"),
            (transparent(), "without transparency"),
            (np.array([[0, 300]], np.uint16), "values up to 300.*renumber"),
            (np.array([[0, -3]], np.int32), "renumber"),
        ],
    )
    def test_is_refused_with_a_remedy(self, tmp_path, pixels, remedy):
        path = tmp_path / "mask.tiff"
        path.write_bytes(encoded(pixels, "TIFF"))
        with pytest.raises(MaskError, match=f"mask.tiff.*{remedy}"):
            read_mask(path)

    def test_fractions_are_refused(self):
        with pytest.raises(MaskError, match="whole numbers"):
            decode_mask(encoded(np.array([[0, 0.5]], np.float32), "TIFF"), "x")

    def test_jpeg_is_refused(self):
        with pytest.raises(MaskError, match="save the mask as PNG"):
            decode_mask(encoded(np.zeros((8, 8), np.uint8), "JPEG"), "x")

    @pytest.mark.parametrize("rgb", [False, True])
    def test_soft_edges_of_a_prompt_are_refused(self, rgb):
        pixels = disk_with_soft_edge()
        data = encoded(np.dstack([pixels] * 3) if rgb else pixels)
        with pytest.raises(MaskError, match="soft-edged; threshold it"):
            decode_mask(data, "x", prompt=True)

    @pytest.mark.parametrize("soft", [32, 90, 254])
    def test_a_single_soft_value_is_refused(self, soft):
        with pytest.raises(MaskError, match="1 values between"):
            decode_mask(encoded(np.array([[0, soft, 255]], np.uint8)), "x", prompt=True)

    @pytest.mark.parametrize("void", [False, True])
    @pytest.mark.parametrize("segments", [1, 33, 43, 253])
    def test_grey_segments_numbered_from_one_are_no_soft_edge(self, segments, void):
        pixels = np.array([[*range(segments + 1), 255 * void]], np.uint8)
        np.testing.assert_array_equal(decode_mask(encoded(pixels), "x", prompt=True), pixels)

    @pytest.mark.parametrize("gap", [1, 20, 42])
    def test_many_grey_values_with_a_gap_are(self, gap):
        pixels = np.delete(np.arange(44), gap).astype(np.uint8)[None]
        with pytest.raises(MaskError, match="42 values.* looks soft-edged"):
            decode_mask(encoded(pixels), "x", prompt=True)

    def test_panoptic_ids_in_colour_channels_are_refused(self):
        """COCO and VSPW write id = r + 256 g + 65536 b."""
        ids = np.array([[0, 43, 300, 5001]])
        pixels = np.stack([ids % 256, ids // 256, 0 * ids], axis=-1).astype(np.uint8)
        with pytest.raises(MaskError, match="not of the DAVIS palette; save it as palette"):
            decode_mask(encoded(pixels), "x", prompt=True)

    def test_soft_edges_of_an_annotation_are_kept(self):
        pixels = disk_with_soft_edge()
        assert (decode_mask(encoded(pixels), "x", binary=True) == pixels).all()

    def test_another_size_is_refused(self, tmp_path):
        write_mask(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
        assert read_mask(tmp_path / "m.png", size=(4, 6)).shape == (4, 6)
        with pytest.raises(MaskError, match="m.png: the mask is 6x4, its frame 8x4"):
            read_mask(tmp_path / "m.png", size=(4, 8))

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_a_cut_file_is_named(self, share):
        rng = np.random.default_rng(0)
        data = encode_mask(rng.integers(0, 9, (60, 60)).astype(np.uint8))
        with pytest.raises(MaskError, match="cut.png"):
            decode_mask(data[: int(len(data) * share)], "cut.png")

    def test_a_picture_of_absurd_size_is_refused(self):
        header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header
        chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
        end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
        with pytest.raises(MaskError, match="bomb.png"):
            decode_mask(b"\x89PNG\r\n\x1a\n" + chunk + end, "bomb.png")

    def test_a_missing_mask_is_named(self, tmp_path):
        with pytest.raises(MissingInputError, match="nowhere.png"):
            read_mask(tmp_path / "nowhere.png")


class TestWriting:
    """encode_mask and write_mask."""

    @pytest.mark.parametrize("palette", [DAVIS_PALETTE, YOUTUBE_VOS_PALETTE])
    def test_file_is_a_palette_png(self, tmp_path, palette):
        labels = np.array([[0, 1, 2], [9, 254, 255]], np.uint8)
        write_mask(tmp_path / "m.png", labels, palette)
        with Image.open(tmp_path / "m.png") as image:
            assert (image.format, image.mode, image.size) == ("PNG", "P", (3, 2))
            assert image.getpalette() == palette.ravel().tolist()
            assert (np.array(image.convert("RGB")) == palette[labels]).all()

    def test_nothing_else_is_left_in_the_folder(self, tmp_path):
        write_mask(tmp_path / "m.png", np.zeros((2, 2), np.uint8))
        assert os.listdir(tmp_path) == ["m.png"]

    def test_a_slice_of_a_bigger_array_can_be_written(self, tmp_path):
        labels = np.arange(48, dtype=np.uint8).reshape(6, 8)[::2, ::2]
        write_mask(tmp_path / "m.png", labels)
        assert (read_mask(tmp_path / "m.png") == labels).all()

    @pytest.mark.parametrize(
        "labels", [np.zeros((2, 2), np.int32), np.zeros((2, 2, 1), np.uint8), np.zeros((2, 2))]
    )
    def test_other_arrays_are_refused(self, labels):
        with pytest.raises(MaskError, match="uint8"):
            encode_mask(labels)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(OutputError, match="gone"):
            write_mask(tmp_path / "gone" / "m.png", np.zeros((2, 2), np.uint8))
