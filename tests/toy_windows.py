"""A system of a few lines that finds coloured blocks by itself: dense maps made of colours."""

import functools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from vos_jax.systems.base import Segmenter
from vos_jax.systems.vishv.maps import DenseMaps
from vos_jax.systems.vishv.spec import StemSegSpec

STRIDE = 4
GREY = 60


class ToyWindows(Segmenter):
    """Pixels of one colour lie together, seediness is saturation, red, green and blue are classes.

    Every map depends a little on the place in the window, so that windows that share a frame do
    not agree about it.
    """

    clip_length: int = 4
    overlap: int = 2
    classes: int = 4
    free_stds: tuple = (0.3,)
    min_dim: int = 32
    max_dim: int = 64
    min_seediness: float = 0.5
    primary: float = 0.5
    secondary: float = 0.3
    secondary_to: str = "farthest"
    max_clusters: int = 4
    max_tracks: int | None = None
    foreground: float = 0.4
    full_size: bool = False

    @property
    def spec(self):
        return StemSegSpec(
            window=self.clip_length,
            overlap=self.overlap,
            min_dim=self.min_dim,
            max_dim=self.max_dim,
        )

    def setup(self):
        self.scale = self.param("scale", nn.initializers.ones_init(), ())

    def initialise(self, frames):
        return self.encode(self.spec.prepare(frames, self.spec.unchanged(frames.shape[1:3])))

    def encode(self, frames):
        n, h, w, c = frames.shape
        blocks = frames.reshape(n, h // STRIDE, STRIDE, w // STRIDE, STRIDE, c)
        return self.scale * blocks.mean((2, 4))[..., ::-1] / 255

    def read(self, state, features, given=None, view=None):
        colour = features - features.mean(-1, keepdims=True)
        place = jnp.arange(features.shape[1]).reshape(1, -1, 1, 1) / 50
        strength = jnp.tanh(4 * jnp.abs(colour).max(-1))
        semantic = None
        if self.classes:
            logits = [0 * strength, *jnp.moveaxis(8 * colour + place[..., None], -1, 0)]
            semantic = jnp.stack([*logits[: self.classes], 12 * (strength - 0.6) - place], axis=-1)
        return (
            DenseMaps(
                embedding=3 * colour + place[..., None],
                bandwidth=jnp.zeros((*strength.shape, 2)),
                seediness=jnp.clip(strength - place, 0, 1),
                semantic=semantic,
                appearance=None,
            ),
            None,
        )


@functools.cache
def blocks(frames: int, size: tuple[int, int] = (32, 48), seed: int = 0) -> np.ndarray:
    """A red, a green and a blue block that drift over grey; green comes late, blue leaves early."""
    clip = np.full((frames, *size, 3), GREY, np.uint8)
    clip += np.random.default_rng(seed).integers(0, 4, clip.shape, np.uint8)
    for t in range(frames):
        step = STRIDE * (t % 3)
        clip[t, 4:12, 4 + step : 16 + step, 0] = 240
        if t >= 2:
            clip[t, 20:28, 24 - step : 40 - step, 1] = 240
        if t < frames - 2:
            clip[t, 4:16, 32:44, 2] = 240
    return clip
