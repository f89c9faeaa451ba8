"""ResNeSt up to stride 16 with frozen normalisation (Zhang et al. 2020, radix 2, one group).

Agrees with networks/encoders/resnest of AOT.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import Conv
from vos_jax.nn.resnet import EXPANSION, HE, FrozenBatchNorm, conv_norm
from vos_jax.ops.convolution import convolution

RADIX = 2
LEAST_SQUEEZED = 32


class SplitAttention(nn.Module):
    """A convolution in two halves, added with weights per channel drawn from their means.

    Attributes:
        features: output channels; the input has as many.
        dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Convolves a batch of maps."""
        halves = RADIX * self.features
        kernel = self.param("kernel", HE, (3, 3, self.features // RADIX, halves))
        groups = zip(
            jnp.split(x, RADIX, -1), jnp.split(kernel.astype(self.dtype), RADIX, -1), strict=True
        )
        y = jnp.concatenate([convolution(part, weights) for part, weights in groups], -1)
        y = jax.nn.relu(FrozenBatchNorm(self.dtype, name="bn0")(y))
        first, second = jnp.split(y, RADIX, -1)
        means = (first + second).mean((1, 2), keepdims=True)
        squeezed = max(self.features // 2, LEAST_SQUEEZED)
        gates = Conv(squeezed, 1, dtype=self.dtype, kernel_init=HE, name="fc1")(means)
        gates = jax.nn.relu(FrozenBatchNorm(self.dtype, name="bn1")(gates))
        gates = Conv(halves, 1, dtype=self.dtype, kernel_init=HE, name="fc2")(gates)
        weight = jax.nn.sigmoid(gates[..., : self.features] - gates[..., self.features :])
        return weight * first + (1 - weight) * second


class ResNeStBlock(nn.Module):
    """1x1, split attention, average pooling where the stride asks for it, 1x1; a shortcut.

    Attributes:
        width: channels inside; four times as many come out.
        stride: of the poolings.
        dtype: compute dtype.
    """

    width: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Adds the branch to the shortcut."""
        out = EXPANSION * self.width
        y = jax.nn.relu(conv_norm(x, self.width, "conv1", "bn1", self.dtype))
        y = SplitAttention(self.width, self.dtype, name="split")(y)
        if self.stride > 1:
            y = nn.avg_pool(y, (3, 3), (2, 2), ((1, 1), (1, 1)))
            rows, columns = (side % 2 for side in x.shape[1:3])
            x = nn.avg_pool(x, (2, 2), (2, 2), ((0, rows), (0, columns)), count_include_pad=False)
        y = conv_norm(y, out, "conv3", "bn3", self.dtype)
        if x.shape[-1] != out:
            x = conv_norm(x, out, "shortcut", "shortcut_bn", self.dtype)
        return jax.nn.relu(x + y)


class ResNeSt(nn.Module):
    """ResNeSt without what comes after stride 16.

    Attributes:
        blocks: of the stages at strides 4, 8 and 16.
        stem: channels of the first two convolutions; the third has twice as many.
        dtype: compute dtype.
    """

    blocks: Sequence[int] = (3, 4, 6)
    stem: int = 32
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"]) -> dict[int, Float[Array, "b _ _ _"]]:
        """Computes the maps of the stages by stride: 4, 8, 16.

        Args:
            x: normalised RGB images.
        """
        for number, (width, stride) in enumerate(((1, 2), (1, 1), (2, 1))):
            names = (f"stem_{number}", f"stem_bn_{number}")
            x = jax.nn.relu(conv_norm(x, width * self.stem, *names, self.dtype, 3, stride))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = {}
        for stage, count in enumerate(self.blocks):
            for number in range(count):
                stride = 2 if stage and not number else 1
                name = f"stage_{stage}_block_{number}"
                x = ResNeStBlock(64 * 2**stage, stride, self.dtype, name=name)(x)
            maps[4 * 2**stage] = x
        return maps
