"""Multi-head attention of a frame's cells to all cells of the frames in a memory."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vos_jax.ops.memory_read import read_memory


def attend_memory(
    query: Float[Array, "b n c"],
    keys: Float[Array, "b m s c"],
    values: Float[Array, "b m s e"],
    valid: Bool[Array, "b m"],
    heads: int,
) -> Float[Array, "b n e"]:
    """Softmax(q k / sqrt(d)) v over the cells of all valid entries, per head.

    Never holds more scores than `ops.memory_read.CHUNK_BYTES` take. Entries fill from the first
    one on: at run time only the first 1, 2, 4, ... are read among which all valid ones are.

    Args:
        query: projected queries.
        keys: of the entries' cells.
        values: of the entries' cells.
        valid: which entries there are; where there is none, the result is zero.
        heads: number of heads; each has neighbouring channels of all three.
    """
    entries = keys.shape[1]
    sizes = [2**power for power in range((entries - 1).bit_length())]
    filled = (valid.any(0) * jnp.arange(1, entries + 1)).max()
    branches = [
        functools.partial(_attend_first, count=count, heads=heads) for count in (*sizes, entries)
    ]
    number = (filled > jnp.array(sizes, jnp.int32)).sum()
    return jax.lax.switch(number, branches, query, keys, values, valid)


def _attend_first(
    query: Array, keys: Array, values: Array, valid: Array, count: int, heads: int
) -> Float[Array, "b n e"]:
    """`attend_memory` with the first entries."""
    keys, values, valid = (x[:, :count] for x in (keys, values, valid))
    batch, _, cells = keys.shape[:3]

    def by_head(x: Array) -> Array:
        x = x.reshape(batch, -1, heads, x.shape[-1] // heads)
        return jnp.swapaxes(x, 1, 2).reshape(batch * heads, -1, x.shape[-1])

    tokens = jnp.repeat(jnp.repeat(valid, cells, axis=1), heads, axis=0)
    out = read_memory(by_head(query), by_head(keys), by_head(values)[:, None], tokens)
    out = out.reshape(batch, heads, query.shape[1], -1)
    return jnp.swapaxes(out, 1, 2).reshape(batch, query.shape[1], -1)
