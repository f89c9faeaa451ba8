"""Losses on the class of each pixel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "b *s c"], labels: Int[Array, "b *s"], weights: Float[Array, "b *s"]
) -> Float[Array, ""]:
    """Softmax cross entropy, averaged over all pixels that count.

    Args:
        logits: per pixel.
        labels: class of each pixel; any value where the weight is 0.
        weights: 0 where a pixel or a whole frame does not count.

    Returns:
        A scalar; 0 if nothing counts.
    """
    chosen = jnp.clip(labels, 0, logits.shape[-1] - 1)[..., None]
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), chosen, axis=-1)[..., 0]
    return -(picked * weights).sum() / jnp.maximum(weights.sum(), 1)
