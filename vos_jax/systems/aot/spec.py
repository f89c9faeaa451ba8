"""Static facts of AOT and DeAOT: sizes, preparation, groups of identities, entries."""

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vos_jax.core.geometry import Geometry, Size, by_limits
from vos_jax.core.resize import resize
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD, Given, Masks, Spec
from vos_jax.systems.resolve import labels

STRIDE = 16


@dataclasses.dataclass(frozen=True)
class AotSpec(Spec):
    """Static facts of a configured network.

    Attributes:
        group: identities per group.
        slot_step: the same number.
        align_corners: whether maps are enlarged corner to corner; sides are then 16 k + 1.
        memory_gap: frames between two that enter the long-term memory.
        clip_gap: the same in training.
        max_resolution: the longer side of frames is brought down to 5/3 of it and, where there is
            a scale, the shorter side to it.
        scale: of one view among several; None for a video that is looked at once.
        output_height: rows of the results, columns in proportion; None for the frames' own size.
    """

    group: int = 10
    slot_step: int = 10
    align_corners: bool = True
    memory_gap: int = 9999
    clip_gap: int = 9999
    max_resolution: int = 624
    scale: float | None = None
    output_height: int | None = None

    def geometry(self, frame_size: Size) -> Geometry:
        """The nearest conforming size within the limits."""
        longest = self.max_resolution * 800 / 480
        shortest = None if self.scale is None else self.max_resolution
        size = by_limits(frame_size, shortest, longest, self.scale or 1.0)
        resized = self.conforming(size)
        output = None
        if self.output_height is not None:
            height, width = frame_size
            output = (self.output_height, math.ceil(width * self.output_height / height))
        return Geometry(
            frame_size, resized, resized, output=output, align_corners=self.align_corners
        )

    def conforming(self, size: Size) -> Size:
        """The nearest size with sides 16 k, or 16 k + 1 where corners are aligned."""
        odd = int(self.align_corners)
        return tuple(max(round((n - odd) / STRIDE), 1 - odd) * STRIDE + odd for n in size)

    def place(self, given: Given, geometry: Geometry) -> Given:
        """Given planes of the frames' size brought to the network's and the results' size."""
        placed = super().place(given, geometry)
        return placed.replace(shown=resize(given.masks, geometry.output, "nearest"))

    def prepare(
        self, frames: UInt8[Array, "n h w 3"], geometry: Geometry
    ) -> Float[Array, "n H W 3"]:
        """Resized bicubically, then normalised."""
        frames = resize(frames.astype(jnp.float32), geometry.resized, "bicubic")
        return (frames - jnp.asarray(IMAGENET_MEAN)) / jnp.asarray(IMAGENET_STD)

    def resolve(self, scores, known, given: Given | None, geometry: Geometry) -> Masks:
        """Hard labels over all groups."""
        return labels(scores, known, given, geometry)

    def entries(self, frames: int, given_frames: int) -> int:
        """The given frames, and every n-th one after them."""
        return given_frames + (frames - 1) // self.memory_gap

    def clip_entries(self, writes: int) -> int:
        """The first frame of a clip, and every n-th one after it."""
        return 1 + (writes - 1) // self.clip_gap
