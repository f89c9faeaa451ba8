"""Feature pyramid and the backbones that end in one."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.resize import resize
from vos_jax.nn.blocks import Conv, GroupNorm
from vos_jax.nn.swin import swin


class FeaturePyramid(nn.Module):
    """Top-down pyramid: lateral 1x1, enlargement and sum, 3x3, perhaps GroupNorm per level.

    Agrees with hodor/modelling/backbone/fpn.py and the `norm_layers` after it and, without norms
    and with bilinear enlargement, with stemseg/modeling/backbone/fpn.py.

    Attributes:
        channels: channels of every output.
        groups: groups of the output norms; 0 for none.
        dtype: compute dtype.
        enlargement: "nearest" or "bilinear".
        conv: makes the convolutions.
    """

    channels: int = 256
    groups: int = 16
    dtype: DTypeLike = jnp.float32
    enlargement: str = "nearest"
    conv: Callable[..., Conv] = Conv

    @nn.compact
    def __call__(
        self, maps: tuple[Float[Array, "b _ _ _"], ...]
    ) -> tuple[Float[Array, "b _ _ _"], ...]:
        """Joins maps ordered from fine to coarse; returns as many of the same sizes."""
        levels = range(len(maps))
        summed = [
            self.conv(self.channels, 1, dtype=self.dtype, name=f"lateral_{level}")(maps[level])
            for level in levels
        ]
        for level in reversed(levels[:-1]):
            coarser = resize(summed[level + 1], summed[level].shape[1:3], self.enlargement)
            summed[level] = summed[level] + coarser
        outputs = [
            self.conv(self.channels, 3, dtype=self.dtype, name=f"output_{level}")(summed[level])
            for level in levels
        ]
        if not self.groups:
            return tuple(outputs)
        norms = [GroupNorm(self.groups, self.dtype, name=f"norm_{level}") for level in levels]
        return tuple(norm(output) for norm, output in zip(norms, outputs, strict=True))


class SwinPyramid(nn.Module):
    """Swin with a feature pyramid: the backbone of HODOR.

    Attributes:
        variant: "tiny", "small" or "base".
        channels: channels of every output.
        groups: groups of the output norms.
        dtype: compute dtype.
    """

    variant: str = "tiny"
    channels: int = 256
    groups: int = 16
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Builds both parts."""
        self.swin = swin(self.variant, self.dtype)
        self.pyramid = FeaturePyramid(self.channels, self.groups, self.dtype)

    def stages(self, images: Float[Array, "b h w 3"]) -> tuple[Float[Array, "b _ _ _"], ...]:
        """Computes the maps of the Swin alone, before the pyramid."""
        return self.swin(images)

    def __call__(self, images: Float[Array, "b h w 3"]) -> dict[int, Float[Array, "b _ _ c"]]:
        """Computes the pyramid's maps by stride: 4, 8, 16, 32.

        Args:
            images: normalised RGB images; any size, best a multiple of 32.
        """
        return dict(zip((4, 8, 16, 32), self.pyramid(self.stages(images)), strict=True))
