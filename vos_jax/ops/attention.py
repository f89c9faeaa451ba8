"""Multi-head attention of projected queries, keys and values."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def split_heads(x: Float[Array, "*b n c"], heads: int) -> Float[Array, "*b n heads d"]:
    """Cuts the channels into heads of neighbouring channels."""
    return x.reshape(*x.shape[:-1], heads, -1)


def masked_softmax(
    logits: Float[Array, "*n s"], ignored: Bool[Array, "*#n s"] | None
) -> Float[Array, "*n s"]:
    """Softmax over the keys that are not ignored, in float32; zeros where all are ignored."""
    logits = logits.astype(jnp.float32)
    if ignored is None:
        return jax.nn.softmax(logits, -1)
    weights = jax.nn.softmax(jnp.where(ignored, jnp.finfo(jnp.float32).min, logits), -1)
    return jnp.where(ignored, 0.0, weights)


def attend(
    query: Float[Array, "b n c"],
    key: Float[Array, "b s c"],
    value: Float[Array, "b s c"],
    heads: int,
    ignored: Bool[Array, "b s"] | None = None,
    drop_logits: Callable[[Array], Array] = lambda logits: logits,
    drop_weights: Callable[[Array], Array] = lambda weights: weights,
) -> Float[Array, "b n c"]:
    """Multi-head attention without projections: softmax(q k / sqrt(d)) v.

    Args:
        query: projected queries.
        key: projected keys.
        value: projected values.
        heads: number of heads.
        ignored: True for keys nobody attends to; where all are, the result is zero.
        drop_logits: applied to the logits before the softmax.
        drop_weights: applied to the weights after it.
    """
    q, k, v = (split_heads(x, heads) for x in (query, key, value))
    logits = drop_logits(jnp.einsum("bnhd,bshd->bhns", q * q.shape[-1] ** -0.5, k))
    weights = masked_softmax(logits, None if ignored is None else ignored[:, None, None])
    weights = drop_weights(weights.astype(value.dtype))
    return jnp.einsum("bhns,bshd->bnhd", weights, v).reshape(query.shape)
