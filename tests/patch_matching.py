"""A stand-in for a space-time memory: cells are alike where their pixels are.

Untrained networks find nothing, so tests that ask where the heat goes use this one. Its memory
holds the sixteen mean colours of every cell of the frame, times the sharpness.
"""

import jax.numpy as jnp
import numpy as np
from flax import struct

from tests.toy_systems import ToySpec, pooled
from vos_jax.correspondence.pictures import STRIDE
from vos_jax.ops.memory_read import affinity
from vos_jax.systems.base import Segmenter, State


@struct.dataclass
class PatchState(State):
    """The cells of the one frame that was written, and how much of each a mask covered."""

    cells: jnp.ndarray
    covered: jnp.ndarray


class PatchMatcher(Segmenter):
    """Reads the cells of a frame from the cells of the frame before, by their pixels."""

    sharpness: float = 20.0

    @property
    def spec(self):
        return ToySpec()

    def init_state(self, batch, geometry, slots, memory=None, late=True):
        cells = geometry.network[0] * geometry.network[1] // STRIDE**2
        return PatchState(
            known=jnp.zeros((batch, slots), bool),
            time=jnp.zeros((batch,), jnp.int32),
            cells=jnp.zeros((batch, cells, 48)),
            covered=jnp.zeros((batch, cells)),
        )

    def encode(self, frames):
        small = pooled(frames)
        b, h, w, c = small.shape
        cells = small.reshape(b, h // 4, 4, w // 4, 4, c).transpose(0, 1, 3, 2, 4, 5)
        return self.sharpness * cells.reshape(b, h // 4, w // 4, -1)

    def write(self, state, features, trace, memory, given=None):
        return state.replace(
            known=state.known | given.slots,
            cells=features.reshape(state.cells.shape),
            covered=pooled(memory[..., 1:]).sum((1, 2)) + state.covered,
        )

    def affinity(self, state, features, top_k=0, sigma=0.0):
        weights = affinity(
            features.reshape(state.cells.shape),
            state.cells,
            jnp.repeat(state.known, state.cells.shape[1], axis=1),
            similarity="l2",
            top_k=top_k or None,
            sigma=sigma or None,
            grid=features.shape[1:3],
        )
        return jnp.swapaxes(weights, 1, 2)


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A picture no two cells of which are alike: uint8 [h, w, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-size[0] // 8), -(-size[1] // 8), 3))
    return blocks.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]]


def moved(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The picture moved down and to the right; what leaves comes back on the other side."""
    return np.roll(picture, (rows, columns), axis=(0, 1))
