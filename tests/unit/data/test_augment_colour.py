"""Colour changes: exact effects on chosen colours, ranges of the draws."""

import numpy as np
import pytest

from vos_jax.data.colour import (
    BRIGHTNESS_SPACES,
    ColourChange,
    ColourJitter,
    ColourShift,
    ShiftColours,
    scale_contrast,
    shift_brightness,
    shift_hue_saturation,
)


def plain(*colour):
    return np.full((3, 5, 3), colour, np.uint8)


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "steps, expected",
    [
        (0, (255, 0, 0)),
        (60, (0, 255, 0)),
        (120, (0, 0, 255)),
        (-60, (0, 0, 255)),
        (180, (255, 0, 0)),
    ],
)
def test_hue_turns_around_the_circle(steps, expected):
    np.testing.assert_array_equal(
        shift_hue_saturation(plain(255, 0, 0), steps, 0), plain(*expected)
    )


@pytest.mark.parametrize("amount, expected", [(255, (200, 0, 0)), (-255, (200, 200, 200))])
def test_saturation_is_limited_at_both_ends(amount, expected):
    changed = shift_hue_saturation(plain(200, 100, 100), 0, amount)
    np.testing.assert_array_equal(changed, plain(*expected))


@pytest.mark.parametrize(
    "value, factor, expected",
    [(127, 3.0, 127), (227, 0.5, 177), (27, 0.5, 77), (227, 1.05, 232), (250, 2.0, 255), (3, 2, 0)],
)
def test_contrast_moves_values_from_127(value, factor, expected):
    assert (scale_contrast(plain(value, value, value), factor) == expected).all()


def test_contrast_of_one_changes_nothing():
    np.testing.assert_array_equal(scale_contrast(photo(), 1.0), photo())


@pytest.mark.parametrize("space", BRIGHTNESS_SPACES)
@pytest.mark.parametrize("amount", [-25, 0, 25])
def test_brightness_moves_grey_by_the_amount(space, amount):
    changed = shift_brightness(plain(120, 120, 120), amount, space).astype(int)
    assert np.ptp(changed.reshape(-1, 3), axis=0).max() == 0
    limit = 3 if space in ("lab", "luv") else 1
    assert abs(changed.mean() - 120 - amount * (0.93 if limit == 3 else 1)) <= limit


@pytest.mark.parametrize("space", BRIGHTNESS_SPACES)
def test_brightness_is_limited(space):
    assert shift_brightness(plain(250, 250, 250), 60, space).min() >= 250
    assert shift_brightness(plain(5, 5, 5), -60, space).max() <= 5


def test_change_keeps_type_shape_and_its_argument():
    frame = photo()
    changed = ColourChange(5, -9, 0.97, 20, "luv").apply(frame)
    assert changed.dtype == np.uint8 and changed.shape == frame.shape
    np.testing.assert_array_equal(frame, photo())
    assert np.abs(changed.astype(int) - frame).max() > 0


def test_change_applies_all_parts_in_order():
    change = ColourChange(5, -9, 1.05, 20, "hsv")
    expected = shift_hue_saturation(photo(), 5, -9)
    expected = shift_brightness(scale_contrast(expected, 1.05), 20, "hsv")
    np.testing.assert_array_equal(change.apply(photo()), expected)


def test_draws_fill_their_ranges_and_no_more():
    rng = np.random.default_rng(0)
    draws = [ColourJitter().draw(rng) for _ in range(3000)]
    assert {d.hue for d in draws} == set(range(-8, 9))
    assert {d.saturation for d in draws} == set(range(-12, 13))
    assert {d.brightness for d in draws} == set(range(-25, 26))
    assert {d.space for d in draws} == set(BRIGHTNESS_SPACES)
    contrasts = np.array([d.contrast for d in draws])
    assert 0.95 <= contrasts.min() < 0.951 and 1.049 < contrasts.max() <= 1.05


def test_draws_are_uniform():
    rng = np.random.default_rng(1)
    draws = [ColourJitter().draw(rng).brightness for _ in range(5100)]
    counts = np.bincount(np.array(draws) + 25)
    assert counts.min() > 60 and counts.max() < 145


def test_equal_generators_give_equal_changes():
    one, two = (ColourJitter().draw(np.random.default_rng(4)) for _ in range(2))
    assert one == two
    assert one != ColourJitter().draw(np.random.default_rng(5))


def test_no_jitter_draws_no_change():
    change = ColourJitter(0, 0, 0.0, 0).draw(np.random.default_rng(0))
    assert (change.hue, change.saturation, change.contrast, change.brightness) == (0, 0, 1.0, 0)


def shifts(count=2000):
    rng = np.random.default_rng(0)
    return [ShiftColours(40, 5).draw(rng, photo()[..., 0]) for _ in range(count)]


def test_one_shift_or_both_are_drawn():
    values, hues = (
        np.array([getattr(s, k) for s in shifts()]) for k in ("values", "hue_saturation")
    )
    assert set(values) == set(range(-40, 41)) and set(hues) == set(range(-5, 6))
    assert (values == 0).mean() == pytest.approx(0.25 + 0.75 / 81, abs=0.04)
    assert (hues == 0).mean() == pytest.approx(0.25 + 0.75 / 11, abs=0.04)
    assert ((values != 0) & (hues != 0)).mean() == pytest.approx(0.5 * 80 / 81 * 10 / 11, abs=0.04)


@pytest.mark.parametrize("amount", [-40, 0, 33])
def test_values_are_shifted_alike_and_limited(amount):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    expected = np.clip(grey.astype(int) + amount, 0, 255)
    np.testing.assert_array_equal(ColourShift(amount, 0).frame(grey), expected)


@pytest.mark.parametrize("amount", [-5, 4])
def test_hue_and_saturation_are_shifted_by_one_amount(amount):
    expected = shift_hue_saturation(photo(), int(amount / 255 * 180), amount)
    np.testing.assert_array_equal(ColourShift(0, amount).frame(photo()), expected)


def test_equal_generators_give_equal_shifts():
    assert shifts(20) == shifts(20)
