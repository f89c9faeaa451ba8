"""Deformable 3x3 convolution: every tap of every pixel reads where an offset sends it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def deformable_convolution(
    x: Float[Array, "b y x c"],
    offsets: Float[Array, "b y x 18"],
    kernel: Float[Array, "3 3 c f"],
    bias: Float[Array, " f"],
) -> Float[Array, "b y x f"]:
    """Convolves with sampling positions moved by offsets (torchvision's deform_conv2d).

    Tap k = 3 i + j of pixel (y, x) reads the map at (y - 1 + i + offsets[2k],
    x - 1 + j + offsets[2k + 1]), bilinearly; neighbours outside the map count as zero.

    Args:
        x: maps.
        offsets: row shift and column shift of each tap, in pixels of the map.
        kernel: weights of the nine taps.
        bias: added to every pixel.
    """
    samples = sample_taps(x, offsets)
    b, height, width = x.shape[:3]
    product = samples.reshape(b, height, width, -1) @ kernel.reshape(-1, kernel.shape[-1])
    return product + bias


def sample_taps(
    x: Float[Array, "b y x c"], offsets: Float[Array, "b y x 18"]
) -> Float[Array, "b y x 9 c"]:
    """Reads the nine taps of every pixel, bilinearly, zero outside the map."""
    b, height, width, c = x.shape
    rows, columns = tap_positions(offsets)
    top, left = jnp.floor(rows), jnp.floor(columns)
    row_part, column_part = rows - top, columns - left
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    flat = padded.reshape(b, -1, c)
    total = 0.0
    for down in (0, 1):
        for right in (0, 1):
            weight = (row_part if down else 1 - row_part) * (
                column_part if right else 1 - column_part
            )
            row = jnp.clip(top + (down + 1), 0, height + 1).astype(jnp.int32)
            column = jnp.clip(left + (right + 1), 0, width + 1).astype(jnp.int32)
            index = (row * (width + 2) + column).reshape(b, -1, 1)
            read = jnp.take_along_axis(flat, index, 1, mode="promise_in_bounds")
            total = total + weight[..., None].astype(x.dtype) * read.reshape(b, height, width, 9, c)
    return total


def tap_positions(
    offsets: Float[Array, "b y x 18"],
) -> tuple[Float[Array, "b y x 9"], Float[Array, "b y x 9"]]:
    """Returns the row and the column each tap reads at, in float32."""
    height, width = offsets.shape[1:3]
    shifts = offsets.astype(jnp.float32).reshape(*offsets.shape[:3], 9, 2)
    tap_row, tap_column = np.divmod(np.arange(9), 3)
    rows = np.arange(height, dtype=np.float32)[:, None, None] + (tap_row - 1)
    columns = np.arange(width, dtype=np.float32)[:, None] + (tap_column - 1)
    return shifts[..., 0] + rows.astype(np.float32), shifts[..., 1] + columns.astype(np.float32)
