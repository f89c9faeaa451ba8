"""How well a flow explains what it is given."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float


def bits_per_dimension(
    log_p: Float[Array, " n"], log_determinant: Float[Array, "#n"], dimensions: int, bits: int
) -> Float[Array, ""]:
    """Mean negative log likelihood in bits, without its sign (`losses/glow_loss.py` of HEVis).

    Args:
        log_p: log density of each sample's latents.
        log_determinant: of the flow's Jacobian.
        dimensions: of a sample.
        bits: to which its values were rounded.
    """
    nats = log_p + log_determinant - dimensions * bits * math.log(2)
    return jnp.abs(nats.mean()) / (dimensions * math.log(2))
