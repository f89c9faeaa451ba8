"""What the dense maps of a clip are held against: instances and classes at stride 4."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt8

from vos_jax.core.labels import VOID


def instance_targets(
    labels: UInt8[Array, "b t h w"], slots: int
) -> tuple[Bool[Array, "b o t y x"], Bool[Array, "b t y x"]]:
    """Masks and ignored pixels at a quarter of the size: thin parts vanish.

    Bilinear sampling at a quarter, truncated to whole numbers: a target pixel is set where all
    four source pixels around its centre are (`model_builder.py` of STEm-Seg).

    Args:
        labels: slot numbers, 255 ignored.
        slots: their number o.
    """
    sides = (slice(1, None, 4), slice(2, None, 4))
    corners = jnp.stack([labels[..., rows, columns] for rows in sides for columns in sides])
    numbers = jnp.arange(1, slots + 1)[:, None, None, None]
    masks = (corners[:, :, None] == numbers).all(axis=0)
    return masks, (corners == VOID).all(axis=0)


def semantic_targets(
    masks: Bool[Array, "b o t y x"], categories: Int[Array, "b o"]
) -> Int[Array, "b t y x"]:
    """The class of every pixel, 0 for background; of overlapping instances the largest."""
    return (masks * categories[:, :, None, None, None]).max(axis=1)
