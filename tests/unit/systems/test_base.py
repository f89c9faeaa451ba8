"""What is written once on top of the verbs: placing prompts, skipping, forgetting, growing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from vos_jax.core.geometry import Geometry
from vos_jax.systems import registry
from vos_jax.systems.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Given,
    State,
    Verbs,
    forget,
    grow,
    skip,
)

SPEC = registry.build("hodor", min_dim=64, max_dim=128).spec


@struct.dataclass
class Bank(State):
    """A state with a memory of its own."""

    memory: jax.Array


def bank(slots, entries):
    """A bank in which every number is different."""
    memory = jnp.arange(2 * entries * slots, dtype=jnp.float32).reshape(2, entries, slots)
    known = jnp.ones((2, slots), bool)
    return Bank(known=known, time=jnp.array([3, 5]), memory=memory)


def empty_bank(slots, entries):
    """A bank with nothing in it."""
    return jax.tree.map(jnp.zeros_like, bank(slots, entries))


def test_skipped_frames_only_pass_time():
    state = bank(2, 3)
    later = skip(state, 4)
    assert later.time.tolist() == [7, 9]
    assert later.memory is state.memory
    assert skip(state).time.tolist() == [4, 6]


def test_forgotten_slots_are_unknown_and_others_stay():
    state = forget(bank(3, 1), jnp.array([[True, False, False], [False, False, True]]))
    assert state.known.tolist() == [[False, True, True], [True, True, False]]
    np.testing.assert_array_equal(state.memory, bank(3, 1).memory)


@pytest.mark.parametrize(("slots", "entries"), [(2, 3), (4, 3), (2, 7), (5, 8)])
def test_the_old_state_is_a_prefix_of_the_grown_one(slots, entries):
    small = bank(2, 3)
    big = grow(small, empty_bank(slots, entries))
    np.testing.assert_array_equal(big.memory[:, :3, :2], small.memory)
    np.testing.assert_array_equal(big.time, small.time)
    assert not big.memory[:, 3:].any()
    assert not big.memory[:, :, 2:].any()
    assert not big.known[:, 2:].any()


def test_frames_are_resized_normalised_and_padded_in_this_order():
    geometry = Geometry(frame=(32, 40), resized=(64, 80), network=(64, 96))
    frame = jnp.full((1, 32, 40, 3), 200, jnp.uint8)
    prepared = SPEC.prepare(frame, geometry)
    assert prepared.shape == (1, 64, 96, 3)
    expected = (200 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(prepared[0, 10, 10], expected, rtol=1e-5)
    assert not prepared[:, :, 80:].any()


def test_prompts_are_placed_hard_and_keep_what_was_shown():
    geometry = Geometry(frame=(32, 40), resized=(64, 80), network=(64, 96))
    masks = jnp.zeros((1, 32, 40, 2)).at[0, 4:20, 4:20, 1].set(1.0)
    given = Given(masks=masks, slots=jnp.array([[False, True]]))
    placed = SPEC.place(given, geometry)
    assert placed.masks.shape == (1, 64, 96, 2)
    assert set(np.unique(placed.masks)) == {0.0, 1.0}
    assert int(placed.masks.sum()) == 4 * int(masks.sum())
    np.testing.assert_array_equal(placed.shown, masks)
    np.testing.assert_array_equal(placed.slots, given.slots)


@pytest.mark.parametrize(
    ("size", "network"), [((480, 854), (64, 128)), ((100, 60), (128, 64)), ((64, 64), (64, 64))]
)
def test_hodor_pads_to_multiples_of_32(size, network):
    geometry = SPEC.geometry(size)
    assert geometry.network == network
    assert geometry.output == size


def test_specs_are_hashable_and_equal_by_value():
    other = registry.build("hodor", min_dim=64, max_dim=128).spec
    assert SPEC == other
    assert hash(SPEC) == hash(other)
    assert registry.build("hodor", min_dim=96, max_dim=128).spec != SPEC


def test_keys_differ_by_number_and_stay_none_without_one():
    verbs = Verbs(registry.build("hodor"), {}, jax.random.key(0))
    one, two = verbs.keyed(1).key, verbs.keyed(2).key
    assert not jnp.array_equal(jax.random.key_data(one), jax.random.key_data(two))
    again = verbs.keyed(1).key
    assert jnp.array_equal(jax.random.key_data(one), jax.random.key_data(again))
    assert Verbs(verbs.module, {}).keyed(3).key is None
