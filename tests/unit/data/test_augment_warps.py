"""Warps: exact cases, frames and labels moving together, invented pixels, resizing rules."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.data.warps import (
    Crop,
    Projection,
    affine,
    random_affine,
    random_border_crop,
    random_perspective,
    resize_frame,
    resize_labels,
    resize_valid,
    warp_all,
)

SIZE = (60, 80)


def photo(size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def blocks(size=SIZE):
    """Labels of large regions: 0..3 in quarters with a disc of 4 in the middle."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    labels = 2 * (rows >= size[0] // 2) + (columns >= size[1] // 2)
    disc = (rows - size[0] / 2) ** 2 + (columns - size[1] / 2) ** 2 < (size[0] / 4) ** 2
    return np.where(disc, 4, labels).astype(np.uint8)


def every_warp(seed):
    rng = np.random.default_rng(seed)
    yield random_affine(rng, SIZE, rotate=20, shear=10, translate=0.25)
    yield random_affine(rng, SIZE, rotate=0, scale=(0.7, 1.4))
    yield random_perspective(rng, SIZE, (0.10, 0.12))
    yield random_border_crop(rng, SIZE, (0.1, 0.25))
    yield Crop(7, 11, 40, 51)


def test_identity():
    frame, labels, valid = warp_all(photo(), blocks(), [affine(SIZE)])
    np.testing.assert_array_equal(frame, photo())
    np.testing.assert_array_equal(labels, blocks())
    assert valid.all()


def test_no_warp():
    frame, labels, valid = warp_all(photo(), blocks(), [])
    assert frame is not None and valid.all() and valid.dtype == bool
    np.testing.assert_array_equal(labels, blocks())


@pytest.mark.parametrize("degrees, quarters", [(90, -1), (180, 2), (-90, 1)])
def test_quarter_turns_are_exact(degrees, quarters):
    square = photo((33, 33))
    turned = affine((33, 33), rotate=degrees).frame(square)
    np.testing.assert_array_equal(turned, np.rot90(square, quarters))


@pytest.mark.parametrize("right, down", [(8, 0), (0, 6), (-16, 15), (20, -3)])
def test_shift_moves_by_whole_pixels_and_invents_the_rest(right, down):
    warp = affine(SIZE, translate=(right / SIZE[1], down / SIZE[0]))
    frame, labels, valid = warp_all(photo(), blocks(), [warp])
    expected = np.zeros(SIZE, bool)
    expected[max(0, down) : SIZE[0] + min(0, down), max(0, right) : SIZE[1] + min(0, right)] = True
    np.testing.assert_array_equal(valid, expected)
    moved = np.roll(photo(), (down, right), axis=(0, 1))
    np.testing.assert_array_equal(frame, moved * expected[..., None])
    np.testing.assert_array_equal(labels, np.roll(blocks(), (down, right), (0, 1)) * expected)


@pytest.mark.parametrize("angle", [-10, 3, 10])
def test_matrix_of_shear(angle):
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    across = affine(SIZE, shear=(angle, 0)).matrix[:2, :2]
    np.testing.assert_allclose(across, [[1, -sine], [0, cosine]], atol=1e-12)
    down = affine(SIZE, shear=(0, angle)).matrix[:2, :2]
    np.testing.assert_allclose(down, [[cosine, 0], [sine, 1]], atol=1e-12)


def test_one_shear_for_both_axes_acts_like_a_rotation():
    both = affine(SIZE, shear=(5, 5)).matrix[:2, :2]
    assert np.rad2deg(np.arctan2(both[1, 0], both[0, 0])) == pytest.approx(5, abs=0.05)
    assert np.rad2deg(np.arctan2(-both[0, 1], both[1, 1])) == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("options", [{"rotate": 17}, {"scale": 1.7}, {"shear": (4, 9)}])
