"""HODOR's masks: the grid of background cells, and how masks reach the encoder at stride 8."""

import numpy as np
from jaxtyping import Array, Float

from vos_jax.core.resize import resize

STRIDE = 8
GRIDS = {1: (1, 1), 2: (1, 2), 4: (2, 2), 9: (3, 3), 12: (3, 4), 16: (4, 4)}


def background_grid(size: tuple[int, int], cells: int = 9) -> Float[np.ndarray, "h w k"]:
    """Binary masks of the background cells, row-major; the last ones take the remainder."""
    rows, columns = GRIDS[cells]
    row = np.minimum(np.arange(size[0]) // max(size[0] // rows, 1), rows - 1)
    column = np.minimum(np.arange(size[1]) // max(size[1] // columns, 1), columns - 1)
    return np.eye(cells, dtype=np.float32)[row[:, None] * columns + column[None, :]]


def reference_masks(
    planes: Float[Array, "b h w o"], cells: int = 9
) -> tuple[Float[Array, "b y x o"], Float[Array, "b y x k"]]:
    """Object and background masks at stride 8 from given planes at network size.

    The grid is cut out at full size and reduced with the objects, so that its cells keep their
    exact borders.
    """
    free = (planes.max(-1, keepdims=True) <= 0).astype(planes.dtype)
    background = free * background_grid(planes.shape[1:3], cells)
    return _reduce(planes), _reduce(background)


def predicted_masks(
    planes: Float[Array, "b h w o"], cells: int = 9
) -> tuple[Float[Array, "b y x o"], Float[Array, "b y x k"]]:
    """Object and background masks at stride 8 from soft planes of a prediction.

    The background is what the objects leave over, cut by the grid at stride 8.
    """
    objects = _reduce(planes)
    left = 1 - objects.sum(-1, keepdims=True)
    return objects, left * background_grid(objects.shape[1:3], cells)


def _reduce(planes):
    """Bilinear reduction by 8: the mean of each block's four middle pixels."""
    size = (planes.shape[1] // STRIDE, planes.shape[2] // STRIDE)
    return resize(planes, size)
