"""Tests of the fixed-capacity memory: where frames go, what is read, growth and donation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.nn.bank import empty_bank, read_bank, store
from vos_jax.ops.memory_read import read_memory
from vos_jax.systems.base import grow

TOKENS, KEY, VALUE = 6, 4, 3
GRID = (2, 3)
MODES = {"all": {}, "top 5": {"top_k": 5}, "top 9 with a kernel": {"top_k": 9, "sigma": 1.0}}
jitted = jax.jit(store)


def bank_of(batch=1, slots=2, entries=4):
    return empty_bank(batch, slots, entries, TOKENS, KEY, VALUE)


def frame(time, batch=1, slots=2, shared=True):
    """Keys and values of a frame; keys that depend on the image are the same for every slot."""
    rng = np.random.default_rng(time)
    keys = rng.standard_normal((batch, 1 if shared else slots, TOKENS, KEY))
    keys = np.broadcast_to(keys, (batch, slots, TOKENS, KEY))
    values = rng.standard_normal((batch, slots, TOKENS, VALUE))
    return jnp.asarray(keys, jnp.float32), jnp.asarray(values, jnp.float32)


def write(bank, time, slots=None, keep=True, stays=False, shared=True):
    batch, objects = bank.written.shape[:2]

    def everywhere(flag):
        return jnp.broadcast_to(jnp.asarray(flag), (batch,))

    slots = jnp.ones((batch, objects), bool) if slots is None else jnp.asarray(slots, bool)
    times = everywhere(time).astype(jnp.int32)
    frames = frame(time, batch, objects, shared)
    return jitted(bank, *frames, times, slots, everywhere(keep), everywhere(stays))


def times_of(bank, video=0, slot=0):
    return bank.written[video, slot].tolist()


class Model:
    """One slot's entries as a list of (time, stays), and the rule in words."""

    def __init__(self, entries):
        self.entries, self.held, self.temporary = entries, [], False

    def write(self, time, keep, stays):
        if self.temporary and (len(self.held) > 1 or self.entries == 1):
            place = max(range(len(self.held)), key=lambda i: self.held[i][0])
        elif len(self.held) < self.entries:
            place = len(self.held)
            self.held.append(None)
        else:
            others = range(min(1, self.entries - 1), self.entries)
            place = min(others, key=lambda i: (self.held[i][1], self.held[i][0]))
        self.held[place] = (time, stays)
        self.temporary = not keep


@settings(max_examples=20, deadline=None)
@given(
    entries=st.integers(1, 5),
    writes=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=14),
)
def test_frames_go_where_the_rule_says(entries, writes):
    bank, model = bank_of(slots=1, entries=entries), Model(entries)
    for time, (keep, stays) in enumerate(writes):
        bank = write(bank, time, keep=keep, stays=stays)
        model.write(time, keep, stays)
        held = model.held + [(-1, False)] * (entries - len(model.held))
        assert times_of(bank) == [time for time, _ in held]
        assert bank.stays[0, 0].tolist() == [stays for _, stays in held]
        assert int(bank.used[0, 0]) == len(model.held)
        for place, (time, _) in enumerate(model.held):
            keys, values = frame(time, slots=1)
            np.testing.assert_array_equal(bank.keys[0, 0, place], keys[0, 0])
            np.testing.assert_array_equal(bank.values[0, 0, place], values[0, 0])


def test_an_empty_bank_has_nothing_valid():
    bank = bank_of()
    assert not np.any(bank.valid) and not np.any(bank.used)
    np.testing.assert_array_equal(bank.starts, -1)


def test_two_entries_hold_the_first_and_the_newest():
    bank = bank_of(entries=2)
    for time in range(5):
        bank = write(bank, time, stays=time == 0)
        assert times_of(bank) == [0, time if time else -1]


@pytest.mark.parametrize("entries", [3, 4])
def test_the_oldest_that_does_not_stay_leaves_and_staying_ones_only_among_themselves(entries):
    bank = bank_of(entries=entries)
    for time in range(entries):
        bank = write(bank, time, stays=time in (0, 1))
    bank = write(bank, 10)
    assert times_of(bank) == [0, 1, 10, 3][:entries]
    bank = write(write(bank, 11, stays=True), 12, stays=True)
    expected = {3: [0, 12, 11], 4: [0, 1, 12, 11]}[entries]
    assert sorted(times_of(bank)) == sorted(expected)


def test_a_temporary_entry_is_replaced_and_a_full_bank_keeps_the_rest():
    bank = bank_of(entries=3)
    bank = write(write(bank, 0), 1, keep=False)
    assert times_of(bank) == [0, 1, -1]
    bank = write(bank, 2, keep=False)
    assert times_of(bank) == [0, 2, -1]
    bank = write(bank, 3)
    assert times_of(bank) == [0, 3, -1]
    bank = write(write(bank, 4), 5, keep=False)
    assert times_of(bank) == [0, 5, 4]
    assert times_of(write(bank, 6)) == [0, 6, 4]


