"""Layers that several systems share, initialised as PyTorch initialises its own.

All keep float32 parameters and compute in their `dtype`; normalisation statistics are float32.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.ops.convolution import (
    convolution,
    depthwise_convolution,
    is_large,
    transform_kernel,
    winograd,
)
from vos_jax.ops.volumes import by_pairs, volume_convolution

Initializer = Callable[..., Array]

TORCH_KERNEL = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform within 1 / sqrt(fan in): PyTorch's rule for linear and convolution weights."""

LECUN = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
"""Uniform with variance 1 / fan in."""

EPSILON = 1e-5
FACTORS = "factors"
"""Collection of the kernels that a CPU takes transformed, if they were transformed beforehand."""


def torch_bias(fan_in: int) -> Initializer:
    """Returns the initialiser of a bias: uniform within 1 / sqrt(fan_in)."""
    limit = fan_in**-0.5

    def initialise(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return initialise


def layer_norm(dtype=jnp.float32, name: str | None = None) -> nn.LayerNorm:
    """Builds a LayerNorm over channels with PyTorch's epsilon."""
    return nn.LayerNorm(epsilon=EPSILON, use_fast_variance=False, dtype=dtype, name=name)


def convolve(
    layer: nn.Module,
    x: Float[Array, "b y x c"],
    kernel: Float[Array, "i j c f"],
    stride: int = 1,
    dilation: int = 1,
    name: str = "kernel",
) -> Float[Array, "b y2 x2 f"]:
    """A layer's `ops.convolution`, by the `FACTORS` of the kernel where there are some.

    Args:
        layer: whose variables may hold the factors; they are made if their collection is mutable.
        x: maps.
        kernel: of the layer.
        stride: step in both directions.
        dilation: cells from one tap of the kernel to the next.
        name: of the kernel among those of the layer.
    """
    large = is_large(x, kernel, stride, dilation, prepared=True)
    if large and layer.is_mutable_collection(FACTORS) and not layer.is_initializing():
        layer.put_variable(FACTORS, name, transform_kernel(kernel))
    if large and layer.has_variable(FACTORS, name):
        return winograd(x, layer.get_variable(FACTORS, name))
    return convolution(x, kernel, stride, dilation)


def convolve_volume(
    layer: nn.Module, x: Float[Array, "b t y x c"], kernel: Float[Array, "3 3 3 c f"]
) -> Float[Array, "b t y x f"]:
    """A layer's `ops.volumes.volume_convolution`, by the `FACTORS` of its kernels likewise."""

    def flat(maps: Array, weights: Array, number: int) -> Array:
        return convolve(layer, maps, weights, name=f"kernel_{number}")

    if layer.is_mutable_collection(FACTORS) or layer.has_variable(FACTORS, "kernel_0"):
        return by_pairs(x, kernel, flat)
    return volume_convolution(x, kernel)


class Linear(nn.Module):
    """A linear map of the last axis.

    Attributes:
        features: output channels.
        use_bias: whether there is a bias.
        kernel_init: initialiser of the kernel.
        bias_init: initialiser of the bias; PyTorch's rule if None.
        dtype: compute dtype.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = TORCH_KERNEL
    bias_init: Initializer | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n f"]:
        """Maps the channels."""
        width = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (width, self.features))
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init or torch_bias(width), (self.features,))
        return y + bias.astype(self.dtype)


class Conv(nn.Module):
    """A square convolution with zero padding of half the kernel.

    Attributes:
        features: output channels.
        kernel_size: side of the kernel.
        stride: step in both directions.
        use_bias: whether there is a bias.
        dtype: compute dtype.
        kernel_init: initialiser of the kernel.
        bias_init: initialiser of the bias; PyTorch's rule if None.
        dilation: cells from one tap of the kernel to the next.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_init: Initializer = TORCH_KERNEL
    bias_init: Initializer | None = None
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Convolves a batch of maps."""
        size, width = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (size, size, width, self.features))
        y = convolve(
            self, x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.dilation
        )
        if not self.use_bias:
            return y
        bias_init = self.bias_init or torch_bias(size * size * width)
        bias = self.param("bias", bias_init, (self.features,))
        return y + bias.astype(self.dtype)


class DepthwiseConv(nn.Module):
    """A square convolution of every channel alone, without bias, padded by half the kernel.

    Attributes:
        kernel_size: side of the kernel.
        stride: step in both directions.
        dilation: cells from one tap of the kernel to the next.
        dtype: compute dtype.
        kernel_init: initialiser of the kernel.
    """

    kernel_size: int = 3
    stride: int = 1
    dilation: int = 1
    dtype: DTypeLike = jnp.float32
    kernel_init: Initializer = TORCH_KERNEL

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 c"]:
        """Convolves a batch of maps."""
        size = self.kernel_size
        kernel = self.param("kernel", self.kernel_init, (size, size, 1, x.shape[-1]))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return depthwise_convolution(x, kernel, self.stride, self.dilation)


class GroupNorm(nn.Module):
    """Group normalisation over pixels and the channels of a group, biased variance.

    The variance is that of the channels around the group's mean, so that the sums run along
    pixels, channel by channel, and nothing cancels.

    Attributes:
        groups: number of channel groups.
        dtype: dtype of the result.
    """

    groups: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Normalises a batch of maps."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (channels,))
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,))
        x = x.astype(jnp.float32)
        mean = self._over_groups(jnp.mean(x, (1, 2)))
        variance = self._over_groups(jnp.mean(jnp.square(x - mean[:, None, None]), (1, 2)))
        gain = scale * jax.lax.rsqrt(variance + EPSILON)
        shift = bias - mean * gain
        return (x * gain[:, None, None] + shift[:, None, None]).astype(self.dtype)

    def _over_groups(self, x: Float[Array, "b c"]) -> Float[Array, "b c"]:
        batch, channels = x.shape
        means = jnp.mean(x.reshape(batch, self.groups, -1), -1)
        return jnp.repeat(means, channels // self.groups, 1)


class DropPath(nn.Module):
    """Stochastic depth: drops a whole branch, per sample, when a "dropout" key is given.

    Attributes:
        rate: probability that a branch is dropped; survivors are divided by 1 - rate.
    """

    rate: float

    def __call__(self, x: Float[Array, "b *n"]) -> Float[Array, "b *n"]:
        """Drops or scales each sample's branch."""
        if self.rate == 0 or not self.has_rng("dropout"):
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, shape)
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros_like(x))


class Dropout(nn.Module):
    """Dropout that is active exactly when a "dropout" key is given.

    Attributes:
        rate: probability that an element is dropped.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Drops elements, dividing the others by 1 - rate."""
        return nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(x)
