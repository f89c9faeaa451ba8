"""What AOT and DeAOT remember of a video, per group of identities and layer."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int32

from vos_jax.nn.bank import FREE, Bank, store
from vos_jax.nn.long_short_term import Current, LayerMemory, Pair
from vos_jax.systems.base import State

TRAIN = "training"
"""View of a frame in training: the long-term memory then has training's gap."""


@struct.dataclass
class AotState(State):
    """The memory of a batch of videos.

    Attributes:
        bank: long-term memory; keys and values have an array per layer, slots are groups.
        short: key and value of the newest frame, "b g n c", per layer.
        last: time of the newest frame in the long-term memory.
    """

    bank: Bank
    short: tuple[Pair, ...]
    last: Int32[Array, " b"]


@struct.dataclass
class Trace:
    """What reading a frame leaves for writing it.

    Attributes:
        current: per layer, groups beside videos; see `nn.long_short_term.Current`.
        gap: frames between two that enter the long-term memory.
    """

    current: tuple[Current, ...]
    gap: int = struct.field(pytree_node=False)


def empty_state(
    batch: int,
    slots: int,
    groups: int,
    entries: int,
    tokens: int,
    widths: list[tuple[int, int]],
    dtype,
) -> AotState:
    """A state without frames.

    Args:
        batch: number of videos.
        slots: for objects.
        groups: of slots.
        entries: of the long-term memory.
        tokens: cells of a frame.
        widths: channels of keys and values per layer.
        dtype: of keys and values.
    """
    size = (batch, groups, entries)

    def pairs(*shape: int) -> tuple[Pair, ...]:
        return tuple(
            tuple(jnp.zeros((*shape, tokens, width), dtype) for width in pair) for pair in widths
        )

    keys, values = zip(*pairs(*size), strict=True)
    bank = Bank(
        keys=keys,
        values=values,
        written=jnp.full(size, FREE, jnp.int32),
        stays=jnp.zeros(size, bool),
        temporary=jnp.zeros(batch, bool),
    )
    return AotState(
        known=jnp.zeros((batch, slots), bool),
        time=jnp.zeros(batch, jnp.int32),
        bank=bank,
        short=pairs(batch, groups),
        last=jnp.zeros(batch, jnp.int32),
    )


def layer_memories(state: AotState) -> list[LayerMemory]:
    """What every layer reads, groups beside videos."""
    parts = (state.bank.keys, state.bank.values, state.bank.valid, state.short)
    keys, values, valid, short = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), parts)
    layers = zip(keys, values, short, strict=True)
    return [LayerMemory(*entries, valid, pair) for *entries, pair in layers]


def remembered(
    state: AotState,
    pairs: tuple[Pair, ...],
    known: Bool[Array, "b o"],
    prompted: Bool[Array, " b"],
    gap: int,
) -> AotState:
    """The state after a frame became the short-term memory, and perhaps a long-term entry.

    Args:
        state: before.
        pairs: the frame's key and value per layer, groups beside videos.
        known: slots that hold an object from this frame on.
        prompted: videos in which something was given on the frame; it then stays.
        gap: frames between two that enter the long-term memory.
    """
    batch, groups = state.bank.written.shape[:2]
    short = jax.tree.map(
        lambda new, old: new.reshape(old.shape).astype(old.dtype), pairs, state.short
    )
    due = prompted | (state.time - state.last >= gap)
    opened = known.reshape(batch, groups, -1).any(-1)
    keys, values = zip(*short, strict=True)
    return state.replace(
        known=known,
        time=state.time + 1,
        bank=store(
            state.bank,
            keys,
            values,
            state.time,
            opened & due[:, None],
            jnp.ones_like(due),
            prompted,
        ),
        short=short,
        last=jnp.where(due & known.any(-1), state.time, state.last),
    )


def group_planes(memory: Float[Array, "b h w o+1"], groups: int) -> Float[Array, "b*g h w k"]:
    """Planes of every group's identities, after a background that holds the other groups."""
    background, objects = memory[..., :1], memory[..., 1:]
    own = objects.reshape(*objects.shape[:3], groups, -1)
    others = objects.sum(-1, keepdims=True)[..., None] - own.sum(-1, keepdims=True)
    planes = jnp.concatenate([background[..., None] + others, own], axis=-1)
    return jnp.moveaxis(planes, 3, 1).reshape(-1, *memory.shape[1:3], planes.shape[-1])
