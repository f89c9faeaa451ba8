"""Soft aggregation of independent object probabilities (space-time memory networks)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

CLAMP = 1e-7


def aggregate(
    probabilities: Float[Array, "b h w o"], known: Bool[Array, "b o"]
) -> Float[Array, "b h w o+1"]:
    """Weighs objects and background by their odds.

    The background is prod(1 - p); all planes are clamped to [1e-7, 1 - 1e-7] and normalised by
    the sum of their odds p / (1 - p) (Oh et al. 2019, equation of the soft aggregation;
    MiVOS `aggregate`).

    Args:
        probabilities: of each object on its own.
        known: slots that hold an object; the others take no part and come out as 0.

    Returns:
        Planes that sum to 1, background first.
    """
    takes_part = known[:, None, None, :]
    probabilities = jnp.where(takes_part, probabilities, 0.0)
    background = jnp.prod(1 - probabilities, axis=-1, keepdims=True)
    planes = jnp.concatenate([background, probabilities], axis=-1)
    planes = jnp.clip(planes, CLAMP, 1 - CLAMP)
    odds = planes / (1 - planes)
    odds = odds * jnp.pad(takes_part, [(0, 0)] * 3 + [(1, 0)], constant_values=True)
    return odds / odds.sum(-1, keepdims=True)
