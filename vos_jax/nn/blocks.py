"""Layers that several systems share, initialised as PyTorch initialises its own.

All keep float32 parameters and compute in their `dtype`; normalisation statistics are float32.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.ops.convolution import convolution

Initializer = Callable[..., Array]

TORCH_KERNEL = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform within 1 / sqrt(fan in): PyTorch's rule for linear and convolution weights."""

EPSILON = 1e-5


def torch_bias(fan_in: int) -> Initializer:
    """Returns the initialiser of a bias: uniform within 1 / sqrt(fan_in)."""
    limit = fan_in**-0.5

    def initialise(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return initialise


def layer_norm(dtype=jnp.float32, name: str | None = None) -> nn.LayerNorm:
    """Builds a LayerNorm over channels with PyTorch's epsilon."""
    return nn.LayerNorm(epsilon=EPSILON, use_fast_variance=False, dtype=dtype, name=name)


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
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Convolves a batch of maps."""
        size, width = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", TORCH_KERNEL, (size, size, width, self.features))
        y = convolution(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)
        if not self.use_bias:
            return y
        bias = self.param("bias", torch_bias(size * size * width), (self.features,))
        return y + bias.astype(self.dtype)


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
