"""Convolution, pooling and enlargement of clips of maps: time beside rows and columns."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos_jax.core.resize import resize
from vos_jax.ops.convolution import convolution


def volume_convolution(
    x: Float[Array, "b t y x c"], kernel: Float[Array, "3 3 3 c f"]
) -> Float[Array, "b t y x f"]:
    """Convolves over time and space, padded with zeros by one cell on every side.

    A CPU convolves `by_pairs`: 2-D convolutions are the faster ones there.
    """
    return jax.lax.platform_dependent(x, kernel, cpu=by_pairs, default=_plain)


def _plain(x: Array, kernel: Array) -> Array:
    dimensions = ("NDHWC", "DHWIO", "NDHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1, 1), "SAME", dimension_numbers=dimensions)


def _unnumbered(maps: Array, kernel: Array, number: int) -> Array:
    return convolution(maps, kernel)


def by_pairs(
    x: Float[Array, "b t y x c"],
    kernel: Float[Array, "3 3 3 c f"],
    convolve: Callable[[Array, Array, int], Array] = _unnumbered,
) -> Float[Array, "b t y x f"]:
    """The same, by four 2-D convolutions for every two times instead of six.

    Winograd's minimal filtering F(2, 3) over time (Lavin and Gray 2016): sums and differences of
    the four frames that two results depend on are convolved, each with a kernel of its own.

    Args:
        x: clips.
        kernel: with time first.
        convolve: the 2-D convolution of maps with one of the kernels, and its number.
    """
    b, t, *sizes = x.shape
    pairs = -(-t // 2)
    x = jnp.pad(x, ((0, 0), (1, 2 * pairs - t + 1), *((0, 0),) * 3))
    frames = [x[:, i : i + 2 * pairs - 1 : 2] for i in range(4)]
    mixed = (frames[0] - frames[2], frames[1] + frames[2], frames[2] - frames[1])
    mixed += (frames[1] - frames[3],)
    middle, ends = kernel[1] / 2, (kernel[0] + kernel[2]) / 2
    kernels = (kernel[0], ends + middle, ends - middle, kernel[2])
    parts = []
    for number, (maps, weights) in enumerate(zip(mixed, kernels, strict=True)):
        maps = maps.reshape(b * pairs, *sizes)
        parts.append(convolve(maps, weights, number))
    first, second = parts[0] + parts[1] + parts[2], parts[1] - parts[2] - parts[3]
    both = jnp.stack([first, second], axis=1)
    return both.reshape(b, 2 * pairs, *both.shape[2:])[:, :t]


def average_pool(x: Float[Array, "b t y x c"]) -> Float[Array, "b t2 y x c"]:
    """Means of 3x3x3 cells at every second time, zeros around the clip counted: t2 = ceil(t / 2).

    Sums along one axis after the other.
    """
    for axis, stride in ((1, 2), (2, 1), (3, 1)):
        length = x.shape[axis]
        padded = jnp.pad(x, [(int(i == axis),) * 2 for i in range(x.ndim)])
        x = sum(
            jax.lax.slice_in_dim(padded, start, start + length, stride, axis) for start in range(3)
        )
    return x / 27


def enlarge(
    x: Float[Array, "b t y x c"], time: int, space: int = 2
) -> Float[Array, "b t2 y2 x2 c"]:
    """Trilinear enlargement by whole factors, half-pixel centres."""
    b, t, height, width, c = x.shape
    x = resize(x.reshape(b, t, height * width, c), (t * time, height * width))
    x = x.reshape(b, t * time, height, width, c)
    return resize(x, (height * space, width * space))
