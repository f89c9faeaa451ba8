"""Soft-masked attention: attention that a mask in [0, 1] steers per query."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vos_jax.ops.attention import masked_softmax, split_heads


def soft_masked_attention(
    query: Float[Array, "b n c"],
    key: Float[Array, "b s c"],
    value: Float[Array, "b s c"],
    mask: Float[Array, "b n s"],
    scales: Float[Array, " heads"],
    ignored: Bool[Array, "b s"] | None = None,
    drop_weights: Callable[[Array], Array] = lambda weights: weights,
) -> tuple[Float[Array, "b n c"], Float[Array, "b heads n s"]]:
    """Attends with logits q k / sqrt(d) - scale (1 - mask), by head.

    Agrees with hodor/modelling/encoder/soft_masked_attention.py. A mask of zeros and one of ones
    both give plain attention.

    Args:
        query: projected queries.
        key: projected keys.
        value: projected values.
        mask: how much each query shall look at each key, in [0, 1].
        scales: strength of the mask per head; their number is the number of heads.
        ignored: True for keys nobody attends to; where all are, the result is zero.
        drop_weights: applied to the weights.

    Returns:
        The attended values, and the weights that were used.
    """
    q, k, v = (split_heads(x, scales.shape[0]) for x in (query, key, value))
    logits = jnp.einsum("bnhd,bshd->bhns", q * q.shape[-1] ** -0.5, k).astype(jnp.float32)
    logits = logits - scales[:, None, None] * (1.0 - mask.astype(jnp.float32))[:, None]
    weights = masked_softmax(logits, None if ignored is None else ignored[:, None, None])
    weights = drop_weights(weights.astype(value.dtype))
    return jnp.einsum("bhns,bshd->bnhd", weights, v).reshape(query.shape), weights
