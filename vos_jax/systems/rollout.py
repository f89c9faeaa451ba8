"""Training's walk over a clip: encode every frame at once, then visit frames as the plan says."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from vos_jax.core.geometry import Geometry
from vos_jax.systems.base import Clip, Given, Verbs, Visit


@struct.dataclass
class Run:
    """What a rollout leaves for the losses.

    Attributes:
        scores: per visit, None where nothing was read.
        traces: per visit.
        features: of all frames, batch and time first.
        state: after the last visit.
        plan: the visits.
    """

    scores: tuple
    traces: tuple
    features: Any
    state: Any
    plan: tuple[Visit, ...] = struct.field(pytree_node=False)


def rollout(verbs: Verbs, clip: Clip, plan: tuple[Visit, ...]) -> Run:
    """Runs a system over a batch of clips.

    Args:
        verbs: the system; with a key, every visit draws its dropout from a key of its own.
        clip: the batch.
        plan: static. Neighbouring visits that differ only in the frame are one `lax.scan`.

    Returns:
        Scores and traces per visit, features and the last state.
    """
    batch, time, height, width = clip.frames.shape[:4]
    geometry = verbs.module.spec.unchanged((height, width))
    features = _encode(verbs, clip, geometry)
    if plan and plan[0].frame is None:
        scores, trace = verbs.read(None, features, None, plan[0].view)
        return Run((scores,), (trace,), features, None, plan)
    writes = sum(visit.feed is not None for visit in plan)
    entries = verbs.module.spec.clip_entries(writes)
    state = verbs.init_state(batch, geometry, clip.slots.shape[1], entries)
    scores, traces, number = [], [], 0
    for _, group in itertools.groupby(plan, key=lambda visit: visit._replace(frame=0)):
        visits = tuple(group)
        walk = _scan if len(visits) > 1 else _single
        state, new_scores, new_traces = walk(verbs, state, features, clip, visits, number)
        scores += new_scores
        traces += new_traces
        number += len(visits)
    return Run(tuple(scores), tuple(traces), features, state, plan)


def _encode(verbs: Verbs, clip: Clip, geometry: Geometry):
    batch, time = clip.frames.shape[:2]
    frames = clip.frames.reshape(batch * time, *clip.frames.shape[2:])
    frames = verbs.module.spec.prepare(frames, geometry)
    frames = frames * clip.valid.reshape(batch * time, *clip.valid.shape[2:])[..., None]
    features = verbs.keyed(0).encode(frames)
    return jax.tree.map(lambda x: x.reshape(batch, time, *x.shape[1:]), features)


def _single(verbs: Verbs, state, features, clip: Clip, visits, number: int):
    (visit,) = visits
    frame = visit.frame
    here = jax.tree.map(lambda x: x[:, frame], features)
    state, scores, trace = _visit(
        verbs.keyed(number + 1), state, here, clip, clip.labels[:, frame], visit
    )
    return state, [scores], [trace]


def _scan(verbs: Verbs, state, features, clip: Clip, visits, number: int):
    frames = jnp.array([visit.frame for visit in visits])
    inputs = (
        jnp.arange(number + 1, number + 1 + len(visits)),
        jax.tree.map(lambda x: jnp.moveaxis(x[:, frames], 1, 0), (features, clip.labels)),
    )

    @jax.checkpoint
    def body(state, item):
        visit_number, (here, labels) = item
        state, *read = _visit(verbs.keyed(visit_number), state, here, clip, labels, visits[0])
        return state, read

    # XLA's CPU compiler has fast kernels for the gradients of convolutions outside loops alone.
    unroll = jax.default_backend() == "cpu"
    state, (scores, traces) = jax.lax.scan(body, state, inputs, unroll=unroll)

    def unstack(tree):
        return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(len(visits))]

    return state, unstack(scores), unstack(traces)


def _visit(verbs: Verbs, state, features, clip: Clip, labels, visit: Visit):
    spec = verbs.module.spec
    geometry = spec.unchanged(clip.frames.shape[2:4])
    scores, trace = (None, None)
    if visit.read:
        scores, trace = verbs.read(state, features, None, visit.view)
    if visit.feed is None:
        return state, scores, trace
    given = given_of(clip) if visit.feed == "given" else None
    if visit.feed == "truth" or (scores is None and clip.given is None):
        memory = planes_of(labels, clip)
    elif scores is None:
        memory = with_background(given.masks)
    else:
        memory = spec.resolve(scores, state.known & clip.slots, given, geometry).memory
        if visit.feed == "own_cut":
            memory = jax.lax.stop_gradient(memory)
    return verbs.write(state, features, trace, memory, given), scores, trace


def planes_of(labels: Array, clip: Clip) -> Float[Array, "b h w o+1"]:
    """One-hot planes of a frame's labels, background first; ignored pixels are in none."""
    return jax.nn.one_hot(labels, clip.slots.shape[1] + 1)


def with_background(masks: Float[Array, "b h w o"]) -> Float[Array, "b h w o+1"]:
    """Planes as they are, after the background that they leave over."""
    background = jnp.clip(1 - masks.sum(-1, keepdims=True), 0, 1)
    return jnp.concatenate([background, masks], axis=-1)


def given_of(clip: Clip) -> Given:
    """The masks a clip starts from: those it brings, or the labels of its first frame.

    All slots are given, those without an object as empty masks: RDE's losses look at what is
    remembered of them. They take no part in `resolve`.
    """
    if clip.given is not None:
        masks = clip.given / 255
    else:
        masks = planes_of(clip.labels[:, 0], clip)[..., 1:]
    return Given(masks=masks, slots=jnp.ones_like(clip.slots))
