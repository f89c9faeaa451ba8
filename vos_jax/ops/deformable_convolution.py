"""Deformable 3x3 convolution: every tap of every pixel reads where an offset sends it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from vos_jax.ops.strips import strips

TAPS = 9


def deformable_convolution(
    x: Float[Array, "b y x c"],
    offsets: Float[Array, "b y x 18"],
    kernel: Float[Array, "3 3 c f"],
    bias: Float[Array, " f"],
) -> Float[Array, "b y x f"]:
    """Convolves with sampling positions moved by offsets (torchvision's deform_conv2d).

    Tap k = 3 i + j of pixel (y, x) reads the map at (y - 1 + i + offsets[2k],
    x - 1 + j + offsets[2k + 1]), bilinearly; neighbours outside the map count as zero. Works
    tap by tap and strip by strip: a gather of rows of channels and a product, in little memory.

    Args:
        x: maps.
        offsets: row shift and column shift of each tap, in pixels of the map.
        kernel: weights of the nine taps.
        bias: added to every pixel.
    """
    b, height, width, c = x.shape
    flat = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, -1, c)
    count = strips(height, 3 * x.size)
    places = [p.reshape(TAPS, b, count, -1) for p in tap_positions(offsets)]
    taps = kernel.reshape(TAPS, c, -1)

    def add_tap(total, tap):
        row, column, weights = tap
        return total + sample(flat, row, column, (height, width)) @ weights, None

    def strip(places):
        start = jnp.broadcast_to(bias, (b, height * width // count, bias.shape[0]))
        return jax.lax.scan(add_tap, start, (*places, taps))[0]

    out = jax.lax.map(strip, [jnp.moveaxis(p, 2, 0) for p in places])
    return jnp.moveaxis(out, 0, 1).reshape(b, height, width, -1)


def sample(
    flat: Float[Array, "b s c"],
    row: Float[Array, "b n"],
    column: Float[Array, "b n"],
    size: tuple[int, int],
) -> Float[Array, "b n c"]:
    """Reads maps bilinearly at real positions, zero outside.

    Args:
        flat: maps with a border of one zero cell, row by row.
        row: rows to read at, in cells of the map without its border.
        column: columns to read at.
        size: height and width of the map without its border.
    """
    top, left = jnp.floor(row), jnp.floor(column)
    below, beside = row - top, column - left
    total = 0.0
    for down, row_weight in ((0, 1 - below), (1, below)):
        for right, column_weight in ((0, 1 - beside), (1, beside)):
            index = _cell(top + down, left + right, size)
            read = jnp.take_along_axis(flat, index[..., None], 1, mode="promise_in_bounds")
            total = total + (row_weight * column_weight)[..., None].astype(flat.dtype) * read
    return total


def _cell(row: Array, column: Array, size: tuple[int, int]) -> Int32[Array, "b n"]:
    height, width = size
    row = jnp.clip(row + 1, 0, height + 1).astype(jnp.int32)
    column = jnp.clip(column + 1, 0, width + 1).astype(jnp.int32)
    return row * (width + 2) + column


def tap_positions(
    offsets: Float[Array, "b y x 18"],
) -> tuple[Float[Array, "9 b n"], Float[Array, "9 b n"]]:
    """Returns the row and the column every tap reads at, in float32."""
    b, height, width = offsets.shape[:3]
    tap_row, tap_column = np.divmod(np.arange(TAPS), 3)
    rows = np.arange(height)[:, None, None] + (tap_row - 1)
    columns = np.arange(width)[:, None] + (tap_column - 1)
    shifts = offsets.astype(jnp.float32).reshape(b, height, width, TAPS, 2)
    row = shifts[..., 0] + rows.astype(np.float32)
    column = shifts[..., 1] + columns.astype(np.float32)
    row, column = (jnp.moveaxis(x, -1, 0).reshape(TAPS, b, -1) for x in (row, column))
    return row, column
