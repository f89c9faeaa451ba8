"""STCN's value encoder: an object's mask beside the image, fused with what the key encoder saw."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import Conv, Linear
from vos_jax.nn.mask_decoder import ResidualBlock
from vos_jax.nn.resnet import image_encoder

REDUCTION = 16
WINDOW = 7


class BlockAttention(nn.Module):
    """Weighs channels by their pooled values, then cells by theirs (CBAM, Woo et al. 2018).

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n y x c"]) -> Float[Array, "n y x c"]:
        """Weighs maps."""
        width = x.shape[-1]
        fc1 = Linear(max(width // REDUCTION, 1), dtype=self.dtype, name="fc1")
        fc2 = Linear(width, dtype=self.dtype, name="fc2")
        mean, largest = (
            fc2(jax.nn.relu(fc1(pooled))) for pooled in (x.mean((1, 2)), x.max((1, 2)))
        )
        x = x * jax.nn.sigmoid(mean + largest)[:, None, None]
        pooled = jnp.stack([x.max(-1), x.mean(-1)], axis=-1)
        return x * jax.nn.sigmoid(Conv(1, WINDOW, dtype=self.dtype, name="spatial")(pooled))


class Fuser(nn.Module):
    """Joins an object's features with the frame's.

    Attributes:
        features: output channels.
        dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, own: Float[Array, "n y x c"], frame: Float[Array, "b y x d"]
    ) -> Float[Array, "n y x f"]:
        """Computes the values; the frame's share is computed once for all of its objects."""
        x = ResidualBlock(self.features, self.dtype, name="block1")(own, frame)
        x = x + BlockAttention(self.dtype, name="attention")(x)
        return ResidualBlock(self.features, self.dtype, name="block2")(x)


class ValueEncoder(nn.Module):
    """The value of a frame for each of its objects.

    Attributes:
        backbone: see `nn.resnet.image_encoder`.
        channels: of the maps of a "small" backbone.
        features: channels of the values.
        dtype: compute dtype.
    """

    backbone: str
    channels: int
    features: int
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the backbone and the fuser."""
        self.image_encoder = image_encoder(self.backbone, self.channels, self.dtype, conv_bias=True)
        self.fuser = Fuser(self.features, self.dtype)

    def __call__(
        self, inputs: Float[Array, "n h w c"], frame: Float[Array, "b y x d"]
    ) -> Float[Array, "n y x f"]:
        """Computes the values.

        Args:
            inputs: the image with the object's planes, per object of each video.
            frame: the key encoder's map at stride 16, per video.
        """
        return self.fuser(self.image_encoder(inputs)[16], frame)