def test_slots_that_are_not_written_keep_everything():
    bank = write(write(bank_of(batch=2), 0), 1, slots=[[True, False], [False, False]], keep=False)
    assert times_of(bank) == [0, 1, -1, -1]
    for video, slot in ((0, 1), (1, 0), (1, 1)):
        assert times_of(bank, video, slot) == [0, -1, -1, -1]
        keys, values = frame(0, batch=2)
        np.testing.assert_array_equal(bank.keys[video, slot, 0], keys[video, slot])
        np.testing.assert_array_equal(bank.values[video, slot, 0], values[video, slot])
        assert not np.any(bank.keys[video, slot, 1:]) and not np.any(bank.values[video, slot, 1:])
    assert bank.temporary.tolist() == [True, False]


@pytest.mark.parametrize("keep", [True, False])
def test_a_slot_that_joins_late_starts_at_its_first_entry(keep):
    bank = write(bank_of(), 0, slots=[[True, False]])
    bank = write(bank, 1, slots=[[True, False]], keep=keep)
    bank = write(bank, 2, stays=True)
    assert times_of(bank) == ([0, 1, 2, -1] if keep else [0, 2, -1, -1])
    assert times_of(bank, slot=1) == [2, -1, -1, -1]
    assert bank.starts.tolist() == [[0, 2]]
    assert bank.used.tolist() == [[3 if keep else 2, 1]]


def test_a_slot_left_out_of_the_temporary_frame_loses_nothing():
    bank = write(write(bank_of(), 0), 1)
    bank = write(bank, 2, slots=[[True, False]], keep=False)
    bank = write(bank, 3)
    assert times_of(bank) == [0, 1, 3, -1]
    assert times_of(bank, slot=1) == [0, 1, 3, -1]


def test_videos_of_a_batch_have_flags_of_their_own():
    bank = write(bank_of(batch=2, entries=3), 0)
    bank = write(bank, 1, keep=[True, False])
    bank = write(bank, 2, stays=[True, False])
    bank = write(bank, 3)
    assert times_of(bank, 0) == [0, 3, 2]
    assert times_of(bank, 1) == [0, 2, 3]


@pytest.mark.parametrize("starts", [True, False])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_growing_changes_no_result(at, starts):
    def run(bank, query, grown=None):
        for time in range(5):
            if time == at and grown is not None:
                bank = grow(bank, grown)
            slots = [[True, time > 1, False]]
            bank = write(bank, time, slots, keep=time != 3, stays=time == 0)
        known = jnp.array([[True, True, False]])
        start = bank.starts if starts else None
        mode = {"grid": GRID, "similarity": "l2", "top_k": 7, "starts": start}
        return bank, read_bank(query, bank.keys, bank.values, bank.valid, known, **mode)

    query = frame(9)[0][:, 0]
    plain, expected = run(bank_of(slots=3, entries=5), query)
    grown, found = run(bank_of(slots=3, entries=4), query, bank_of(slots=3, entries=8))
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=1e-5)
    np.testing.assert_array_equal(grown.written[:, :, :5], plain.written)
    assert not np.any(grown.valid[:, :, 5:])


def test_growing_by_slots_keeps_those_there_are():
    bank = grow(write(bank_of(), 0), bank_of(slots=3, entries=6))
    bank = write(bank, 1)
    assert [times_of(bank, slot=slot)[:3] for slot in range(3)] == [
        [0, 1, -1],
        [0, 1, -1],
        [1, -1, -1],
    ]


STORES = {
    "alone": store,
    "in a branch": lambda bank, *frame: jax.lax.cond(
        frame[4].all(), lambda: store(bank, *frame), lambda: bank
    ),
}


@pytest.mark.parametrize("keeping", STORES.values(), ids=STORES.keys())
def test_donated_banks_are_changed_in_place_without_a_copy(keeping):
    bank = empty_bank(1, 1, 64, 128, KEY, VALUE)
    frames = jnp.ones((1, 1, 128, KEY)), jnp.ones((1, 1, 128, VALUE))
    yes = jnp.ones(1, bool)
    arguments = *frames, jnp.zeros(1, jnp.int32), yes[:, None], yes, yes
    leaves, tree = jax.tree.flatten(bank)

    def stored(leaves, *frame):
        return jax.tree.leaves(keeping(jax.tree.unflatten(tree, leaves), *frame))

    compiled = jax.jit(stored, donate_argnums=0).lower(leaves, *arguments).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < bank.values.nbytes / 8
    address = bank.values.unsafe_buffer_pointer()
    values = compiled(leaves, *arguments)[1]
    assert bank.values.is_deleted() and values.unsafe_buffer_pointer() == address
    assert np.all(values[0, 0, 0] == 1) and not np.any(values[0, 0, 1:])


