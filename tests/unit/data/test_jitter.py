"""Colour jitter against Pillow's own enhancers, and its draws."""

import colorsys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from vos_jax.data.jitter import (
    ADJUSTMENTS,
    Adjustments,
    Greyscale,
    Jitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

LABELS = np.zeros((40, 50), np.uint8)
AOT = Jitter(0.4, 0.4, 0.2, 0.1)


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (40, 50, 3)).astype(np.uint8)


def photo(seed=0):
    """Smooth and mildly coloured, with dark and bright parts."""
    blurred = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (40, 50, 4)), (0, 0), 4)
    values = 120 + 400 * blurred[..., 3:] + 150 * blurred[..., :3]
    return np.clip(values, 0, 255).astype(np.uint8)


def draw(operation, seed=0):
    return operation.draw(np.random.default_rng(seed), LABELS)


@pytest.mark.parametrize("picture", [noise, photo])
@pytest.mark.parametrize("factor", [0.0, 0.6, 0.93, 1.0, 1.07, 1.4, 3.0])
@pytest.mark.parametrize(
    "adjust, enhancer, most",
    [
        (adjust_brightness, ImageEnhance.Brightness, 0),
        (adjust_contrast, ImageEnhance.Contrast, 0),
        (adjust_saturation, ImageEnhance.Color, 1),
    ],
)
def test_factors_act_as_in_pillow(adjust, enhancer, most, factor, picture):
    theirs = np.asarray(enhancer(Image.fromarray(picture())).enhance(factor))
    assert np.abs(adjust(picture(), factor) - theirs.astype(int)).max() <= most


def pillow_hue(frame, turn):
    """The definition of torchvision for Pillow images."""
    hue, saturation, value = Image.fromarray(frame).convert("HSV").split()
    turned = (np.asarray(hue).astype(int) + int(turn * 255)) % 256
    hue = Image.fromarray(turned.astype(np.uint8))
    return np.asarray(Image.merge("HSV", (hue, saturation, value)).convert("RGB")).astype(int)


@pytest.mark.parametrize("picture, mean, most", [(photo, 0.8, 7), (noise, 1.5, 14)])
@pytest.mark.parametrize("turn", [-0.5, -0.1, -0.03, 0.0, 0.05, 0.1, 0.4])
def test_hue_is_nearly_pillows(turn, picture, mean, most):
    difference = np.abs(adjust_hue(picture(), turn) - pillow_hue(picture(), turn))
    assert difference.mean() < mean
    assert difference.max() <= most


@pytest.mark.parametrize("turn", [-1 / 3, -0.1, 0.1, 1 / 3])
def test_hue_turns_the_way_of_the_colour_circle(turn):
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    expected = np.multiply(colorsys.hsv_to_rgb(turn % 1, 1, 1), 255)
    np.testing.assert_allclose(adjust_hue(red, turn)[0, 0], expected, atol=10)


def test_greyscale_is_pillows_in_three_channels():
    grey = draw(Greyscale()).frame(noise())
    theirs = np.asarray(Image.fromarray(noise()).convert("L")).astype(int)
    assert np.abs(grey - theirs[..., None]).max() <= 1
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


def test_adjustments_apply_in_their_order():
    drawn = ((2, 1.3), (0, 0.7), (3, 0.05), (1, 1.2))
    frame = photo()
    for number, amount in drawn:
        frame = ADJUSTMENTS[number](frame, amount)
    np.testing.assert_array_equal(Adjustments(drawn).frame(photo()), frame)
    assert (Adjustments(drawn[::-1]).frame(photo()) != frame).any()


def test_every_order_is_drawn():
    orders = [tuple(number for number, _ in draw(AOT, seed).drawn) for seed in range(600)]
    assert {len(order) for order in orders} == {4}
    assert len(set(orders)) == 24


def test_amounts_fill_their_ranges():
    amounts = np.array([sorted(draw(AOT, seed).drawn) for seed in range(800)])[..., 1]
    for values, centre, reach in zip(amounts.T, (1, 1, 1, 0), (0.4, 0.4, 0.2, 0.1), strict=True):
        assert centre - reach <= values.min() < centre - 0.98 * reach
        assert centre + 0.98 * reach < values.max() <= centre + reach
        assert values.mean() == pytest.approx(centre, abs=0.1 * reach)


def test_what_may_not_change_is_left_out():
    assert {number for number, _ in draw(Jitter(0.1, saturation=0.03)).drawn} == {0, 2}
    assert draw(Jitter()).frame(noise()) is not None
    np.testing.assert_array_equal(draw(Jitter()).frame(noise()), noise())


def test_jitter_keeps_type_and_source():
    frame = photo()
    changed = draw(AOT, 3).frame(frame)
    assert changed.dtype == np.uint8 and changed.shape == frame.shape
    np.testing.assert_array_equal(frame, photo())
    assert (changed != frame).any()


def test_equal_generators_give_equal_changes():
    assert draw(AOT, 5) == draw(AOT, 5)
    assert draw(AOT, 5) != draw(AOT, 6)
