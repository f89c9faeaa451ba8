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
    logits = jnp.einsum("bnhd,bshd->bhns", q * q.shape[-1] ** -0.5, k)
    weights = _soft_masked_softmax(logits, mask, scales, ignored)
    weights = drop_weights(weights.astype(value.dtype))
    return jnp.einsum("bhns,bshd->bnhd", weights, v).reshape(query.shape), weights


def projecting_soft_masked_attention(
    query: Float[Array, "b n c"],
    key: Float[Array, "b s e"],
    value: Float[Array, "b s e"],
    key_kernel: Float[Array, "e c"],
    value_kernel: Float[Array, "e c"],
    mask: Float[Array, "b n s"],
    scales: Float[Array, " heads"],
) -> tuple[Float[Array, "b n c"], Float[Array, "b heads n s"]]:
    """`soft_masked_attention` of `key @ key_kernel` and `value @ value_kernel`.

    The kernels are applied to the queries and to what was collected instead, which is less work
    where there are fewer queries than keys. A bias of the keys has no effect on the result.

    Args:
        query: projected queries.
        key: what the projected keys are made of.
        value: what the projected values are made of.
        key_kernel: of the projection of the keys.
        value_kernel: of the projection of the values.
        mask: how much each query shall look at each key, in [0, 1].
        scales: strength of the mask per head; their number is the number of heads.

    Returns:
        The attended values, and the weights.
    """
    heads = scales.shape[0]
    q = split_heads(query, heads)
    q = jnp.einsum("bnhd,ehd->bhne", q * q.shape[-1] ** -0.5, split_heads(key_kernel, heads))
    logits = jnp.einsum("bhne,bse->bhns", q, key)
    weights = _soft_masked_softmax(logits, mask, scales, None).astype(value.dtype)
    collected = jnp.einsum("bhns,bse->bhne", weights, value)
    attended = jnp.einsum("bhne,ehd->bnhd", collected, split_heads(value_kernel, heads))
    return attended.reshape(query.shape), weights


def _soft_masked_softmax(logits, mask, scales, ignored) -> Float[Array, "b heads n s"]:
    penalty = scales[:, None, None] * (1.0 - mask.astype(jnp.float32))[:, None]
    logits = logits.astype(jnp.float32) - penalty
    return masked_softmax(logits, None if ignored is None else ignored[:, None, None])
