"""Static facts of STEm-Seg and VIShv: windows, sizes, preparation."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry, Size, by_short_side, pad_to_multiple
from vos_jax.core.resize import pad, resize
from vos_jax.systems.base import Given, Masks, Spec

MEAN = (102.9801, 115.9465, 122.7717)
"""Of blue, green and red."""
STRIDE = 32


@dataclasses.dataclass(frozen=True)
class StemSegSpec(Spec):
    """Static facts of a configured network.

    Attributes:
        prompted: False.
        window: frames of a clip.
        overlap: frames that two clips share.
        min_dim: short side of resized frames.
        max_dim: bound of their long side.
    """

    prompted: bool = False
    window: int = 8
    overlap: int = 4
    min_dim: int = 640
    max_dim: int = 1196

    def geometry(self, frame_size: Size) -> Geometry:
        """Resized by the short side, padded on the right and at the bottom."""
        resized = by_short_side(frame_size, self.min_dim, self.max_dim)
        return Geometry(frame_size, resized, pad_to_multiple(resized, STRIDE))

    def prepare(
        self, frames: UInt8[Array, "n h w 3"], geometry: Geometry
    ) -> Float[Array, "n H W 3"]:
        """Blue, green and red, resized, without their means, in 255ths, zero-padded."""
        frames = resize(frames[..., ::-1].astype(jnp.float32), geometry.resized)
        return pad(frames - jnp.asarray(MEAN), geometry)

    def resolve(self, scores, known, given: Given | None, geometry: Geometry) -> Masks:
        """Nothing: masks come from clusters of a whole window."""
        raise ConfigError("this system finds objects itself: it takes no masks of a first frame")

    def entries(self, frames: int, given_frames: int) -> None:
        """None: there is no memory."""
