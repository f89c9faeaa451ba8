"""A memory of fixed capacity: keys and values of past frames, per object slot.

Every slot fills its entries on its own, so slots may start late. The entry that `store` writes is
changed in place where the bank is donated.
"""

import functools

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int32, PyTree

from vos_jax.ops.memory_read import read_memory

FREE = -1
NEVER = jnp.iinfo(jnp.int32).max


@struct.dataclass
class Bank:
    """The entries of a batch of videos.

    Attributes:
        keys: of an entry's tokens; or a tuple with such an array per layer.
        values: of an entry's tokens; likewise.
        written: time of the frame an entry holds, -1 where it is free.
        stays: entries that leave only when all others of the slot stay as well.
        temporary: whether the next write replaces the newest entry.
    """

    keys: PyTree[Float[Array, "b o m n _"]]
    values: PyTree[Float[Array, "b o m n _"]]
    written: Int32[Array, "b o m"]
    stays: Bool[Array, "b o m"]
    temporary: Bool[Array, " b"]

    @property
    def valid(self) -> Bool[Array, "b o m"]:
        """Which entries hold a frame."""
        return self.written != FREE

    @property
    def used(self) -> Int32[Array, "b o"]:
        """How many entries hold a frame."""
        return self.valid.sum(-1)

    @property
    def starts(self) -> Int32[Array, "b o"]:
        """Time of every slot's first frame, -1 for empty slots."""
        return self.written[:, :, 0]


def empty_bank(
    batch: int, slots: int, entries: int, tokens: int, key_channels: int, value_channels: int
) -> Bank:
    """A bank without frames."""
    size = (batch, slots, entries)
    return Bank(
        keys=jnp.zeros((*size, tokens, key_channels)),
        values=jnp.zeros((*size, tokens, value_channels)),
        written=jnp.full(size, FREE, jnp.int32),
        stays=jnp.zeros(size, bool),
        temporary=jnp.zeros(batch, bool),
    )


def store(
    bank: Bank,
    keys: PyTree[Float[Array, "b o n _"]],
    values: PyTree[Float[Array, "b o n _"]],
    time: Int32[Array, " b"],
    slots: Bool[Array, "b o"],
    keep: Bool[Array, " b"],
    stays: Bool[Array, " b"],
) -> Bank:
    """Writes a frame into one entry of every chosen slot.

    The place is, per slot: the temporary entry, else a free one, else the oldest that does not
    stay, else the oldest. The first entry leaves only where there is no second.

    Args:
        bank: the memory so far.
        keys: of the frame, per slot.
        values: of the frame, per slot.
        time: of the frame; newer than what is stored.
        slots: which slots are written; a video without any is left as it is.
        keep: False makes the entry temporary: the next write replaces it.
        stays: whether the entry outlives those that do not, once the bank is full.
    """
    videos, objects = jnp.indices(slots.shape, sparse=True)
    place = jnp.where(slots, _place(bank), bank.written.shape[2])
    written = slots.any(-1)

    def put(entries: Array, new: Array) -> Array:
        return entries.at[videos, objects, place].set(new.astype(entries.dtype), mode="drop")

    return Bank(
        keys=jax.tree.map(put, bank.keys, keys),
        values=jax.tree.map(put, bank.values, values),
        written=put(bank.written, time[:, None]),
        stays=put(bank.stays, stays[:, None]),
        temporary=jnp.where(written, ~keep, bank.temporary),
    )


def _place(bank: Bank) -> Int32[Array, "b o"]:
    """The entry of every slot that the next frame goes to."""
    newest = bank.written.max((1, 2), keepdims=True)
    temporary = bank.temporary[:, None, None] & bank.valid & (bank.written == newest)
    rank = jnp.where(bank.stays, bank.written + NEVER // 2, bank.written)
    rank = jnp.where(temporary, FREE - 1, rank)
    first = jnp.where(bank.valid[:, :, :1], NEVER, FREE)
    return jnp.concatenate([first, rank[:, :, 1:]], axis=2).argmin(-1)


def read_bank(
    query: Float[Array, "b n c"],
    keys: Float[Array, "b o m n c"],
    values: Float[Array, "b o m n d"],
    valid: Bool[Array, "b o m"],
    known: Bool[Array, "b o"],
    *,
    grid: tuple[int, int],
    similarity: str,
    top_k: int | None = None,
    sigma: float | None = None,
    starts: Int32[Array, "b o"] | None = None,
) -> Float[Array, "b o n d"]:
    """Reads a frame from the entries of every slot: see `ops.memory_read.read_memory`.

    Where keys depend on the image alone, slots that started together share them. If all known
    slots of every video do, which is looked up at run time, one affinity serves them all.

    Args:
        query: keys of the frame.
        keys: of the entries; those of a bank, or any that belong to its slots.
        values: of the entries.
        valid: which entries there are.
        known: which slots are wanted; the others' results are finite, and mean nothing.
        grid: rows and columns of the queries.
        similarity: "dot" or "l2".
        top_k: how many tokens of all entries together keep a weight; None or 0 keeps all.
        sigma: of the kernel; None or 0 is no kernel.
        starts: `Bank.starts` where slots may share keys; None where every slot has its own.
    """
    b, o, _, n = keys.shape[:4]
    read = functools.partial(
        read_memory, grid=grid, similarity=similarity, top_k=top_k, sigma=sigma
    )
    valid = jnp.repeat(valid, n, axis=2)
    keys, values = (x.reshape(b, o, -1, x.shape[-1]) for x in (keys, values))

    def each():
        own = (x.reshape(b * o, *x.shape[2:]) for x in (keys, values[:, :, None], valid))
        return read(jnp.repeat(query, o, axis=0), *own).reshape(b, o, *query.shape[1:2], -1)

    if starts is None or o == 1:
        return each()
    lead = (jnp.arange(b), known.argmax(-1))
    same = (starts == starts[lead][:, None]) & (valid == valid[lead][:, None]).all(-1)
    return jax.lax.cond(
        (same | ~known).all(), lambda: read(query, keys[lead], values, valid[lead]), each
    )
