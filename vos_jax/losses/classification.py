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
    return (pixel_cross_entropy(logits, labels) * weights).sum() / jnp.maximum(weights.sum(), 1)


def bootstrapped_cross_entropy(
    logits: Float[Array, "b *s c"], labels: Int[Array, "b *s"], kept: Float[Array, ""]
) -> Float[Array, ""]:
    """Softmax cross entropy of the hardest pixels of each sample, averaged over the batch.

    Equal to the official programs' `BootstrappedCE` (MiVOS, STCN, RDE).

    Args:
        logits: per pixel.
        labels: class of each pixel.
        kept: share of a sample's N pixels that counts, the floor(N kept) hardest.

    Returns:
        A scalar.
    """
    return hardest_mean(pixel_cross_entropy(logits, labels), kept).mean()


def hardest_mean(losses: Float[Array, "b *s"], kept: Float[Array, ""]) -> Float[Array, " b"]:
    """Mean of each sample's largest losses.

    Args:
        losses: per pixel.
        kept: share of a sample's N pixels that counts, the floor(N kept) hardest.

    Returns:
        One number per sample.
    """
    losses = losses.reshape(len(losses), -1)
    count = jnp.maximum(jnp.floor(losses.shape[1] * jnp.asarray(kept)), 1)

    def hardest(losses):
        falling = -jnp.sort(-losses, axis=-1)
        return jnp.where(jnp.arange(losses.shape[1]) < count, falling, 0.0).sum(-1) / count

    return jax.lax.cond(count < losses.shape[1], hardest, lambda x: x.mean(-1), losses)


def kept_fraction(
    step: int | Int[Array, ""], start_warm: int, end_warm: int, top_p: float
) -> Float[Array, ""]:
    """Share of the pixels that counts at an update: 1, then linearly down to `top_p`.

    Args:
        step: number of finished updates.
        start_warm: update until which all pixels count.
        end_warm: update from which the share is `top_p`.
        top_p: the final share.
    """
    left = jnp.clip((end_warm - step) / max(end_warm - start_warm, 1), 0.0, 1.0)
    return jnp.where(step < start_warm, 1.0, top_p + (1 - top_p) * left)


def pixel_cross_entropy(
    logits: Float[Array, "b *s c"], labels: Int[Array, "b *s"]
) -> Float[Array, "b *s"]:
    """Softmax cross entropy of each pixel; a class that there is not counts as the nearest."""
    chosen = jnp.clip(labels, 0, logits.shape[-1] - 1)[..., None]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), chosen, axis=-1)[..., 0]
