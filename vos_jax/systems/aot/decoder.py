"""The decoder of AOT and DeAOT: logits of identities at stride 4."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.resize import resize
from vos_jax.nn.blocks import Conv, GroupNorm
from vos_jax.nn.long_short_term import XAVIER

GROUPS = 8


class Decoder(nn.Module):
    """Convolutions at strides 16, 8 and 4, each after the encoder's map of that stride is added.

    Attributes:
        width: channels at stride 16; finer maps have half as many.
        identities: logits per cell, the background's among them.
        align_corners: how maps are enlarged.
        dtype: compute dtype; logits are float32.
    """

    width: int = 256
    identities: int = 11
    align_corners: bool = True
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the convolutions."""
        conv = functools.partial(Conv, dtype=self.dtype, kernel_init=XAVIER)
        half = self.width // 2
        self.conv_in, self.conv_16 = conv(self.width, 1), conv(self.width)
        self.conv_8, self.conv_4 = conv(half), conv(half)
        self.norm_in, self.norm_16, self.norm_8, self.norm_4 = (
            GroupNorm(GROUPS, self.dtype) for _ in range(4)
        )
        self.adapter_16, self.adapter_8 = conv(self.width, 1), conv(self.width, 1)
        self.adapter_4 = conv(half, 1)
        self.conv_out = conv(self.identities, 1)

    def __call__(
        self,
        x: Float[Array, "b*g y x c"],
        f16: Float[Array, "b y x _"],
        f8: Float[Array, "b y2 x2 _"],
        f4: Float[Array, "b y4 x4 _"],
    ) -> Float[Array, "b*g y4 x4 k"]:
        """Computes the logits.

        Args:
            x: what the layers put out, any number of groups per frame.
            f16: the encoder's map at stride 16, once per frame.
            f8: at stride 8.
            f4: at stride 4.
        """
        groups = len(x) // len(f16)
        x = jax.nn.relu(self.norm_in(self.conv_in(x)))
        levels = (
            (self.adapter_16(f16), self.conv_16, self.norm_16),
            (self.adapter_8(f8), self.conv_8, self.norm_8),
            (self.adapter_4(f4), self.conv_4, self.norm_4),
        )
        for added, conv, norm in levels:
            x = resize(x, added.shape[1:3], "bilinear", self.align_corners)
            x = jax.nn.relu(norm(conv(x + jnp.repeat(added, groups, axis=0))))
        return self.conv_out(x).astype(jnp.float32)
