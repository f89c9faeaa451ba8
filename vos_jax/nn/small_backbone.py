"""A small convolutional backbone for quick trials on a CPU."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import Conv, GroupNorm
from vos_jax.nn.pyramid import FeaturePyramid


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with GroupNorm beside a shortcut.

    Attributes:
        channels: output channels.
        stride: step of the first convolution.
        groups: groups of the norms.
        dtype: compute dtype.
    """

    channels: int
    stride: int = 1
    groups: int = 8
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Adds the branch to the (convolved, where sizes change) input."""
        conv1 = Conv(self.channels, 3, self.stride, dtype=self.dtype, name="conv1")
        branch = jax.nn.relu(GroupNorm(self.groups, self.dtype, name="norm1")(conv1(x)))
        branch = Conv(self.channels, 3, dtype=self.dtype, name="conv2")(branch)
        branch = GroupNorm(self.groups, self.dtype, name="norm2")(branch)
        if self.stride > 1 or x.shape[-1] != self.channels:
            x = Conv(self.channels, 1, self.stride, dtype=self.dtype, name="shortcut")(x)
        return jax.nn.relu(x + branch)


class SmallBackbone(nn.Module):
    """Two stride-2 convolutions, a residual block each at strides 4, 8, 16 .., a pyramid.

    Attributes:
        channels: channels of every map.
        groups: groups of all norms.
        dtype: compute dtype.
        levels: number of maps.
    """

    channels: int = 64
    groups: int = 8
    dtype: DTypeLike = jnp.float32
    levels: int = 3

    @nn.compact
    def __call__(self, images: Float[Array, "b h w _"]) -> dict[int, Float[Array, "b _ _ c"]]:
        """Computes the pyramid's maps by stride: 4, 8, 16 ..

        Args:
            images: normalised RGB images, perhaps with masks as further channels.
        """
        x = images
        for index in range(2):
            x = Conv(self.channels, 3, 2, dtype=self.dtype, name=f"stem_{index}")(x)
            x = GroupNorm(self.groups, self.dtype, name=f"stem_norm_{index}")(x)
            x = jax.nn.relu(x)
        maps = []
        for level in range(self.levels):
            block = ResidualBlock(
                self.channels, 2 if level else 1, self.groups, self.dtype, name=f"block_{level}"
            )
            x = block(x)
            maps.append(x)
        pyramid = FeaturePyramid(self.channels, self.groups, self.dtype, name="pyramid")
        return {4 * 2**level: x for level, x in enumerate(pyramid(tuple(maps)))}
