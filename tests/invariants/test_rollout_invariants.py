"""Training's walk over a clip, on the toys: against loops written by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.invariants.interface_checks import Case, given_for, moving_squares, one_step
from tests.toy_systems import POLICIES, Toy, toy_loss, toy_params
from vos_jax.core.geometry import Geometry
from vos_jax.systems.base import Clip, Given, Verbs, Visit, skip
from vos_jax.systems.rollout import rollout

SIZE = (24, 32)
SLOTS = {"softmax": 2, "odds": 2, "labels": 10}


@functools.cache
def toy(policy, every=1):
    system = Toy(policy=policy, every=every)
    return system, toy_params(system)


def training_clip(policy):
    """A batch of one clip of five frames with two of the moving squares."""
    frames, ids = moving_squares(SIZE)
    labels = np.select([ids == 7, ids == 3], [1, 2], 0).astype(np.uint8)[:5]
    slots = np.arange(SLOTS[policy]) < 2
    present = np.stack([[(m == s + 1).any() for s in range(SLOTS[policy])] for m in labels])
    return Clip(
        frames=jnp.asarray(frames[None, :5]),
        labels=jnp.asarray(labels[None]),
        slots=jnp.asarray(slots[None]),
        present=jnp.asarray(present[None]),
        labelled=jnp.ones((1, 5), bool),
        valid=jnp.ones((1, 5, *SIZE), bool),
    )


def by_hand(system, params, clip):
    """The toy's plan as a loop: scores of frames 1 to 4."""
    verbs, geometry = Verbs(system, {"params": params}), Geometry.unchanged(SIZE)
    state = verbs.init_state(1, geometry, clip.slots.shape[1], 4)
    planes = jax.nn.one_hot(clip.labels[:, 0], clip.slots.shape[1] + 1)[..., 1:]
    given = Given(masks=planes, slots=clip.slots & clip.present[:, 0])
    scores = []
    for t in range(5):
        features = verbs.encode(system.spec.prepare(clip.frames[:, t], geometry))
        if t == 0:
            memory = system.spec.resolve(None, state.known, given, geometry).memory
            state = verbs.write(state, features, None, memory, given)
            continue
        score, trace = verbs.read(state, features)
        scores.append(score)
        memory = system.spec.resolve(score, state.known, None, geometry).memory
        memory = jax.lax.stop_gradient(memory) if t == 3 else memory
        if t < 4:
            state = verbs.write(state, features, trace, memory)
    return scores


@pytest.mark.parametrize("policy", POLICIES)
def test_plan_is_the_loop_written_by_hand(policy):
    system, params = toy(policy)
    clip, plan = training_clip(policy), system.plan(0, 0)

    def planned(params):
        run = rollout(Verbs(system, {"params": params}), clip, plan)
        return system.losses(run, clip, 0)["loss"], [s for s in run.scores if s is not None]

    def looped(params):
        scores = by_hand(system, params, clip)
        return toy_loss(scores), scores

    results = [jax.jit(jax.value_and_grad(f, has_aux=True))(params) for f in (planned, looped)]
    ((loss, scores), gradient), ((want, want_scores), want_gradient) = results
    np.testing.assert_allclose(loss, want, rtol=1e-6)
    for a, b in zip(scores, want_scores, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-3)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(want_gradient))
    assert largest > 1e-4
    for a, b in zip(*map(jax.tree.leaves, (gradient, want_gradient)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * largest)


def test_alike_visits_are_scanned_and_others_are_not():
    system, params = toy("odds")
    clip = training_clip("odds")

    def scans(plan):
        text = str(jax.make_jaxpr(lambda: rollout(Verbs(system, {"params": params}), clip, plan))())
        return text.count(" = scan[")

    start = Visit(0, "given", None, read=False)
    assert scans((start, Visit(1, "own"), Visit(2, "own"), Visit(3, "own"))) == 1
    assert scans((start, Visit(1, "own"), Visit(2, "truth"), Visit(3, "own"))) == 0


def test_scanned_is_unrolled():
    """The same visits, told apart by a view of the whole memory, give the same scores."""
    system, params = toy("odds")
    clip, whole = training_clip("odds"), (0, 1, 2, 3)
    start = Visit(0, "given", None, read=False)
    views = ((None, None, None), (None, whole, None))
    runs = [
        rollout(
            Verbs(system, {"params": params}),
            clip,
            (start, *(Visit(t + 1, "own", view) for t, view in enumerate(each)), Visit(4, "truth")),
        )
        for each in views
    ]
    for a, b in zip(runs[0].scores[1:], runs[1].scores[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-3)


def test_skipped_frames_are_like_frames_that_are_not_memory():
    system, params = toy("odds", every=3)
    case = Case(system, params)
    assert system.spec.skippable
    frames, labels = moving_squares(case.size)
    begun = case.verbs.init_state(1, case.geometry, 3, 8)
    begun, _ = one_step(case, begun, frames[:1], given_for(case, labels[:1], (7, 3, 120)))
    stepped = begun
    for t in (1, 2):
        stepped, _ = one_step(case, stepped, frames[t : t + 1])
    ends = [one_step(case, state, frames[3:4]) for state in (stepped, skip(begun, 2))]
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(a, b)
