"""Two-dimensional convolution of NHWC maps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

TILE = 4
POINTS = (0.0, 0.6, -0.6, 1.5, -1.5)
"""Where the polynomials of `winograd` are evaluated, besides infinity: chosen for accuracy."""
TILES_AT_ONCE = 192
"""Tiles whose intermediates stay in a processor's cache."""
WORTHWHILE = {"pixels": 4096, "channels": 64, "features": 64}


def convolution(
    x: Float[Array, "b y x c"], kernel: Float[Array, "i j c f"], stride: int = 1
) -> Float[Array, "b y2 x2 f"]:
    """Convolves with zero padding of half the kernel on every side.

    Large float32 maps on a CPU take `winograd`, equal up to rounding and nearly twice as fast.

    Args:
        x: maps.
        kernel: an odd, square kernel.
        stride: step in both directions; output sizes are ceil(size / stride).
    """
    if kernel.shape[0] == stride == 1:
        return x @ kernel[0, 0]
    sizes = {"pixels": x.shape[1] * x.shape[2], "channels": x.shape[3], "features": kernel.shape[3]}
    large = all(sizes[name] >= least for name, least in WORTHWHILE.items())
    if large and kernel.shape[0] == 3 and stride == 1 and x.dtype == kernel.dtype == jnp.float32:
        plain = functools.partial(_plain, stride=1)
        return jax.lax.platform_dependent(x, kernel, cpu=winograd, default=plain)
    return _plain(x, kernel, stride)


def _plain(x: Array, kernel: Array, stride: int) -> Array:
    half = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((half, half), (half, half)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def winograd(
    x: Float[Array, "b y x c"], kernel: Float[Array, "3 3 c f"]
) -> Float[Array, "b y x f"]:
    """3x3 convolution by Winograd's minimal filtering F(4x4, 3x3): a quarter of the products.

    Tiles of 6x6 cells, 4 apart, are transformed along both axes, multiplied channel by channel
    with the transformed kernel and transformed to tiles of 4x4 cells (Lavin and Gray 2016); a few
    rows of tiles at a time, so that the intermediates stay in the cache.

    Args:
        x: maps.
        kernel: of the convolution, which pads with zeros.
    """
    b, height, width, c = x.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    steps = -(-rows // max(TILES_AT_ONCE // (b * columns), 1))
    rows = -(-rows // steps)
    to_output, of_kernel, of_input = _transforms()
    factors = _blend(of_kernel, list(kernel), 0)
    factors = _blend(of_kernel, [factors[:, j] for j in range(3)], 1).reshape(36, c, -1)
    below, right = TILE * rows * steps - height + 1, TILE * columns - width + 1
    padded = jnp.pad(x, ((0, 0), (1, below), (1, right), (0, 0)))

    def strip(_, top):
        part = jax.lax.dynamic_slice_in_dim(padded, top, TILE * rows + 2, 1)
        part = _blend(of_input, [part[:, i : i + TILE * rows - 3 : TILE] for i in range(6)], 0)
        tiles = [part[:, :, :, j : j + TILE * columns - 3 : TILE] for j in range(6)]
        products = _blend(of_input, tiles, 1).reshape(36, -1, c) @ factors
        products = _blend(to_output, list(products.reshape(6, 6, b, rows, columns, -1)), 0)
        return None, _blend(to_output, [jnp.moveaxis(products[:, j], 0, 2) for j in range(6)], 4)

    _, out = jax.lax.scan(strip, None, TILE * rows * jnp.arange(steps))
    out = jnp.moveaxis(out, 0, 1).reshape(b, TILE * rows * steps, TILE * columns, -1)
    return out[:, :height, :width]


def _transforms() -> tuple[np.ndarray, ...]:
    """The matrices of outputs, kernel and inputs: evaluation at points, and interpolation."""

    def powers(count: int) -> np.ndarray:
        finite = np.array(POINTS)[:, None] ** np.arange(count)
        return np.concatenate([finite, np.eye(count)[-1:]])

    scale = np.linalg.norm(powers(3), axis=1, keepdims=True)
    of_input = np.linalg.inv(powers(6)).T * scale
    matrices = powers(TILE).T, powers(3) / scale, of_input
    return tuple(matrix.astype(np.float32) for matrix in matrices)


def _blend(matrix: np.ndarray, parts: list[Array], axis: int) -> Array:
    """Weighted sums of the parts, one per row of the matrix, along a new axis."""
    shape = [1] * (parts[0].ndim + 1)
    shape[axis] = -1
    weights = [column.reshape(shape) for column in matrix.T]
    terms = [
        weight * jnp.expand_dims(part, axis) for weight, part in zip(weights, parts, strict=True)
    ]
    return functools.reduce(jnp.add, terms)