def test_the_centre_stays(options):
    centre = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2, 1])
    np.testing.assert_allclose(affine(SIZE, **options).matrix @ centre, centre, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_frames_and_labels_move_together(seed):
    labels = blocks()
    frame = np.repeat(labels[..., None] * 50, 3, axis=-1)
    for warp in every_warp(seed):
        moved, moved_labels, valid = warp_all(frame, labels, [warp])
        assert moved.dtype == moved_labels.dtype == np.uint8
        windows = np.lib.stride_tricks.sliding_window_view(
            np.where(valid, moved_labels, 99), (7, 7)
        )
        inside = windows.max((-1, -2)) == windows.min((-1, -2))
        inside &= windows[..., 3, 3] < 99
        assert inside.sum() > 500
        got = moved[3:-3, 3:-3][inside].astype(int)
        np.testing.assert_allclose(
            got, 50 * windows[..., 3, 3][inside][:, None].repeat(3, 1), atol=1
        )
        assert set(np.unique(moved_labels)) <= set(range(5))
        assert (moved_labels[~valid] == 0).mean() > 0.97 if (~valid).any() else True


@pytest.mark.parametrize("seed", range(6))
def test_perspective_and_crops_invent_nothing(seed):
    rng = np.random.default_rng(seed)
    for warp in (
        random_perspective(rng, SIZE, (0.10, 0.12)),
        random_border_crop(rng, SIZE, (0.1, 0.25)),
        Crop(0, 0, 30, 30),
    ):
        *_, valid = warp_all(photo(), blocks(), [warp])
        assert valid.mean() > 0.999


def test_valid_survives_later_warps():
    shift = affine(SIZE, translate=(0.25, 0))
    *_, valid = warp_all(photo(), blocks(), [shift, Crop(0, 0, 60, 40)])
    np.testing.assert_array_equal(valid, np.broadcast_to(np.arange(80) >= 40, SIZE))


def test_perspective_stretches_a_part_of_the_image():
    rng = np.random.default_rng(3)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    edges = corners * SIZE[::-1] - 0.5
    moves = []
    for _ in range(400):
        matrix = random_perspective(rng, SIZE, (0.10, 0.12)).matrix
        source = np.column_stack([edges, np.ones(4)]) @ np.linalg.inv(matrix).T
        source = (source[:, :2] / source[:, 2:] + 0.5) / SIZE[::-1]
        moves.append((source - corners) * (1 - 2 * corners))
    moves = np.array(moves)
    assert moves.min() > -1e-6
    assert moves.mean() == pytest.approx(0.11 * np.sqrt(2 / np.pi), rel=0.05)
    assert np.sqrt((moves**2).mean()) == pytest.approx(0.11, rel=0.05)


def test_affine_draws_fill_their_ranges():
    rng = np.random.default_rng(0)
    centre = np.array([39.5, 29.5, 1])
    angles, shifts, scales = [], [], []
    for _ in range(2000):
        matrix = random_affine(rng, SIZE, rotate=20, translate=0.25, scale=(0.85, 1.15)).matrix
        angles.append(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])))
        scales.append(np.hypot(matrix[1, 0], matrix[0, 0]))
        shifts.append(((matrix @ centre)[:2] - centre[:2]) / SIZE[::-1])
    for values, low, high in (
        (angles, -20, 20),
        (scales, 0.85, 1.15),
        (np.array(shifts)[:, 0], -0.25, 0.25),
        (np.array(shifts)[:, 1], -0.25, 0.25),
    ):
        margin = 0.01 * (high - low)
        assert low - 1e-9 <= min(values) < low + margin
        assert high - margin < max(values) <= high + 1e-9
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=3 * margin)


def test_border_crop_cuts_one_fraction_off_all_sides():
    rng = np.random.default_rng(0)
    crops = [random_border_crop(rng, (100, 200), (0.1, 0.25)) for _ in range(500)]
    for crop in crops:
        assert 100 - crop.height == 2 * crop.top and 200 - crop.width == 2 * crop.left
        assert abs(crop.left - 2 * crop.top) <= 1
    tops = [crop.top for crop in crops]
    assert (min(tops), max(tops)) == (10, 25)


