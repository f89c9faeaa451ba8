"""Tests of what each mode of RDE reads, against the official table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.nn.bank import FREE, empty_bank, store
from vos_jax.systems.rde.memory import MODES, parts_read
from vos_jax.systems.space_time import SpaceTimeState

TABLE = {
    "two-frames-compress": (["mem", 0], ["mem", "new", 0, 0]),
    "gt-compress": (["mem", 0], ["mem", 0]),
    "last-compress": (["mem"], ["mem", "new"]),
    "compress": (["mem"], ["mem"]),
    "two-frames": ([0], ["new", 0, 0]),
    "gt": ([0], [0]),
    "last": ([0], ["new"]),
}
"""Frames read before the first update, where the embedding is frame 0, and after."""
EMBEDDED = 100.0


def state_after(times, entries=2, slots=1):
    """A memory whose keys and values are the times of its frames; the embedding is 100."""
    bank = empty_bank(1, slots, entries, 3, 4, 5)
    for t in times:
        all_slots, yes = jnp.ones((1, slots), bool), jnp.ones(1, bool)
        keys, values = (jnp.full((1, slots, 3, c), float(t)) for c in (4, 5))
        bank = store(bank, keys, values, jnp.array([t]), all_slots, yes, yes & (t == times[0]))
    embedding = tuple(jnp.full((1, slots, 3, c), EMBEDDED) for c in (4, 5))
    known = jnp.ones((1, slots), bool)
    zeros = jnp.zeros(1, jnp.int32)
    return SpaceTimeState(known=known, time=zeros, bank=bank, last=zeros, embedding=embedding)


def frames_read(state, mode, slot=0):
    keys, values, valid = parts_read(state, MODES[mode])
    assert keys.shape[2:] == (len(MODES[mode]), 3, 4)
    assert values.shape[2:] == (len(MODES[mode]), 3, 5)
    np.testing.assert_array_equal(keys[..., 0], values[..., 0])
    return sorted(np.asarray(keys[0, slot, :, 0, 0])[np.asarray(valid[0, slot])].tolist())


def test_every_mode_is_in_the_table():
    assert {*TABLE, "stm"} == set(MODES)


@pytest.mark.parametrize("entries", [2, 4])
@pytest.mark.parametrize("times", [[4], [4, 6], [4, 6, 9], [4, 6, 9, 11]])
@pytest.mark.parametrize("mode", TABLE)
def test_frames_that_a_mode_reads(mode, times, entries):
    wanted = TABLE[mode][len(times) > 1]
    meaning = {"mem": EMBEDDED, "new": times[-1], 0: times[0]}
    expected = sorted(float(meaning[part]) for part in wanted)
    assert frames_read(state_after(times, entries), mode) == expected


@pytest.mark.parametrize("mode", TABLE)
def test_nothing_is_read_before_the_first_frame(mode):
    assert frames_read(state_after([]), mode) == []


@pytest.mark.parametrize("mode", TABLE)
def test_a_slot_that_starts_late_has_frames_of_its_own(mode):
    state = state_after([2, 5], slots=2)
    written = state.bank.written.at[:, 1, 1].set(FREE)
    state = state.replace(bank=state.bank.replace(written=written))
    assert frames_read(state, mode, slot=1) == frames_read(state_after([2]), mode)
    assert frames_read(state, mode, slot=0) == frames_read(state_after([2, 5]), mode)


def test_gradients_reach_first_newest_and_embedding():
    state = state_after([0, 3])

    def total(bank_values, embedded):
        bank = state.bank.replace(values=bank_values)
        changed = state.replace(bank=bank, embedding=(state.embedding[0], embedded))
        return parts_read(changed, MODES["two-frames-compress"])[1].sum()

    of_bank, of_embedding = jax.grad(total, (0, 1))(state.bank.values, state.embedding[1])
    np.testing.assert_array_equal(of_bank[0, 0, :, 0, 0], [2, 1])
    np.testing.assert_array_equal(of_embedding, 1)
