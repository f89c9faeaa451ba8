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
WORTHWHILE = ((4096, 64), (1536, 256))
"""Maps of so many pixels with so many channels, in and out, are faster by `winograd`."""
PREPARED = ((4096, 64), (800, 128))
"""The same where the kernel is transformed beforehand; the pixels of all maps together count."""

LARGE_KERNEL = 2**16
"""Bytes of a depthwise kernel that a processor's first cache does not hold."""
CHANNELS_AT_ONCE = 128
"""Of a depthwise convolution with such a kernel."""


def convolution(
    x: Float[Array, "b y x c"], kernel: Float[Array, "i j c f"], stride: int = 1, dilation: int = 1
) -> Float[Array, "b y2 x2 f"]:
    """Convolves with zero padding of half the (dilated) kernel on every side.

    Large float32 maps on a CPU take `winograd`, equal up to rounding and nearly twice as fast.

    Args:
        x: maps.
        kernel: an odd, square kernel.
        stride: step in both directions; output sizes are ceil(size / stride).
        dilation: cells from one tap of the kernel to the next.
    """
    if kernel.shape[0] == 1:
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    if is_large(x, kernel, stride, dilation):
        return _large(x, kernel)
    return _plain(x, kernel, stride, dilation)


def is_large(
    x: Array, kernel: Array, stride: int = 1, dilation: int = 1, prepared: bool = False
) -> bool:
    """Whether a CPU convolves so many pixels and channels by `winograd`.

    Args:
        x: maps.
        kernel: of the convolution.
        stride: of the convolution.
        dilation: of the convolution.
        prepared: whether the transformed kernel serves more maps than these.
    """
    pixels, width = x.shape[1] * x.shape[2], min(kernel.shape[2:])
    if prepared:
        pixels *= len(x)
    known = PREPARED if prepared else WORTHWHILE
    large = any(pixels >= least and width >= channels for least, channels in known)
    usual = kernel.shape[0] == 3 and stride == dilation == 1
    return large and usual and x.dtype == kernel.dtype == jnp.float32


@jax.custom_vjp
def _large(x: Array, kernel: Array) -> Array:
    def transformed(x, kernel):
        return winograd(x, transform_kernel(kernel))

    return jax.lax.platform_dependent(x, kernel, cpu=transformed, default=_plain)


def _large_forward(x: Array, kernel: Array):
    return _large(x, kernel), (x, kernel)


def _large_backward(operands, cotangent: Array):
    """The plain convolution's gradient: `winograd`'s own would take many times as long."""
    return jax.vjp(_plain, *operands)[1](cotangent)


_large.defvjp(_large_forward, _large_backward)


def _plain(x: Array, kernel: Array, stride: int = 1, dilation: int = 1) -> Array:
    half = dilation * (kernel.shape[0] // 2)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((half, half), (half, half)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def transform_kernel(kernel: Float[Array, "3 3 c f"]) -> Float[Array, "36 c f"]:
    """The kernel as `winograd` takes it; for many channels that costs as much as a convolution."""
    _, of_kernel, _ = _transforms()
    factors = np.kron(of_kernel, of_kernel) @ kernel.reshape(9, -1)
    return factors.reshape(36, *kernel.shape[2:])


def winograd(
    x: Float[Array, "b y x c"], factors: Float[Array, "36 c f"]
) -> Float[Array, "b y x f"]:
    """3x3 convolution by Winograd's minimal filtering F(4x4, 3x3): a quarter of the products.

    Tiles of 6x6 cells, 4 apart, are transformed along both axes, multiplied channel by channel
    with the transformed kernel and transformed to tiles of 4x4 cells (Lavin and Gray 2016); a few
    rows of tiles at a time, so that the intermediates stay in the cache.

    Args:
        x: maps; the convolution pads them with zeros.
        factors: its kernel, as `transform_kernel` makes them.
    """
    b, height, width, c = x.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    steps = -(-rows // max(TILES_AT_ONCE // (b * columns), 1))
    rows = -(-rows // steps)
    to_output, _, of_input = _transforms()
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


def depthwise_convolution(
    x: Float[Array, "b y x c"], kernel: Float[Array, "i j 1 c"], stride: int = 1, dilation: int = 1
) -> Float[Array, "b y2 x2 c"]:
    """Convolves every channel alone, with zero padding of half the (dilated) kernel.

    A CPU sums shifted maps, many times faster than XLA's grouped convolution there; where
    the kernel is a `LARGE_KERNEL`, for `CHANNELS_AT_ONCE`.

    Args:
        x: maps.
        kernel: an odd, square kernel per channel.
        stride: step in both directions; output sizes are ceil(size / stride).
        dilation: cells from one tap of the kernel to the next.
    """
    half = dilation * (kernel.shape[0] // 2)

    def in_parts(x: Array, kernel: Array) -> Array:
        channels = x.shape[-1]
        if kernel.nbytes <= LARGE_KERNEL or channels % CHANNELS_AT_ONCE:
            return shifted(x, kernel)
        parts = [
            jnp.moveaxis(part.reshape(*part.shape[:3], -1, CHANNELS_AT_ONCE), 3, 0)
            for part in (x, kernel)
        ]
        out = jax.lax.map(lambda both: shifted(*both), tuple(parts))
        return jnp.moveaxis(out, 0, 3).reshape(*out.shape[1:4], channels)

    def shifted(x: Array, kernel: Array) -> Array:
        rows, columns = (stride * (-(-side // stride) - 1) + 1 for side in x.shape[1:3])
        padded = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
        taps = []
        for i, j in np.ndindex(kernel.shape[:2]):
            top, left = i * dilation, j * dilation
            part = padded[:, top : top + rows : stride, left : left + columns : stride]
            taps.append(part * kernel[i, j, 0])
        return functools.reduce(jnp.add, taps)

    def grouped(x: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(stride, stride),
            padding=((half, half), (half, half)),
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1],
        )

    return jax.lax.platform_dependent(x, kernel, cpu=in_parts, default=grouped)
