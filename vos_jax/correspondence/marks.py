"""What somebody points at, as weights on the source picture's cells."""

import numpy as np

from vos_jax.core.errors import ConfigError, MaskError
from vos_jax.core.geometry import Geometry, Size
from vos_jax.correspondence.pictures import STRIDE, scaled, size_text


def point_map(x: float, y: float, geometry: Geometry, shifted: bool = True) -> np.ndarray:
    """A one in the cell of a pixel, zeros elsewhere: float32 [y, x].

    Args:
        x: column of the pixel in the picture as it came.
        y: its row.
        geometry: sizes of the picture.
        shifted: whether the padding before the picture counts; the official tool leaves it out,
            and so takes a cell up to 7 pixels off where a side is no multiple of 16.

    Raises:
        ConfigError: the point is not in the picture.
    """
    check_point(x, y, geometry.frame)
    height, width = geometry.frame
    y, x = y * geometry.resized[0] / height, x * geometry.resized[1] / width
    top, left = geometry.offset if shifted else (0, 0)
    weights = np.zeros([side // STRIDE for side in geometry.network], np.float32)
    weights[int(y + top) // STRIDE, int(x + left) // STRIDE] = 1
    return weights


def check_point(x: float, y: float, size: Size) -> None:
    """Raises `ConfigError` where a point is not in a picture of such height and width."""
    height, width = size
    if not (0 <= x < width and 0 <= y < height):
        raise ConfigError(
            f"the point {x:g},{y:g} lies outside the source picture, {width}x{height}; x counts "
            f"from 0 to {width - 1}, y from 0 to {height - 1}"
        )


def mask_map(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The share of each cell that a mask covers: float32 [y, x].

    Args:
        mask: [h, w] of the picture as it came, set where not 0.
        geometry: sizes of the picture it belongs to.

    Raises:
        MaskError: it has another size than the picture, or nothing is set.
    """
    if mask.shape != geometry.frame:
        height, width = geometry.frame
        raise MaskError(
            f"the mask is {size_text(mask)}, the source picture {width}x{height}; resize the "
            "mask with nearest neighbour"
        )
    if not mask.any():
        raise MaskError("the mask is empty; set the pixels to look for")
    resized = scaled((mask != 0).astype(np.float32), geometry.resized)
    padded = np.pad(resized, geometry.padding)
    rows, columns = (side // STRIDE for side in padded.shape)
    return padded.reshape(rows, STRIDE, columns, STRIDE).mean((1, 3))
