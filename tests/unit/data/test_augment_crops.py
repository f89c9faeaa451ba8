"""Crops that keep objects: acceptance, and the order of the search."""

import numpy as np
import pytest

from vos_jax.data.crops import (
    crop_around_objects,
    crop_keeping_objects,
    keeps_objects,
    object_areas,
    random_crop,
)

FACTORS = (0.6, 0.7, 0.8)
WIDER = (0.6, 0.7, 0.8, 0.9)


def with_boxes(*boxes, size=(100, 120)):
    labels = np.zeros(size, np.uint8)
    for number, (top, left, bottom, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = number
    return labels


def search(labels, objects, seed=0, min_area=50):
    return crop_keeping_objects(
        np.random.default_rng(seed),
        labels,
        objects,
        min_area=min_area,
        factors=FACTORS,
        wider_factors=WIDER,
    )


def test_areas_count_every_object_even_absent_ones():
    labels = with_boxes((0, 0, 2, 3), (50, 50, 60, 60))
    np.testing.assert_array_equal(object_areas(labels, 3), [6, 100, 0])


@pytest.mark.parametrize(
    "after, kept",
    [
        ([50, 100], True),
        ([49, 100], False),
        ([100, 99], False),
        ([100, 200], True),
        ([0, 200], False),
    ],
)
def test_half_the_area_and_the_least_area_are_kept(after, kept):
    assert keeps_objects(np.array([100, 200]), np.array(after), 50) is kept


def test_least_area_binds_small_objects():
    before = np.array([100])
    assert keeps_objects(before, np.array([80]), 80)
    assert not keeps_objects(before, np.array([80]), 81)


@pytest.mark.parametrize("factor, sides", [(0.6, (60, 72)), (0.7, (70, 84)), (0.8, (80, 96))])
def test_random_crop_reaches_every_position(factor, sides):
    rng = np.random.default_rng(0)
    crops = [random_crop(rng, (100, 120), factor) for _ in range(3000)]
    assert {(crop.height, crop.width) for crop in crops} == {sides}
    assert {crop.top for crop in crops} == set(range(100 - sides[0] + 1))
    assert {crop.left for crop in crops} == set(range(120 - sides[1] + 1))


@pytest.mark.parametrize("seed", range(20))
def test_crop_around_objects_contains_them_all(seed):
    labels = with_boxes((5, 10, 30, 40), (20, 50, 60, 70))
    crop = crop_around_objects(np.random.default_rng(seed), labels, 0.6)
    np.testing.assert_array_equal(object_areas(crop.cut(labels), 2), object_areas(labels, 2))
    assert crop.cut(labels).shape == (60, 72)


def test_crop_around_objects_takes_every_possible_position():
    labels = with_boxes((40, 50, 60, 70))
    rng = np.random.default_rng(0)
    crops = [crop_around_objects(rng, labels, 0.6) for _ in range(3000)]
    assert {crop.top for crop in crops} == set(range(0, 41))
    assert {crop.left for crop in crops} == set(range(0, 49))


@pytest.mark.parametrize("height, possible", [(59, True), (60, False), (80, False)])
def test_box_must_be_smaller_than_the_crop(height, possible):
    labels = with_boxes((0, 0, height, 20))
    crop = crop_around_objects(np.random.default_rng(0), labels, 0.6)
    assert (crop is not None) is possible


def test_search_takes_the_first_random_crop_that_keeps_objects():
    centred = with_boxes((45, 55, 55, 65))
    for seed in range(10):
        (crop,) = search(centred, 1, seed)
        assert (crop.height, crop.width) == (60, 72)


def test_search_accepts_a_crop_that_keeps_half():
    wide = with_boxes((40, 0, 60, 120))
    cut = [search(wide, 1, seed)[0] for seed in range(10)]
    assert all((crop.height, crop.width) == (60, 72) for crop in cut)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("side, expected", [(50, 60), (65, 70), (75, 80), (85, 90)])
def test_search_then_widens_around_the_objects(side, expected, seed):
    """The least area forbids all random crops, whose largest shows 80x96 = 7680 pixels."""
    labels = with_boxes((5, 5, 5 + side, 5 + side))
    (crop,) = search(labels, 1, seed, min_area=8000)
    assert crop.height == expected
    np.testing.assert_array_equal(object_areas(crop.cut(labels), 1), object_areas(labels, 1))


def test_search_gives_the_image_when_nothing_fits():
    corners = with_boxes((0, 0, 10, 10), (90, 110, 100, 120))
    for seed in range(10):
        assert search(corners, 2, seed) == ()


def test_search_never_loses_an_object():
    rng = np.random.default_rng(0)
    for seed in range(60):
        top, left = rng.integers(0, 60, 2)
        labels = with_boxes((top, left, top + 30, left + 30), (50, 50, 80, 75))
        before = object_areas(labels, 2)
        for crop in search(labels, 2, seed, min_area=100):
            assert keeps_objects(before, object_areas(crop.cut(labels), 2), 100)
