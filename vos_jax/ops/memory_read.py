"""Reading a space-time memory: every cell of a frame gathers what the memory's tokens hold.

Weights are a softmax over all tokens (training), over the `top_k` most similar ones (Cheng et al.
2021), or either of them with the kernel of KMN (Seong et al. 2020): a Gaussian around the cell
that a token likes best. `affinity` is the plain form with all weights; `read_memory` never holds
more than `CHUNK_BYTES` of them and computes only what is kept. Agrees with `model/eval_network.py`
of Mask-Propagation and with `inference_memory_bank.py` of STCN and RDE, but subtracts the largest
logit everywhere.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Shaped

from vos_jax.ops.attention import masked_softmax

CHUNK_BYTES = 16 * 2**20
"""The most of the affinity that is held at a time, 16 MiB, unless one query needs more."""
HIDDEN = float(np.finfo(np.float32).min)


def affinity(
    query: Float[Array, "b n c"],
    keys: Float[Array, "b s c"],
    valid: Bool[Array, "b s"],
    *,
    similarity: str = "dot",
    top_k: int | None = None,
    sigma: float | None = None,
    grid: tuple[int, int] | None = None,
) -> Float[Array, "b n s"]:
    """Weights of every token for every query, summing to 1 over the valid tokens.

    Args:
        query: keys of the frame that is read, row by row.
        keys: of the memory's tokens.
        valid: which tokens there are; the others weigh 0, and all do where there is none.
        similarity: "dot" is q.k / sqrt(c), "l2" is (2 q.k - |k|^2) / sqrt(c): the negative squared
            distance without the part that is the same for all tokens.
        top_k: how many tokens keep a weight; None or 0, or more than there are, keeps all.
        sigma: standard deviation of the kernel in cells; None or 0 is no kernel.
        grid: rows and columns of the queries; only the kernel needs it.
    """
    logits = _logits(query, keys, similarity)
    if sigma:
        cells = jnp.arange(query.shape[1])
        logits -= _off_centre(cells, logits.argmax(1), grid[1], sigma)
    logits = jnp.where(valid[:, None], logits, HIDDEN)
    if not _selects(top_k, keys):
        return masked_softmax(logits, ~valid[:, None])
    weights, tokens = _strongest(logits, top_k)
    return jnp.put_along_axis(jnp.zeros_like(logits), tokens, weights, axis=-1, inplace=False)


def read_memory(
    query: Float[Array, "b n c"],
    keys: Float[Array, "b s c"],
    values: Float[Array, "b o s d"],
    valid: Bool[Array, "b s"],
    *,
    similarity: str = "dot",
    top_k: int | None = None,
    sigma: float | None = None,
    grid: tuple[int, int] | None = None,
) -> Float[Array, "b o n d"]:
    """What every query reads: the tokens' values, weighted as `affinity` does.

    Takes the queries in chunks whose affinity fills at most `CHUNK_BYTES` (with a kernel twice:
    its centres are known only after all queries). Gradients recompute the chunks.

    Args:
        query: as for `affinity`.
        keys: as for `affinity`.
        values: of the tokens, for any number of objects that share the affinity.
        valid: as for `affinity`; the result is zero where nothing is valid.
        similarity: as for `affinity`.
        top_k: as for `affinity`.
        sigma: as for `affinity`.
        grid: as for `affinity`.
    """
    centres = _centres(query, keys, similarity) if sigma else None
    hiding = jnp.where(valid, 0.0, HIDDEN)[:, None]

    def logits_of(part: Array, cells: Array) -> Array:
        logits = _logits(part, keys, similarity)
        if sigma:
            logits -= _off_centre(cells, centres, grid[1], sigma)
        return logits + hiding

    side_by_side = jnp.moveaxis(values, 1, 2).reshape(*keys.shape[:2], -1)

    def read_all(_, chunk):
        return None, _weighted(logits_of(*chunk), side_by_side)

    def select(_, chunk):
        return None, _strongest(logits_of(*chunk), top_k)

    if _selects(top_k, keys):
        weights, tokens = _scan(select, None, query, keys)[1]
        return _gather(values, _joined(weights, query), _joined(tokens, query))
    read = _joined(_scan(read_all, None, query, keys)[1], query)
    return jnp.moveaxis(read.reshape(*read.shape[:2], values.shape[1], -1), 2, 1)


def _selects(top_k: int | None, keys: Array) -> bool:
    return bool(top_k) and top_k < keys.shape[1]


def _logits(query: Array, keys: Array, similarity: str) -> Float[Array, "b n s"]:
    scale = query.shape[-1] ** -0.5
    product = {"preferred_element_type": jnp.float32}
    if similarity == "dot":
        return jnp.einsum("bnc,bsc->bns", query * scale, keys, **product)
    lengths = jnp.square(keys.astype(jnp.float32)).sum(-1)
    return jnp.einsum("bnc,bsc->bns", query * (2 * scale), keys, **product) - (
        lengths[:, None] * scale
    )


def _off_centre(
    cells: Int32[Array, " n"], centres: Int32[Array, "b s"], columns: int, sigma: float
) -> Float[Array, "b n s"]:
    """The negative logarithm of the Gaussian of every token at every query cell."""
    (y, x), (best_y, best_x) = (jnp.divmod(number, columns) for number in (cells, centres))
    down, right = y[:, None] - best_y[:, None], x[:, None] - best_x[:, None]
    return (down**2 + right**2).astype(jnp.float32) / (2 * sigma**2)


def _centres(query: Array, keys: Array, similarity: str) -> Int32[Array, "b s"]:
    """The query cell that every token is most similar to, the first of equals."""
    query, keys = jax.lax.stop_gradient((query, keys))

    def better(best, chunk):
        part, cells = chunk
        logits = _logits(part, keys, similarity)
        logits = jnp.where((cells < query.shape[1])[:, None], logits, HIDDEN)
        here = logits.max(1)
        cell = jnp.where(logits == here[:, None], cells[:, None], len(cells) * 2**16).min(1)
        value, centre = best
        return (jnp.maximum(here, value), jnp.where(here > value, cell, centre)), None

    start = jnp.full(keys.shape[:2], -jnp.inf), jnp.zeros(keys.shape[:2], jnp.int32)
    return _scan(better, start, query, keys)[0][1]


def _scan(body: Callable, start: Any, query: Array, keys: Array):
    """`lax.scan` over chunks of the queries "b r c" and their cell numbers "r"."""
    b, n, c = query.shape
    steps = -(-n // max(CHUNK_BYTES // (4 * b * keys.shape[1]), 1))
    rows = -(-n // steps)
    steps = -(-n // rows)
    padded = jnp.pad(query, ((0, 0), (0, steps * rows - n), (0, 0)))
    parts = jnp.moveaxis(padded.reshape(b, steps, rows, c), 1, 0)
    cells = jnp.arange(steps * rows, dtype=jnp.int32).reshape(steps, rows)
    return jax.lax.scan(jax.checkpoint(body), start, (parts, cells))


def _joined(parts: Shaped[Array, "p *b r c"], query: Array) -> Shaped[Array, "*b n c"]:
    """The results of all chunks, without those of padding."""
    parts = jnp.moveaxis(parts, 0, -3)
    return parts.reshape(*parts.shape[:-3], -1, parts.shape[-1])[..., : query.shape[1], :]


@jax.custom_vjp
def _weighted(logits: Float[Array, "b n s"], values: Float[Array, "b s d"]) -> Array:
    """Sums of the values by a softmax; zero where all is hidden.

    What is summed is divided, since it is smaller than the weights. Where gradients are taken the
    weights are: rounded like a softmax, training selects the same hard pixels as recorded.
    """
    weights, total = _unnormalised(logits)
    return (weights.astype(values.dtype) @ values) / total.astype(values.dtype)


def _normalised(logits: Array, values: Array) -> Array:
    weights, total = _unnormalised(logits)
    return (weights / total).astype(values.dtype) @ values


_weighted.defvjp(
    lambda logits, values: (_normalised(logits, values), (logits, values)),
    lambda kept, change: jax.vjp(_normalised, *kept)[1](change),
)


def _unnormalised(logits: Float[Array, "b n s"]):
    """Exponentials and their sums, 1 where all is hidden."""
    largest = jnp.maximum(logits.max(-1, keepdims=True), HIDDEN / 2)
    weights = jnp.exp(logits - jax.lax.stop_gradient(largest))
    total = weights.sum(-1, keepdims=True)
    return weights, jnp.where(total > 0, total, 1)


def _strongest(logits: Float[Array, "b n s"], k: int):
    """Softmax weights and numbers of the k largest logits."""
    largest, tokens = jax.lax.top_k(logits.reshape(-1, logits.shape[-1]), k)
    shape = (*logits.shape[:-1], k)
    return masked_softmax(largest, largest <= HIDDEN).reshape(shape), tokens.reshape(shape)


def _gather(
    values: Float[Array, "b o s d"], weights: Float[Array, "b n k"], tokens: Int32[Array, "b n k"]
) -> Float[Array, "b o n d"]:
    """Weighted sums of rows, one of the k rows of every query at a time."""

    def add(total, item):
        weight, token = item
        rows = jax.vmap(lambda rows, token: rows.at[:, token].get(mode="promise_in_bounds"))
        return total + weight[:, None, :, None] * rows(values, token), None

    total = jnp.zeros((*values.shape[:2], tokens.shape[1], values.shape[3]))
    ranked = tuple(jnp.moveaxis(x, 2, 0) for x in (weights, tokens))
    return jax.lax.scan(add, total, ranked)[0].astype(values.dtype)
