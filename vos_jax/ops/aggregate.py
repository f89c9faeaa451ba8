"""Soft aggregation of independent object probabilities (space-time memory networks)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

CLAMP = 1e-7


def aggregate(
    probabilities: Float[Array, "b h w o"], known: Bool[Array, "b o"]
) -> Float[Array, "b h w o+1"]:
    """Weighs objects and background by their odds.

    The background is prod(1 - p); all planes are clamped to [1e-7, 1 - 1e-7] and normalised by
    the sum of their odds p / (1 - p) (Oh et al. 2019, equation of the soft aggregation;
    MiVOS `aggregate`), as a softmax of the odds' logarithms, whose rounding decides near ties.

    Args:
        probabilities: of each object on its own.
        known: slots that hold an object; the others take no part and come out as 0.

    Returns:
        Planes that sum to 1, background first.
    """
    takes_part = jnp.pad(known, [(0, 0), (1, 0)], constant_values=True)[:, None, None, :]
    return jax.nn.softmax(jnp.where(takes_part, log_odds(probabilities, known), -jnp.inf))


def log_odds(
    probabilities: Float[Array, "b h w o"], known: Bool[Array, "b o"]
) -> Float[Array, "b h w o+1"]:
    """The logarithms of the odds that `aggregate` weighs: the logits of training.

    Args:
        probabilities: of each object on its own.
        known: slots that hold an object; the others come out as -16.118, the least there is.

    Returns:
        Logits, background first, within about 16.
    """
    planes = _with_background(probabilities, known)
    return jnp.log(planes / (1 - planes))


def _with_background(probabilities, known):
    """Clamped planes; slots that are not known have probability 0."""
    probabilities = jnp.where(known[:, None, None, :], probabilities, 0.0)
    background = jnp.prod(1 - probabilities, axis=-1, keepdims=True)
    planes = jnp.concatenate([background, probabilities], axis=-1)
    return jnp.clip(planes, CLAMP, 1 - CLAMP)
