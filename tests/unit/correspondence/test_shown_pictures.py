"""Pictures brought to size, and drawn."""

import cv2
import numpy as np
import pytest

from tests.patch_matching import noise
from vos_jax.correspondence.pictures import encode_png, fit, grey, overlay, scaled, side_by_side


@pytest.mark.parametrize(
    "source, target, short_side, sizes",
    [
        ((480, 854), (480, 854), 480, ((480, 854), (480, 854))),
        ((720, 1280), (1080, 1920), 480, ((480, 853), (480, 853))),
        ((1280, 720), (720, 1280), 480, ((853, 480), (270, 480))),
        ((90, 108), (45, 54), 480, ((90, 108), (90, 108))),
        ((500, 500), (100, 300), 100, ((100, 100), (33, 100))),
        ((64, 64), (1, 900), 64, ((64, 64), (1, 64))),
    ],
)
def test_sizes_of_fitted_pictures(source, target, short_side, sizes):
    fitted = fit(noise(source), noise(target), short_side)
    assert tuple(each.shape[:2] for each in fitted) == sizes
    again = fit(*fitted, short_side)
    for one, other in zip(fitted, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_short_side_leaves_pictures_as_they_are():
    pictures = noise((30, 50)), noise((70, 20))
    assert all(one is other for one, other in zip(fit(*pictures, 0), pictures, strict=True))


def test_reducing_averages_and_nothing_changes_at_its_own_size():
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    assert scaled(picture, (64, 96)) is picture
    halves = picture.reshape(32, 2, 48, 2, 3).mean((1, 3))
    np.testing.assert_allclose(scaled(picture, (32, 48)), halves, atol=0.5)
    assert scaled(picture, (128, 192)).shape == (128, 192, 3)


def test_the_overlay_is_the_official_formula():
    picture, heat = noise((32, 48)), np.random.default_rng(0).random((32, 48), np.float32)
    drawn = overlay(picture, heat)
    for y, x in np.ndindex(32, 48):
        value = min(2 * float(heat[y, x]), 1)
        colour = picture[y, x] * (1 - value) * 0.7 + value * picture[y, x] * 0.3
        colour[0] += 255 * value * 0.7
        assert np.abs(drawn[y, x] - np.floor(colour)).max() <= 1
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize(
    "heat, expected", [(0, [70, 35, 7]), (0.5, [208, 15, 3]), (1, [208, 15, 3])]
)
def test_colours_of_the_overlay(heat, expected):
    picture = np.full((1, 1, 3), [100, 50, 10], np.uint8)
    assert overlay(picture, np.full((1, 1), heat)).tolist() == [[expected]]


def test_pictures_side_by_side_keep_their_pixels():
    left, right = noise((20, 30)), noise((28, 10), 1)
    both = side_by_side(left, right)
    assert both.shape == (28, 40, 3)
    np.testing.assert_array_equal(both[:20, :30], left)
    np.testing.assert_array_equal(both[:, 30:], right)
    assert not both[20:, :30].any()


@pytest.mark.parametrize("pixels", [noise((20, 30)), noise((20, 30))[..., 0]])
def test_png_keeps_every_pixel(pixels):
    kind = cv2.IMREAD_COLOR_RGB if pixels.ndim == 3 else cv2.IMREAD_GRAYSCALE
    read = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), kind)
    np.testing.assert_array_equal(read, pixels)


def test_grey_rounds():
    assert grey(np.array([0, 0.001, 0.5, 0.999, 1])).tolist() == [0, 0, 128, 255, 255]
