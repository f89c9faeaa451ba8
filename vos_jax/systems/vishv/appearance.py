"""VIShv's appearance: maps of the coarsest features, and what its flow sees of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vos_jax.nn.blocks import Conv, Linear
from vos_jax.ops.volumes import enlarge

CONDITION_WIDTH = 64


class AppearanceDecoder(nn.Module):
    """Two linear maps of the features at stride 32, enlarged to stride 4.

    Agrees with modeling/offset_decoder.py of HEVis; linear maps and enlargement commute.

    Attributes:
        features: output channels.
        dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b t y x c"]) -> Float[Array, "b t y4 x4 f"]:
        """Computes the appearance of clips, in float32."""
        x = Linear(x.shape[-1] // 4, dtype=self.dtype, name="linear1")(x)
        x = Linear(self.features, dtype=self.dtype, name="linear2")(x)
        return enlarge(x.astype(jnp.float32), 1, 8)


class ConditionEncoder(nn.Module):
    """What a conditional flow is told of true masks, at stride 16."""

    @nn.compact
    def __call__(self, masks: Bool[Array, "n y4 x4"]) -> Float[Array, "n y x c"]:
        """Encodes masks of all instances at stride 4."""
        x = masks[..., None].astype(jnp.float32)
        for number, stride in enumerate((2, 2, 1), start=1):
            x = jax.nn.relu(x) if number > 1 else x
            x = Conv(CONDITION_WIDTH, 3, stride, name=f"conv{number}")(x)
        return x


def halved(x: Float[Array, "n y x c"]) -> Float[Array, "n y2 x2 c"]:
    """Means of 2x2 cells."""
    n, height, width, c = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, c).mean((2, 4))


def rounded(x: Float[Array, "n y x c"], bits: int) -> Float[Array, "n y x c"]:
    """Logits as fractions rounded down to so many bits, less one half; without gradient."""
    bins = 2.0**bits
    return jnp.floor(jax.nn.sigmoid(x) * 255 / (256 / bins)) / bins - 0.5


def dithered(
    x: Float[Array, "n y x c"], bits: int, key: Array | None = None
) -> Float[Array, "n y x c"]:
    """Logits as fractions less one half, with noise as large as rounding to so many bits.

    Args:
        x: logits.
        bits: see above.
        key: of the noise; its mean without.
    """
    noise = 0.5 if key is None else jax.random.uniform(key, x.shape)
    return jax.nn.sigmoid(x) + noise / 2**bits - 0.5
