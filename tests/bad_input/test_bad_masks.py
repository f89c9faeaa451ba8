"""Masks people might hand in: which are taken, which refused, and by what error."""

import logging

import numpy as np
import pytest
from PIL import Image

from tests.unit.io.test_videos import shades, write_images
from vos_jax.core.errors import ConfigError, MaskError, MissingInputError
from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.inference.user_masks import label_map
from vos_jax.io.images import write_mask
from vos_jax.io.prompts import read_prompts
from vos_jax.io.videos import open_video

SIZE = (32, 48)


def video(folder, names=("00003", "00004", "00007")):
    """A folder of frames, opened."""
    write_images(folder / "frames", shades(len(names), SIZE), names)
    return open_video(folder / "frames")


def mask(size=SIZE, object_id=1):
    """One square."""
    labels = np.zeros(size, np.uint8)
    labels[4:12, 4:12] = object_id
    return labels


def test_single_mask_is_for_the_first_frame(tmp_path):
    write_mask(tmp_path / "any.png", mask(object_id=9))
    prompts = read_prompts(tmp_path / "any.png", video(tmp_path))
    assert list(prompts) == [0]
    np.testing.assert_array_equal(prompts[0], mask(object_id=9))


@pytest.mark.parametrize(
    "names, stem, number",
    [
        (("00003", "00004", "00007"), "00004", 1),
        (("00003", "00004", "00007"), "7", 2),
        (("a", "b", "c"), "b", 1),
        (("a", "b", "c"), "00002", 2),
    ],
)
def test_masks_find_their_frames(tmp_path, names, stem, number):
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / f"{stem}.png", mask())
    assert list(read_prompts(tmp_path / "masks", video(tmp_path, names))) == [number]


@pytest.mark.parametrize(
    "names, stem", [(("00003", "00004"), "00000"), (("a", "b"), "2"), (("a", "b"), "c")]
)
def test_mask_of_no_frame(tmp_path, names, stem):
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / f"{stem}.png", mask())
    with pytest.raises(MaskError, match=f"no frame is called '{stem}'"):
        read_prompts(tmp_path / "masks", video(tmp_path, names))


def test_no_masks(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere.png"):
        read_prompts(tmp_path / "nowhere.png", video(tmp_path))
    with pytest.raises(MissingInputError, match="no PNG mask"):
        read_prompts(tmp_path, video(tmp_path))


@pytest.mark.parametrize("size", [(32, 47), (33, 48), (36, 44)])
def test_mask_off_by_few_pixels_is_resized_and_said(tmp_path, size, caplog):
    write_mask(tmp_path / "first.png", mask(size, 77))
    with caplog.at_level(logging.WARNING):
        prompts = read_prompts(tmp_path / "first.png", video(tmp_path))
    assert prompts[0].shape == SIZE
    assert set(np.unique(prompts[0])) == {0, 77}
    assert f"the mask is {size[1]}x{size[0]}, its frame 48x32" in caplog.text


@pytest.mark.parametrize("size", [(64, 96), (32, 43), (48, 32)])
def test_mask_of_another_size(tmp_path, size):
    write_mask(tmp_path / "first.png", mask(size))
    with pytest.raises(MaskError, match=f"is {size[1]}x{size[0]}, its frame 48x32"):
        read_prompts(tmp_path / "first.png", video(tmp_path))


def test_black_and_white_mask_is_object_one(tmp_path):
    Image.fromarray(mask() * 255).save(tmp_path / "first.png")
    np.testing.assert_array_equal(read_prompts(tmp_path / "first.png", video(tmp_path))[0], mask())


def test_rgb_mask_in_palette_colours(tmp_path):
    Image.fromarray(DAVIS_PALETTE[mask(object_id=5)]).save(tmp_path / "first.png")
    np.testing.assert_array_equal(
        read_prompts(tmp_path / "first.png", video(tmp_path))[0], mask(object_id=5)
    )


def test_rgb_mask_in_other_colours(tmp_path):
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[4:9, 4:9] = (10, 200, 30)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    with pytest.raises(MaskError, match="#0ac81e"):
        read_prompts(tmp_path / "first.png", video(tmp_path))


def test_soft_edged_mask(tmp_path):
    ramp = np.linspace(0, 255, SIZE[1]).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (SIZE[0], 1))).save(tmp_path / "first.png")
    with pytest.raises(MaskError, match="soft-edged"):
        read_prompts(tmp_path / "first.png", video(tmp_path))


def test_label_map_keeps_gaps_and_leaves_void_out():
    labels = np.zeros(SIZE, np.uint8)
    labels[0], labels[1], labels[2] = 3, 254, 255
    found, ids = label_map(labels, SIZE, 0)
    assert ids == [3, 254]
    np.testing.assert_array_equal(found, labels)


def test_later_binary_mask_wins():
    first, second = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    first[:10], second[8:12] = True, True
    labels, ids = label_map({40: first, 2: second, 9: np.zeros(SIZE, bool)}, SIZE, 0)
    assert ids == [40, 2, 9]
    assert [int(labels[y, 0]) for y in (7, 8, 11, 12)] == [40, 2, 2, 0]


@pytest.mark.parametrize("nothing", [None, np.zeros(SIZE, np.uint8), {}])
def test_no_object(nothing):
    labels, ids = label_map(nothing, SIZE, 0)
    assert ids == [] and not labels.any()


@pytest.mark.parametrize(
    "masks, error, message",
    [
        (np.zeros((32, 47), np.uint8), MaskError, r"frame 3 has shape \[32, 47\]"),
        (np.zeros((1, *SIZE), np.uint8), MaskError, r"shape \[1, 32, 48\]"),
        (np.full(SIZE, 0.5), MaskError, "is float64; threshold it"),
        (np.full(SIZE, 300), MaskError, "values from 300 to 300"),
        (np.full(SIZE, -1), MaskError, "values from -1"),
        ({0: np.ones(SIZE, bool)}, ConfigError, "1 to 254, not 0"),
        ({255: np.ones(SIZE, bool)}, ConfigError, "1 to 254, not 255"),
        ({4: np.ones((2, 2), bool)}, MaskError, "the mask of object 4 on frame 3"),
    ],
)
def test_masks_that_cannot_be(masks, error, message):
    with pytest.raises(error, match=message):
        label_map(masks, SIZE, 3)
