"""The compiled programs of inference.

Each is compiled once per system, geometry and array shapes (videos in the batch, slots, memory
entries); the state that goes in is donated. Labels go in and come out as uint8, planes are made
on the device.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree, UInt8

from vos_jax.core.geometry import Geometry
from vos_jax.systems.base import Given, Masks, Segmenter, Verbs, advance, step

_compiled = functools.partial(
    jax.jit, static_argnames=("system", "geometry", "soft"), donate_argnames="state"
)


@functools.partial(jax.jit, static_argnames=("system", "geometry", "batch", "slots", "memory"))
def empty_state(
    *, system: Segmenter, geometry: Geometry, batch: int, slots: int, memory: int | None
):
    """The state of videos of which nothing was seen yet."""
    return Verbs(system, {}).init_state(batch, geometry, slots, memory)


@_compiled
def plain_step(
    variables: PyTree,
    state,
    frames: UInt8[Array, "b h w 3"],
    *,
    system: Segmenter,
    geometry: Geometry,
    soft: bool = False,
):
    """A frame without prompts. Returns the new state and what `shown` makes of its masks."""
    state, masks = step(Verbs(system, variables), state, frames, geometry)
    return state, shown(masks, soft)


@_compiled
def given_step(
    variables: PyTree,
    state,
    frames: UInt8[Array, "b h w 3"],
    labels: UInt8[Array, "b H W"],
    slots: Bool[Array, "b o"],
    *,
    system: Segmenter,
    geometry: Geometry,
    soft: bool = False,
):
    """A frame with prompts: slot labels (255 void), and the slots they replace.

    Returns:
        The new state, what `shown` makes of its masks, and which slots are known now.
    """
    planes = slot_planes(labels, slots.shape[-1])
    verbs = Verbs(system, variables)
    state, masks = step(verbs, state, frames, geometry, Given(masks=planes, slots=slots))
    return state, shown(masks, soft), state.known


@_compiled
def several_steps(
    variables: PyTree,
    state,
    frames: UInt8[Array, "t h w 3"],
    *,
    system: Segmenter,
    geometry: Geometry,
    soft: bool = False,
):
    """Consecutive frames of one video without prompts: encoded at once, then scanned.

    Returns:
        The new state and what `shown` makes of the masks, time first.
    """
    verbs = Verbs(system, variables)
    features = verbs.encode(system.spec.prepare(frames, geometry))

    def body(state, here):
        here = jax.tree.map(lambda x: x[None], here)
        state, masks = advance(verbs, state, here, geometry)
        return state, shown(masks, soft)[0]

    return jax.lax.scan(body, state, features)


def slot_planes(labels: UInt8[Array, "b h w"], slots: int):
    """One plane per slot from slot labels (slot + 1); void is in none."""
    return (labels[..., None] == jnp.arange(1, slots + 1, dtype=jnp.uint8)).astype(jnp.float32)


def shown(masks: Masks, soft: bool) -> Array:
    """Labels, or probabilities if soft ones are wanted."""
    return masks.probabilities if soft else masks.labels
