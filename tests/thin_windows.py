"""Stand-ins for the deep parts of STEm-Seg and VIShv, which compile in a tenth of the time.

What surrounds those parts is the systems' own: how clips are read, the losses, the flow, what
trains when.
"""

import contextlib
from unittest.mock import patch

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

MODEL = "vos_jax.systems.vishv.model"


def means(x: Float[Array, "... y x c"], side: int) -> Float[Array, "... y2 x2 c"]:
    """Of squares of so many cells."""
    *outer, height, width, channels = x.shape
    cells = x.reshape(*outer, height // side, side, width // side, side, channels)
    return cells.mean(axis=(-4, -2))


class ThinBackbone(nn.Module):
    """Stands for `SmallBackbone`: one matrix, and means of its maps."""

    channels: int
    dtype: DTypeLike = jnp.float32
    levels: int = 4

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"]) -> dict[int, Float[Array, "n y x c"]]:
        x = nn.relu(nn.Dense(self.channels, name="stem")(means(images, 4) / 16))
        return {4 * 2**level: means(x, 2**level) for level in range(self.levels)}


class ThinDecoder(nn.Module):
    """Stands for `Decoder`: a linear map of the finest level of clips of the configured length."""

    widths: tuple[int, ...]
    clip_length: int
    outputs: tuple[tuple[str, int], ...]
    biased: tuple[str, ...] = ()
    groups: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, features: dict[int, Array]) -> dict[str, Float[Array, "b t y x _"]]:
        x = features[4]
        assert x.shape[1] == self.clip_length
        return {
            name: nn.Dense(width, use_bias=name in self.biased, name=name)(x)
            for name, width in self.outputs
        }


@contextlib.contextmanager
def thin():
    """Within it, systems are built with the stand-ins."""
    with patch(f"{MODEL}.SmallBackbone", ThinBackbone), patch(f"{MODEL}.Decoder", ThinDecoder):
        yield
