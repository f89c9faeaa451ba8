"""Objects of a training clip moved to other slots."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from vos_jax.systems.base import Clip


def shuffle_slots(clip: Clip, key: jax.Array) -> Clip:
    """Draws a slot for every object, per clip, so that all identities of a bank are trained."""
    draws = jax.random.uniform(key, clip.slots.shape)
    return move_slots(clip, jnp.argsort(draws, axis=-1))


def move_slots(clip: Clip, target: Int[Array, "b o"]) -> Clip:
    """The clip with what slot s holds in slot `target[s]`.

    Args:
        clip: the clips.
        target: a permutation of the slots for each.
    """
    source = jnp.argsort(target, axis=-1)
    slots = target.shape[-1]
    table = jnp.pad(target + 1, [(0, 0), (1, 0)]).astype(clip.labels.dtype)
    labels = jax.vmap(jnp.take)(table, jnp.minimum(clip.labels, slots).astype(jnp.int32))
    moved = {
        "labels": jnp.where(clip.labels > slots, clip.labels, labels),
        "slots": jnp.take_along_axis(clip.slots, source, axis=-1),
        "present": jnp.take_along_axis(clip.present, source[:, None], axis=-1),
    }
    if clip.given is not None:
        moved["given"] = jnp.take_along_axis(clip.given, source[:, None, None], axis=-1)
    if clip.categories is not None:
        moved["categories"] = jnp.take_along_axis(clip.categories, source, axis=-1)
    return clip.replace(**moved)
