"""The dense maps of a clip, and the coordinates that are part of its embedding."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

FREE = "f"
"""Letter of a dimension that stands for no coordinate."""


@struct.dataclass
class DenseMaps:
    """What `read` makes of a window, at stride 4.

    Attributes:
        embedding: of each pixel: learnt offsets plus coordinates, and appearance.
        bandwidth: raw: logarithms of a tenth of the inverse variances; of the dimensions but the
            last, free ones.
        seediness: how central a pixel is in its instance, in [0, 1].
        semantic: logits of background and classes, then one of any class; None without classes.
        appearance: logits (VIShv); None in STEm-Seg.

    What is not needed is None.
    """

    embedding: Float[Array, "b t y x e"] | None = None
    bandwidth: Float[Array, "b t y x v"] | None = None
    seediness: Float[Array, "b t y x"] | None = None
    semantic: Float[Array, "b t y x c+1"] | None = None
    appearance: Float[Array, "b t y x a"] | None = None


def free_dimensions(mode: str) -> int:
    """How many dimensions of an embedding have a constant standard deviation."""
    return mode.count(FREE) if mode.strip(FREE) else 0


def coordinates(
    mode: str, size: tuple[int, int, int], time_scale: float | Float[Array, ""] = 1.0
) -> Float[Array, "t y x e"]:
    """What is added to an embedding: time, row and column where the mode names them, then zeros.

    The shorter side runs from -1 to 1, the longer one in proportion, time from -`time_scale` to
    `time_scale`; a single sample lies at the lower end (`modeling/embedding_utils.py`).

    Args:
        mode: the letters of the dimensions, such as "xyff".
        size: of the clip: frames, rows, columns.
        time_scale: see above.
    """
    _, rows, columns = size
    limits = {"t": time_scale, "y": max(1, rows / columns), "x": max(1, columns / rows)}
    named = [
        limits[letter] * np.linspace(-1, 1, length, dtype=np.float32).reshape(shape)
        for letter, length, shape in zip("tyx", size, np.eye(3, dtype=int) * -2 + 1, strict=True)
        if letter in mode
    ]
    free = [np.zeros((1, 1, 1), np.float32)] * mode.count(FREE)
    return jnp.stack([jnp.broadcast_to(each, size) for each in named + free], axis=-1)


def mixed(
    raw: Float[Array, "b t y x e"],
    mode: str,
    time_scale: float | Float[Array, ""] = 1.0,
    appearance: Float[Array, "b t y x a"] | None = None,
) -> Float[Array, "b t y x e"]:
    """Embeddings plus coordinates; an appearance stands in the place of the last dimensions.

    No gradient flows to the coordinates.
    """
    added = jax.lax.stop_gradient(coordinates(mode, raw.shape[1:4], time_scale))
    added = jnp.broadcast_to(added, raw.shape)
    if appearance is not None:
        kept = raw.shape[-1] - appearance.shape[-1]
        added = jnp.concatenate([added[..., :kept], appearance], axis=-1)
    return raw + added
