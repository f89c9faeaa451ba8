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


def soft_jaccard(
    probabilities: Float[Array, "b *s c"],
    targets: Float[Array, "b *s c"],
    weights: Float[Array, "b *s"],
) -> Float[Array, " b"]:
    """One minus the soft intersection over union, averaged over the classes that occur.

    Of a class: 1 - I / (I + FP + FN + eps) with I = sum p t, FP = sum p (1 - t) and
    FN = sum (1 - p) t over the pixels that count (`SoftJaccordLoss` of AOT
    `networks/layers/loss.py`).

    Args:
        probabilities: of all classes, background included.
        targets: one-hot, same layout.
        weights: 0 where a pixel does not count.

    Returns:
        One number per sample; 0 where no class occurs.
    """
    axes = tuple(range(1, weights.ndim))
    counted = weights[..., None]
    overlap = (probabilities * targets * counted).sum(axes)
    wanted = (targets * counted).sum(axes)
    union = (probabilities * counted).sum(axes) + wanted - overlap
    occurs = wanted > 0
    losses = jnp.where(occurs, 1 - overlap / (union + EPSILON), 0.0)
    return losses.sum(-1) / jnp.maximum(occurs.sum(-1), 1)