def test_storing_in_a_scan_equals_storing_one_by_one():
    def body(bank, time):
        keys, values = jnp.ones((1, 2, TOKENS, KEY)), jnp.ones((1, 2, TOKENS, VALUE))
        flags = jnp.ones((1, 2), bool), time[None] % 2 == 0, time[None] == 0
        return store(bank, time * keys, time * values, time[None], *flags), None

    times, bank = jnp.arange(6), bank_of(entries=3)
    scanned = jax.jit(lambda bank: jax.lax.scan(body, bank, times)[0])(bank)
    single = functools.reduce(lambda bank, time: body(bank, time)[0], times, bank)
    leaves = zip(jax.tree.leaves(scanned), jax.tree.leaves(single), strict=True)
    assert all((one == other).all() for one, other in leaves)


def read(bank, query, known=None, starts=None, **mode):
    known = jnp.ones(bank.written.shape[:2], bool) if known is None else jnp.asarray(known)
    return reader(tuple(mode.items()), starts is not None)(
        query, bank.keys, bank.values, bank.valid, known, starts=starts
    )


@functools.cache
def reader(mode, shared):
    """The compiled read of a mode."""
    return jax.jit(functools.partial(read_bank, grid=GRID, similarity="l2", **dict(mode)))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("sharing", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_slot_reads_its_own_entries(batch, sharing, late, mode):
    bank = bank_of(batch)
    for time in range(3):
        slots = jnp.ones((batch, 2), bool).at[0, 1].set(not late or time > 0)
        bank = write(bank, time, slots, shared=sharing)
    query = frame(9, batch)[0][:, 0]
    found = read(bank, query, starts=bank.starts if sharing else None, **mode)
    for video, slot in np.ndindex(batch, 2):
        held = np.flatnonzero(bank.valid[video, slot])
        keys, values = (
            x[video, slot, held].reshape(1, -1, x.shape[-1]) for x in (bank.keys, bank.values)
        )
        expected = read_memory(
            query[video : video + 1],
            keys,
            values[:, None],
            jnp.ones(keys.shape[:2], bool),
            similarity="l2",
            grid=GRID,
            **mode,
        )
        np.testing.assert_allclose(found[video, slot], expected[0, 0], atol=1e-5)


@pytest.mark.parametrize("lead", [0, 1])
def test_unknown_slots_neither_hinder_sharing_nor_change_the_others(lead):
    known = jnp.array([[lead == 0, lead == 1, True]])
    bank = write(write(bank_of(slots=3), 0, known), 1, known)
    query = frame(9)[0][:, 0]
    alone = bank.replace(keys=bank.keys.at[0, 1 - lead].set(jnp.nan))
    shared = read(alone, query, known, alone.starts, top_k=4)
    apart = read(bank, query, known, top_k=4)
    np.testing.assert_allclose(shared[known], apart[known], atol=1e-5)


def test_sharing_is_decided_from_starts_at_run_time():
    bank = write(write(bank_of(), 0), 1)
    wrong = bank.replace(keys=bank.keys.at[0, 1].add(1.0))
    query = frame(9)[0][:, 0]
    assert jnp.allclose(
        read(wrong, query, starts=bank.starts)[0, 1], read(bank, query)[0, 1], atol=1e-5
    )
    for starts in (jnp.array([[0, 1]]), None):
        found = read(wrong, query, starts=starts)
        np.testing.assert_allclose(found, read(wrong, query), atol=1e-6)
        assert not np.allclose(found[0, 1], read(bank, query)[0, 1], atol=1e-3)


@pytest.mark.parametrize("starts", [True, False])
def test_reading_an_empty_bank_gives_zero(starts):
    bank = bank_of()
    found = read(bank, frame(9)[0][:, 0], [[False, False]], bank.starts if starts else None)
    assert found.shape == (1, 2, TOKENS, VALUE) and not np.any(found)


@pytest.mark.parametrize("starts", [True, False])
def test_gradients_pass_through_store_and_read(starts):
    query = frame(9)[0][:, 0]
    flags = jnp.zeros(1, jnp.int32), jnp.ones((1, 2), bool), jnp.ones(1, bool), jnp.ones(1, bool)

    def total(keys, values):
        bank = store(bank_of(), keys, values, *flags)
        shared = bank.starts if starts else None
        return jnp.square(read(bank, query, starts=shared)).sum()

    gradients = jax.grad(total, (0, 1))(*frame(0))
    assert all(np.isfinite(gradient).all() and np.any(gradient) for gradient in gradients)
