"""Losses on the overlap of regions."""

import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-6


def dice(
    probabilities: Float[Array, "b *s o"],
    targets: Float[Array, "b *s o"],
    weights: Float[Array, "b *s"],
    slots: Float[Array, "b o"],
) -> Float[Array, ""]:
    """Dice loss pooled over objects, predictions and pixels of a sample.

    Per sample 1 - (2 mean(p t) + eps) / (mean(p + t) + eps), and exactly 0 with no gradient where
    nothing overlaps; then the mean over the batch (HODOR `training/dice_loss.py`). Large objects
    dominate by construction.

    Args:
        probabilities: of the objects, without background.
        targets: one-hot, same layout.
        weights: 0 where a pixel or a whole frame does not count.
        slots: 1 where a slot holds an object; the others do not enter the means.

    Returns:
        A scalar.
    """
    batch = probabilities.shape[0]
    axes = tuple(range(1, probabilities.ndim))
    counted = weights[..., None] * slots.reshape(batch, *[1] * (weights.ndim - 1), -1)
    size = jnp.maximum(counted.sum(axes), 1)
    overlap = 2 * (probabilities * targets * counted).sum(axes) / size
    total = ((probabilities + targets) * counted).sum(axes) / size
    loss = 1 - (overlap + EPSILON) / (total + EPSILON)
    return jnp.where(overlap > EPSILON, loss, 0.0).mean()
