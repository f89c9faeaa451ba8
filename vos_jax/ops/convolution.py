"""Two-dimensional convolution of NHWC maps."""

import jax
from jaxtyping import Array, Float


def convolution(
    x: Float[Array, "b y x c"], kernel: Float[Array, "i j c f"], stride: int = 1
) -> Float[Array, "b y2 x2 f"]:
    """Convolves with zero padding of half the kernel on every side.

    Args:
        x: maps.
        kernel: an odd, square kernel.
        stride: step in both directions; output sizes are ceil(size / stride).
    """
    half = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((half, half), (half, half)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
