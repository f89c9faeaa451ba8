"""AOT and DeAOT, small and random, hold what the interface promises."""

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
    run,
)
from tests.tiny_aot import aot_case
from vos_jax.core.errors import ConfigError
from vos_jax.inference.augmentation import AugmentedSession, View

FAMILIES = pytest.mark.parametrize("name", ["aotl", "deaotl"])


def short(check):
    return check.__name__.removeprefix("check_")


SHARED = [check for check in CHECKS if short(check) != "slot_order"]
"""Slots are identities, each with weights of its own, so that their order matters."""
OF_VARIANTS = [
    check
    for check in SHARED
    if short(check) in ("nothing_given_is_none", "batch_is_one_by_one", "unused_slots")
]


@pytest.mark.parametrize("check", SHARED, ids=short)
def test_aot(check):
    check(aot_case("aotl"))


@pytest.mark.parametrize("check", OF_VARIANTS, ids=short)
def test_deaot(check):
    check(aot_case("deaotl"))


def test_aot_saved_and_forked(tmp_path):
    check_saved_and_forked(aot_case("aotl"), tmp_path)


@FAMILIES
def test_random_networks_look_at_the_masks(name):
    """Other masks for the same objects change what later frames get."""
    case = aot_case(name)
    frames, labels = moving_squares(case.size)
    soft = [
        np.stack(probabilities(case.session(soft=True), frames[:3], {0: given}))
        for given in (labels[0], labels[0, ::-1, ::-1])
    ]
    assert np.abs(soft[0][1:] - soft[1][1:]).max() > 0.02


def permuted(params, order):
    """Parameters whose identities are those of other slots."""
    channels = np.array([0, *(1 + np.array(order))])
    bank, last = params["identity_bank"], params["decoder"]["conv_out"]
    bank = bank | {"kernel": bank["kernel"][:, :, channels]}
    last = {"kernel": last["kernel"][..., channels], "bias": last["bias"][channels]}
    decoder = params["decoder"] | {"conv_out": last}
    return params | {"identity_bank": bank, "decoder": decoder}


@FAMILIES
def test_permuted_identities_are_permuted_slots(name):
    case = aot_case(name)
    frames, labels = moving_squares(case.size)
    order = [2, 0, 3, 1]
    params = permuted(case.params, order)
    given = given_for(case, labels[:1], IDS)
    given = given.replace(masks=given.masks[..., order], slots=given.slots[:, order])
    states = [case.verbs.init_state(1, case.geometry, 4, 4)] * 2
    plain = [given_for(case, labels[:1], IDS), None, None, None]
    for t, prompts in enumerate(zip(plain, [given, None, None, None], strict=True)):
        masks = []
        for number, (weights, prompt) in enumerate(
            zip((case.params, params), prompts, strict=True)
        ):
            own = type(case)(case.system, weights)
            states[number], here = one_step(own, states[number], frames[t : t + 1], prompt)
            masks.append(here.probabilities)
        back = masks[0][..., [0, *(1 + np.array(order))]]
        np.testing.assert_allclose(back, masks[1], atol=case.tolerance)
    assert np.ptp(np.asarray(masks[0])[..., 1:].argmax(-1)) > 0


def test_one_plain_view_is_no_augmentation():
    case = aot_case("aotl")
    frames, labels = moving_squares(case.size)
    prompts = {0: only(labels[0], 7), 2: only(labels[2], 3)}
    view = AugmentedSession([View(case.system)], case.params, case.size, slots=4)
    plain = run(case.session(), frames[:4], prompts)
    np.testing.assert_array_equal(run(view, frames[:4], prompts), plain)


def test_every_frame_is_needed():
    """The newest frame is always remembered, so that none may be skipped."""
    with pytest.raises(ConfigError, match="Aot needs every frame"):
        aot_case("aotl").session().skip()


def test_long_term_memory_holds_what_was_given_and_every_nth_frame():
    case = aot_case("aotl")
    frames, labels = moving_squares(case.size)
    frames = np.concatenate([frames, frames[::-1]])
    session = case.session(memory=8)
    run(session, frames, {0: only(labels[0], 7), 3: only(labels[3], 3)})
    held = np.asarray(session._state.bank.written)[0, 0]
    assert sorted(held[held >= 0]) == [0, 2, 3, 5, 7, 9, 11]
    assert len(held[held >= 0]) <= case.system.spec.entries(len(frames), 2)
    assert session.capacity == (4, 8)


def test_bounded_memory_keeps_the_given_frames():
    case = aot_case("aotl")
    frames, labels = moving_squares(case.size)
    frames = np.concatenate([frames, frames[::-1]])
    session = case.session(memory=4)
    run(session, frames, {0: only(labels[0], 7), 3: only(labels[3], 3)})
    assert sorted(np.asarray(session._state.bank.written)[0, 0]) == [0, 3, 9, 11]


@FAMILIES
def test_groups_are_memories_of_their_own(name):
    """A second group that opens later is read like a network that had only its objects."""
    case = aot_case(name)
    spec, geometry = case.system.spec, case.geometry
    frames, labels = moving_squares(case.size)
    features = jax.jit(case.verbs.encode)(spec.prepare(jnp.asarray(frames), geometry))
    both = case.verbs.init_state(1, geometry, 8, 4)
    alone = case.verbs.init_state(1, geometry, 4, 4)
    first = given_for(case, only(labels[:1], 7), IDS, 8)
    later = given_for(case, only(labels[2:3], 3, 120), (0, 0, 0, 0, 3, 120), 8)

    read, write = jax.jit(case.verbs.read), jax.jit(case.verbs.write)
    for t in range(5):
        here = jax.tree.map(lambda x, t=t: x[t : t + 1], features)
        given = {0: first, 2: later}.get(t)
        given = None if given is None else spec.place(given, geometry)
        scores, trace = read(both, here)
        memory = spec.resolve(scores, both.known, given, geometry).memory
        both = write(both, here, trace, memory, given)
        if t < 2:
            alone = alone.replace(time=alone.time + 1)
            continue
        planes = memory[..., 5:]
        planes = jnp.concatenate([1 - planes.sum(-1, keepdims=True), planes], -1)
        own = None if given is None else given.replace(slots=given.slots[:, 4:])
        single, trace = read(alone, here)
        alone = write(alone, here, trace, planes, own)
        if t > 2:
            np.testing.assert_allclose(scores[..., 1:, :], single, rtol=1e-3, atol=1e-3)
