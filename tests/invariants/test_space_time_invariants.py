"""Mask-Propagation, STCN and RDE, small and random, hold what the interface promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.invariants.interface_checks import (
    CHECKS,
    IDS,
    check_saved_and_forked,
    given_for,
    moving_squares,
    one_step,
    only,
    probabilities,
)
from tests.tiny_space_time import space_time_case
from vos_jax.core.errors import ConfigError
from vos_jax.inference.session import FIRST_ENTRIES
from vos_jax.systems.base import Verbs, skip


def short(check):
    return check.__name__.removeprefix("check_")


WHOLE = ("rde", "mask_propagation")
"""Systems that run all the shared checks: a memory of fixed size, and one that grows."""
VARIANTS = ("rde_stm", "stcn", "stcn_include_last", "mask_propagation_kernel")
"""Systems that differ from those in what a frame is read from, or which frames stay."""
OF_VARIANTS = [
    check
    for check in CHECKS
    if short(check) in ("batch_is_one_by_one", "unused_slots", "grown_is_not_grown")
]
GROWING = ("rde_stm", "stcn", "stcn_include_last", "mask_propagation")
SKIPPABLE = ("rde", "stcn")


@pytest.mark.parametrize("check", CHECKS, ids=short)
@pytest.mark.parametrize("name", WHOLE)
def test_space_time(name, check):
    check(space_time_case(name))


@pytest.mark.parametrize("check", OF_VARIANTS, ids=short)
@pytest.mark.parametrize("name", VARIANTS)
def test_space_time_variants(name, check):
    check(space_time_case(name))


@pytest.mark.parametrize("name", ["rde", "stcn_include_last", "mask_propagation"])
def test_space_time_saved_and_forked(name, tmp_path):
    check_saved_and_forked(space_time_case(name), tmp_path)


@pytest.mark.parametrize("name", WHOLE + VARIANTS)
def test_masks_hang_on_what_is_remembered(name):
    """The random parameters are worth testing with: other first masks, other later ones."""
    case = space_time_case(name)
    frames, labels = moving_squares(case.size)
    soft = [
        probabilities(case.session(soft=True), frames[:3], {0: given})[-1]
        for given in (only(labels[0], 7), np.roll(only(labels[0], 7), 20, axis=1))
    ]
    assert np.abs(soft[0] - soft[1]).max() > 0.02
    assert np.ptp(soft[0][..., 1]) > 0.1


@functools.partial(jax.jit, static_argnums=0)
def read_and_write(system, params, state, features, memory, given):
    """Scores of a frame, and the state after it was written with these planes."""
    verbs = Verbs(system, {"params": params})
    scores, _ = verbs.read(state, features)
    return scores, verbs.write(state, features, None, memory, given)


STARTS = {7: 0, 3: 2, 120: 3}


@pytest.mark.parametrize("name", WHOLE + VARIANTS)
def test_slots_are_one_memory_per_object(name):
    """Objects that start late are read as from memories of their own, begun at their starts."""
    case = space_time_case(name)
    spec, geometry = case.system.spec, case.geometry
    frames, labels = moving_squares(case.size)
    entries = spec.entries(len(frames), len(STARTS))
    features = case.verbs.encode(spec.prepare(jnp.asarray(frames), geometry))
    state = case.verbs.init_state(1, geometry, 3, entries)
    alone = {i: state for i in IDS}
    everyone = jnp.ones((1, 3), bool)
    for t in range(len(frames)):
        here = jax.tree.map(lambda x, t=t: x[t : t + 1], features)
        new = [i for i in IDS if STARTS[i] == t]
        given = given_for(case, only(labels[t : t + 1], *new), IDS)
        given = spec.place(given, geometry)
        scores, _ = case.verbs.read(state, here)
        memory = spec.resolve(scores, state.known, given, geometry).memory
        before = state
        scores, state = read_and_write(case.system, case.params, state, here, memory, given)
        for slot, i in enumerate(IDS):
            if t < STARTS[i]:
                alone[i] = skip(alone[i])
                continue
            prompt = given.replace(slots=everyone & bool(new))
            own, alone[i] = read_and_write(case.system, case.params, alone[i], here, memory, prompt)
            if before.known[0, slot]:
                np.testing.assert_allclose(scores[..., slot], own[..., slot], atol=1e-3, rtol=1e-4)
    assert bool(state.known.all())


@pytest.mark.parametrize("name", GROWING)
def test_capacity_does_not_change_results(name):
    case = space_time_case(name)
    frames, labels = moving_squares(case.size)
    given = {0: labels[0], 3: only(labels[3], 3)}
    soft = [
        np.stack(probabilities(case.session(soft=True, **room), frames, given))
        for room in ({}, {"memory": 3 * FIRST_ENTRIES})
    ]
    np.testing.assert_allclose(*soft, atol=case.tolerance)


@pytest.mark.parametrize("name", GROWING)
def test_bounded_memory_keeps_the_first_and_given_frames(name):
    case = space_time_case(name)
    frames, labels = moving_squares(case.size)
    frames = np.concatenate([frames, frames[::-1]])
    given = {1: only(labels[1], 7), 4: only(labels[4], 7, 3)}
    session = case.session(slots=2, memory=4)
    shapes = []
    for t, frame in enumerate(frames):
        session.step(frame, given.get(t))
        shapes.append([leaf.shape for leaf in jax.tree.leaves(session._state)])
    held = [set(entries) for entries in np.asarray(session._state.bank.written)[0].tolist()]
    assert all(shape == shapes[0] for shape in shapes)
    assert {1, 4} <= held[0] and 4 in held[1]
    every = case.system.spec.memory_every
    newest = max(held[0])
    assert newest > len(frames) - 1 - every and max(held[1]) == newest


@pytest.mark.parametrize("name", GROWING)
def test_full_memory_changes_results_only_from_then_on(name):
    case = space_time_case(name)
    frames, labels = moving_squares(case.size)
    frames, given = np.concatenate([frames, frames[::-1]]), {0: only(labels[0], 7, 3)}
    soft = [
        np.stack(probabilities(case.session(slots=2, soft=True, memory=m), frames, given))
        for m in (3, 32)
    ]
    same = [np.abs(a - b).max() < case.tolerance for a, b in zip(*soft, strict=True)]
    assert all(same[:4]) and not all(same)


@pytest.mark.parametrize("name", GROWING)
def test_a_memory_of_one_entry_is_refused(name):
    with pytest.raises(ConfigError, match="2"):
        space_time_case(name).session(slots=1, memory=1)


def test_a_memory_of_fixed_size_takes_no_number_of_entries():
    with pytest.raises(ConfigError, match="the memory of Rde has a fixed size"):
        space_time_case("rde").session(memory=3)


@pytest.mark.parametrize("name", SKIPPABLE)
def test_skipped_frames_are_like_frames_that_are_not_memory(name):
    case = space_time_case(name)
    spec = case.system.spec
    assert spec.skippable
    frames, labels = moving_squares(case.size)
    state = case.verbs.init_state(1, case.geometry, 3, spec.entries(8, 1))
    state, _ = one_step(case, state, frames[:1], given_for(case, labels[:1], IDS))
    for t in range(1, 5):
        plain, masks = one_step(case, state, frames[t : t + 1])
        due = t % spec.memory_every == 0
        same = [
            np.array_equal(a, b)
            for a, b in zip(*map(jax.tree.leaves, (plain, skip(state))), strict=True)
        ]
        assert all(same) == (not due)
        state = plain


@pytest.mark.parametrize("name", ["stcn_include_last", "mask_propagation"])
def test_memories_of_the_newest_frame_cannot_be_skipped(name):
    assert not space_time_case(name).system.spec.skippable


@pytest.mark.parametrize("name", WHOLE)
def test_a_slot_given_anew_after_it_was_forgotten_starts_afresh(name):
    case = space_time_case(name)
    spec = case.system.spec
    frames, labels = moving_squares(case.size)
    given = given_for(case, only(labels[2:3], 7), IDS)
    results = []
    for earlier in (given_for(case, labels[:1], IDS), None):
        state = case.verbs.init_state(1, case.geometry, 3, spec.entries(8, 2))
        for t, prompt in enumerate((earlier, None)):
            state, _ = one_step(case, state, frames[t : t + 1], prompt)
        state = state.replace(known=jnp.zeros_like(state.known))
        state, _ = one_step(case, state, frames[2:3], given)
        results.append(one_step(case, state, frames[3:4])[1].probabilities)
    np.testing.assert_allclose(*results, atol=case.tolerance)