def test_crop_shows_its_part():
    part = Crop(10, 20, 30, 40)
    np.testing.assert_array_equal(part.cut(photo()), photo()[10:40, 20:60])
    shown = part.labels(blocks())
    rows = 10 + (np.arange(60) + 0.5) * 30 // 60
    columns = 20 + (np.arange(80) + 0.5) * 40 // 80
    np.testing.assert_array_equal(shown, blocks()[rows.astype(int)][:, columns.astype(int)])
    assert part.frame(photo()).shape == (60, 80, 3)


sides = st.integers(1, 70)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 99))
def test_labels_are_sampled_at_centres(h, w, new_h, new_w, seed):
    labels = np.random.default_rng(seed).integers(0, 9, (h, w)).astype(np.uint8)
    rows = [int((Fraction(i) + Fraction(1, 2)) * h / new_h) for i in range(new_h)]
    columns = [int((Fraction(i) + Fraction(1, 2)) * w / new_w) for i in range(new_w)]
    np.testing.assert_array_equal(resize_labels(labels, (new_h, new_w)), labels[rows][:, columns])


def bilinear(image, size):
    """Half-pixel bilinear in floating point, edges clamped, no antialiasing."""
    for axis, new in enumerate(size):
        old = image.shape[axis]
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, old - 1)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        image = np.take(image, low, axis) * (1 - part) + np.take(image, high, axis) * part
    return image


@pytest.mark.parametrize("size", [(60, 80), (47, 100), (30, 41), (121, 33)])
def test_frames_are_resized_bilinearly(size):
    got = resize_frame(photo(), size)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, bilinear(photo().astype(float), size), atol=1.01)


@pytest.mark.parametrize("size", [(60, 80), (47, 100), (30, 41), (121, 33)])
def test_invented_pixels_need_more_than_half(size):
    valid = np.random.default_rng(2).random(SIZE) < 0.6
    share = bilinear(1.0 - valid, size)
    sure = np.abs(share - 0.5) > 0.01
    np.testing.assert_array_equal(resize_valid(valid, size)[sure], (share <= 0.5)[sure])


def test_half_invented_counts_as_image():
    assert resize_valid(np.array([[True, False]]), (1, 1)).all()


def test_projection_of_a_general_matrix_agrees_with_its_inverse():
    matrix = np.array([[1.02, 0.03, 2.0], [-0.02, 0.98, 1.0], [1e-4, -2e-4, 1.0]])
    there = Projection(matrix).labels(blocks())
    back = Projection(np.linalg.inv(matrix)).labels(there)
    assert (back == blocks())[8:-8, 8:-8].mean() > 0.95
    assert (there != blocks()).mean() > 0.01


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fill", [(0, 0, 0), (124, 116, 104)])
def test_a_frame_is_warped_as_its_channels_are(seed, fill):
    for warp in every_warp(seed):
        if isinstance(warp, Projection):
            warp = Projection(warp.matrix, fill=fill)
            for channel in range(3):
                alone = np.repeat(photo()[..., channel, None], 3, axis=-1)
                same = Projection(warp.matrix, fill=(fill[channel],) * 3).frame(alone)
                np.testing.assert_array_equal(warp.frame(photo())[..., channel], same[..., 0])


@pytest.mark.parametrize("seed", range(6))
def test_labels_and_valid_are_those_of_each_warp_in_turn(seed):
    warps = [*every_warp(seed), affine(SIZE, rotate=15)]
    labels, valid = blocks(), np.ones(SIZE, np.uint8)
    for warp in warps:
        labels, valid = warp.labels(labels), warp.labels(valid)
    _, together, known = warp_all(photo(), blocks(), warps)
    np.testing.assert_array_equal(together, labels)
    np.testing.assert_array_equal(known, valid)
    assert 0 < valid.mean() < 1


def test_what_is_all_valid_stays_so():
    assert resize_valid(np.ones((5, 7), bool), (9, 4)).all()
    assert resize_valid(np.ones((5, 7), bool), (9, 4)).shape == (9, 4)
