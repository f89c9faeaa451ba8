"""Canvases: which one an image gets, at what size, and how a clip is put on it."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import by_area, by_short_side
from vos_jax.data.augment import Sample
from vos_jax.data.canvases import (
    check_canvases,
    choose_canvas,
    choose_canvases,
    place,
    size_on,
)
from vos_jax.data.warps import resize_frame

PUBLISHED = ((480, 672), (576, 576), (672, 480))
AREA = partial(by_area, pixels=300_000)


@pytest.mark.parametrize(
    "size, canvas, resized",
    [
        ((480, 640), 0, (474, 632)),
        ((427, 640), 0, (447, 671)),
        ((640, 427), 2, (670, 447)),
        ((612, 612), 1, (547, 548)),
        ((333, 500), 0, (446, 672)),
    ],
)
def test_published_sizes_are_kept(size, canvas, resized):
    """The resized sizes are those of parity/hodor/tables.json."""
    assert choose_canvas(PUBLISHED, size, AREA) == canvas
    assert size_on(PUBLISHED[canvas], size, AREA) == resized


def test_long_images_are_reduced_to_fit():
    size = size_on(PUBLISHED[2], (640, 361), AREA)
    assert size[0] == 672 and size[1] == round(361 * 672 / 640)


def test_other_size_rules():
    rule = partial(by_short_side, shortest=64, longest=128)
    assert size_on((64, 128), (480, 854), rule) == (64, 114)


@pytest.mark.parametrize("size, expected", [((480, 640), (96, 128)), ((640, 480), (96, 72))])
def test_without_a_rule_the_largest_that_fits(size, expected):
    assert size_on((96, 128), size) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.booleans())
def test_every_image_fits_its_canvas(h, w, ruled):
    rule = AREA if ruled and max(h, w) / min(h, w) < 100 else None
    canvas = PUBLISHED[choose_canvas(PUBLISHED, (h, w), rule)]
    size = size_on(canvas, (h, w), rule)
    assert all(1 <= s <= c for s, c in zip(size, canvas, strict=True))
    if min(size) > 20:
        assert size[0] / size[1] == pytest.approx(h / w, rel=0.06)


def test_many_images_at_once_are_chosen_alike():
    sizes = np.random.default_rng(0).integers(200, 900, (50, 2))
    numbers = choose_canvases(PUBLISHED, sizes, AREA)
    assert numbers.tolist() == [choose_canvas(PUBLISHED, tuple(s), AREA) for s in sizes.tolist()]
    assert set(numbers.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("canvases", [(), ((480, 640), (100, 128)), ((0, 64),), ((-32, 64),)])
def test_wrong_canvases_are_refused(canvases):
    with pytest.raises(ConfigError, match="multiples of 32"):
        check_canvases(canvases, 32)


@pytest.mark.parametrize("multiple, refused", [(1, False), (5, False), (31, False), (32, True)])
def test_the_multiple_is_the_callers(multiple, refused):
    """465 = 3 * 5 * 31, as AOT crops."""
    if refused:
        with pytest.raises(ConfigError, match="multiples of 32"):
            check_canvases(((465, 465),), multiple)
    else:
        assert check_canvases(((465, 465),), multiple) == ((465, 465),)


def test_canvases_become_pairs_of_numbers():
    assert check_canvases([[64, 96]], 32) == ((64, 96),)


def sample(objects=2, size=(40, 60)):
    rng = np.random.default_rng(0)
    present = np.ones((3, objects), bool)
    present[1, 0] = False
    return Sample(
        frames=rng.integers(1, 256, (3, *size, 3), np.uint8),
        labels=rng.integers(0, objects + 1, (3, *size), np.uint8),
        valid=np.arange(3 * size[0] * size[1]).reshape(3, *size) % 240 >= 60,
        present=present,
        labelled=np.array([True, False, True]),
    )


def test_clip_lies_in_the_upper_left_corner():
    fields = place(sample(), (64, 96), 4)
    assert fields["frames"].shape == (3, 64, 96, 3) and fields["frames"].dtype == np.uint8
    assert fields["labels"].shape == fields["valid"].shape == (3, 64, 96)
    assert fields["frames"][..., 0].all()
    small = place(sample(), (64, 96), 4, lambda size: (32, 48))
    for field in ("frames", "labels", "valid"):
        assert not small[field][:, 32:].any() and not small[field][:, :, 48:].any()
        assert small[field][:, :32, :48].any()


def test_unresized_clip_is_copied():
    clip = sample(size=(64, 96))
    fields = place(clip, (64, 96), 2)
    for field in ("frames", "labels", "valid", "labelled", "present"):
        np.testing.assert_array_equal(fields[field], getattr(clip, field))


@pytest.mark.parametrize("objects, slots", [(1, 1), (2, 4), (6, 7)])
def test_given_planes_follow_the_frame(objects, slots):
    """Smoothly, as they are soft; unused slots and the rest of the canvas stay empty."""
    planes = np.random.default_rng(1).integers(1, 256, (40, 60, objects), np.uint8)
    clip = dataclasses.replace(sample(objects), given=planes)
    same = place(clip, (64, 96), slots, lambda size: size)["given"]
    np.testing.assert_array_equal(same[:40, :60, :objects], planes)
    assert not same[40:].any() and not same[:, 60:].any() and not same[..., objects:].any()
    half = place(clip, (64, 96), slots, lambda size: (20, 30))["given"]
    for slot in range(objects):
        expected = resize_frame(np.ascontiguousarray(planes[..., slot]), (20, 30))
        np.testing.assert_array_equal(half[:20, :30, slot], expected)
    assert "given" not in place(sample(objects), (64, 96), slots)


@pytest.mark.parametrize("objects, slots", [(1, 1), (1, 4), (2, 4), (4, 4)])
def test_unused_slots_are_false(objects, slots):
    fields = place(sample(objects), (64, 96), slots)
    assert fields["slots"].tolist() == [True] * objects + [False] * (slots - objects)
    assert fields["present"].shape == (3, slots)
    assert not fields["present"][:, objects:].any()
    assert fields["present"][:, 0].tolist() == [True, False, True]
    assert fields["labelled"].tolist() == [True, False, True]
