"""HODOR's background grid and its two ways from masks to stride 8."""

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.hodor.masks import (
    GRIDS,
    background_grid,
    predicted_masks,
    reference_masks,
)


@pytest.mark.parametrize("cells", GRIDS)
@pytest.mark.parametrize("size", [(12, 16), (13, 17), (64, 96), (5, 4)])
def test_cells_cover_every_pixel_once(cells, size):
    grid = background_grid(size, cells)
    assert grid.shape == (*size, cells)
    np.testing.assert_array_equal(grid.sum(-1), 1)


def test_last_cells_take_the_remainder_and_cells_run_row_by_row():
    grid = background_grid((13, 17), 9)
    heights = [int(grid[:, 0, 3 * row].sum()) for row in range(3)]
    widths = [int(grid[0, :, column].sum()) for column in range(3)]
    assert heights == [4, 4, 5]
    assert widths == [5, 5, 7]
    assert grid[12, 0, 6] == 1


def test_reference_background_is_cut_out_at_full_size():
    planes = np.zeros((1, 48, 48, 2), np.float32)
    planes[0, 8:16, 8:16, 0] = 1
    objects, background = reference_masks(jnp.asarray(planes))
    assert objects.shape == (1, 6, 6, 2)
    assert objects[0, 1, 1, 0] == 1
    assert background[0, 1, 1].sum() == 0
    np.testing.assert_allclose(objects.sum(-1) + background.sum(-1), 1)


def test_reference_masks_are_quarters():
    planes = np.random.default_rng(0).integers(0, 2, (1, 32, 40, 1)).astype(np.float32)
    objects, _ = reference_masks(jnp.asarray(planes))
    np.testing.assert_allclose(objects * 4, np.round(objects * 4))


def test_predicted_background_is_what_the_objects_leave():
    planes = np.random.default_rng(1).uniform(0, 0.5, (2, 32, 40, 2)).astype(np.float32)
    objects, background = predicted_masks(jnp.asarray(planes))
    np.testing.assert_allclose(objects.sum(-1) + background.sum(-1), 1, rtol=1e-6)
    inside = background_grid((4, 5), 9)
    np.testing.assert_array_equal(np.asarray(background) * (1 - inside), 0)
