"""Points and masks as weights on cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vos_jax.core.errors import ConfigError, MaskError
from vos_jax.core.geometry import Geometry
from vos_jax.correspondence.marks import mask_map, point_map

PADDED = Geometry(frame=(90, 108), resized=(90, 108), network=(96, 112), offset=(3, 2))
REDUCED = Geometry(frame=(180, 216), resized=(90, 108), network=(96, 112), offset=(3, 2))


def cell(weights):
    """The only cell that is set."""
    assert weights.dtype == np.float32
    assert weights.sum() == weights.max() == 1
    return tuple(map(int, np.unravel_index(weights.argmax(), weights.shape)))


@pytest.mark.parametrize(
    "point, shifted, official",
    [
        ((0, 0), (0, 0), (0, 0)),
        ((13, 12), (0, 0), (0, 0)),
        ((14, 13), (1, 1), (0, 0)),
        ((40, 50), (3, 2), (3, 2)),
        ((47, 50), (3, 3), (3, 2)),
        ((107, 89), (5, 6), (5, 6)),
        ((13.9, 12.9), (0, 0), (0, 0)),
    ],
)
def test_cells_of_points(point, shifted, official):
    assert cell(point_map(*point, PADDED)) == shifted
    assert cell(point_map(*point, PADDED, shifted=False)) == official


@given(x=st.integers(0, 107), y=st.integers(0, 89))
def test_the_cell_of_a_point_covers_it(x, y):
    marked = np.zeros((96, 112))
    marked[3 + y, 2 + x] = 1
    weights = marked.reshape(6, 16, 7, 16).sum((1, 3))
    np.testing.assert_array_equal(point_map(x, y, PADDED), weights)


@given(x=st.integers(0, 215), y=st.integers(0, 179))
def test_points_are_of_the_picture_as_it_came(x, y):
    expected = point_map(x / 2, y / 2, PADDED)
    np.testing.assert_array_equal(point_map(x, y, REDUCED), expected)


@pytest.mark.parametrize(
    "point", [(-1, 5), (5, -0.1), (108, 5), (5, 90), (1e9, 0), (float("nan"), 3)]
)
@pytest.mark.parametrize("shifted", [True, False])
def test_points_outside_are_refused(point, shifted):
    with pytest.raises(ConfigError, match="outside the source picture, 108x90.*0 to 107.*0 to 89"):
        point_map(*point, PADDED, shifted=shifted)


@given(st.integers(0, 2**32 - 1))
def test_masks_become_shares_of_cells(seed):
    mask = np.random.default_rng(seed).random((90, 108)) < 0.3
    weights = mask_map(mask, PADDED)
    assert weights.shape == (6, 7)
    assert weights.dtype == np.float32
    assert weights.sum() == pytest.approx(mask.sum() / 256, rel=1e-5)
    assert weights[2, 3] == pytest.approx(mask[29:45, 46:62].mean())


def test_any_number_but_zero_is_set():
    mask = np.zeros((90, 108), np.uint8)
    mask[13:29, 14:30] = 7
    weights = mask_map(mask, PADDED)
    assert cell(weights) == (1, 1)


@pytest.mark.parametrize("point", [(0, 0), (60, 44), (107, 89)])
def test_one_pixel_weighs_its_share_of_the_points_cell(point):
    mask = np.zeros((90, 108), bool)
    mask[point[1], point[0]] = True
    np.testing.assert_allclose(mask_map(mask, PADDED), point_map(*point, PADDED) / 256)


def test_masks_are_reduced_with_their_picture():
    mask = np.random.default_rng(0).random((90, 108)) < 0.3
    large = mask.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(mask_map(large, REDUCED), mask_map(mask, PADDED), atol=1e-6)


def test_an_empty_mask_is_refused():
    with pytest.raises(MaskError, match="empty"):
        mask_map(np.zeros((90, 108)), PADDED)


@pytest.mark.parametrize("size", [(96, 112), (108, 90), (180, 216)])
def test_masks_of_other_sizes_are_refused(size):
    with pytest.raises(MaskError, match=f"mask is {size[1]}x{size[0]}, the source picture 108x90"):
        mask_map(np.ones(size), PADDED)
