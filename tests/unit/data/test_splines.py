"""Thin-plate splines: control points met exactly, smooth in between, draws."""

import numpy as np
import pytest

from vos_jax.data.splines import Remap, ThinPlateSpline, spline_maps

SIZE = (64, 80)


def identity(size=SIZE):
    """Columns and rows when nothing moves: pixels spread over [0, 1], ends included."""
    height, width = size
    columns = np.linspace(0, 1, width) * width
    return np.meshgrid(columns, np.linspace(0, 1, height) * height)


def points(seed=0, count=12):
    rng = np.random.default_rng(seed)
    source = rng.uniform(0.05, 0.95, (count, 2))
    return source, source + rng.normal(0, 0.02, source.shape)


@pytest.mark.parametrize("seed", range(4))
def test_maps_take_target_points_to_source_points(seed):
    """Control points are put on pixels, where the maps can be read."""
    rng = np.random.default_rng(seed)
    pixels = np.column_stack([rng.choice(n, 12, replace=False) for n in SIZE[::-1]])
    target = pixels / (np.array(SIZE[::-1]) - 1)
    source = target + rng.normal(0, 0.02, target.shape)
    columns, rows = spline_maps(source, target, SIZE)
    got = np.column_stack([part[pixels[:, 1], pixels[:, 0]] for part in (columns, rows)])
    np.testing.assert_allclose(got, source * SIZE[::-1], atol=2e-3)


def test_no_move_is_the_identity():
    source, _ = points()
    for got, expected in zip(spline_maps(source, source, SIZE), identity(), strict=True):
        assert got.dtype == np.float32 and got.shape == SIZE
        np.testing.assert_allclose(got, expected, atol=1e-3)


def test_affine_moves_need_no_bending():
    source, _ = points(1)
    matrix, shift = np.array([[0.9, 0.1], [-0.05, 1.1]]), np.array([0.03, -0.02])
    columns, rows = spline_maps(source, source @ matrix.T + shift, SIZE)
    x, y = (part / side for part, side in zip(identity(), SIZE[::-1], strict=True))
    expected = (np.stack([x, y], -1) - shift) @ np.linalg.inv(matrix).T
    np.testing.assert_allclose(columns / SIZE[1], expected[..., 0], atol=1e-4)
    np.testing.assert_allclose(rows / SIZE[0], expected[..., 1], atol=1e-4)


def test_bending_is_smooth():
    for part in spline_maps(*points(2), SIZE):
        for axis in (0, 1):
            assert np.abs(np.diff(part, 2, axis=axis)).max() < 0.5


def test_remap_reads_where_it_is_told():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    columns, rows = (part.astype(np.float32) for part in np.meshgrid(np.arange(80), np.arange(64)))
    warp = Remap(columns + 3, rows - 5)
    np.testing.assert_array_equal(warp.frame(frame)[5:, :-3], frame[:-5, 3:])
    np.testing.assert_array_equal(warp.labels(frame[..., 0])[5:, :-3], frame[:-5, 3:, 0])
    assert not warp.frame(frame)[:5].any() and not warp.frame(frame)[:, -3:].any()
    known = warp.valid(np.ones(SIZE, np.bool_))
    assert known[5:, :-3].all() and known.sum() == 59 * 77


def test_remap_interpolates_frames_only():
    frame = np.repeat(np.array([[0, 100]], np.uint8), 2, 0)
    half = Remap(np.full((1, 1), 0.25, np.float32), np.zeros((1, 1), np.float32))
    assert half.frame(frame) == 25
    assert half.labels(frame) == 0


class Recording:
    """A generator that keeps what it was asked for."""

    def __init__(self, seed):
        self.rng, self.choices, self.moves = np.random.default_rng(seed), [], None

    def choice(self, n, count, replace):
        self.choices.append(self.rng.choice(n, count, replace=replace))
        return self.choices[-1]

    def normal(self, centre, spread, shape):
        self.moves = self.rng.normal(centre, spread, shape)
        return self.moves


@pytest.mark.parametrize("seed", range(3))
def test_points_share_no_row_and_no_column(seed):
    rng = Recording(seed)
    change = ThinPlateSpline().draw(rng, np.zeros(SIZE, np.uint8))
    rows, columns = rng.choices
    assert len(set(rows)) == len(set(columns)) == 12
    assert rows.max() < SIZE[0] and columns.max() < SIZE[1]
    source = np.column_stack([columns / SIZE[1], rows / SIZE[0]])
    expected = spline_maps(source, source + rng.moves, SIZE)
    np.testing.assert_array_equal(change.columns, expected[0])
    np.testing.assert_array_equal(change.rows, expected[1])


def test_moves_are_about_the_stated_size():
    moves = []
    for seed in range(50):
        rng = Recording(seed)
        ThinPlateSpline(noise=0.02).draw(rng, np.zeros(SIZE, np.uint8))
        moves.append(rng.moves)
    assert np.std(moves) == pytest.approx(0.02, rel=0.1)
    assert np.mean(moves) == pytest.approx(0, abs=0.003)
