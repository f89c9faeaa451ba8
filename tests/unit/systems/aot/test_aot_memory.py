"""What AOT's state holds, and how masks become the planes of groups."""

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.systems.aot.memory import empty_state, group_planes, layer_memories, remembered

WIDTHS = [(2, 3), (2, 4)]
BATCH, GROUPS, SLOTS, ENTRIES, CELLS = 2, 2, 4, 3, 6


def state():
    """Two videos, two groups of two slots, two layers."""
    return empty_state(BATCH, SLOTS, GROUPS, ENTRIES, CELLS, WIDTHS, jnp.float32)


def pairs(value):
    """Keys and values of a frame, all alike."""
    return tuple(
        tuple(jnp.full((BATCH * GROUPS, CELLS, width), float(value)) for width in pair)
        for pair in WIDTHS
    )


def test_other_groups_are_background_and_void_is_in_no_plane():
    labels = np.array([[0, 1, 2], [3, 4, 255]])
    memory = jax.nn.one_hot(jnp.asarray(labels), SLOTS + 1)[None]
    planes = np.asarray(group_planes(memory, GROUPS))
    first = np.array([[0, 1, 2], [0, 0, -1]])
    second = np.array([[0, 0, 0], [1, 2, -1]])
    assert planes.shape == (GROUPS, 2, 3, 3)
    for found, want in zip(planes, (first, second), strict=True):
        np.testing.assert_array_equal(found, want[..., None] == np.arange(3))


def test_only_groups_with_objects_get_entries():
    known = jnp.array([[True, False, False, False], [False, False, True, True]])
    after = remembered(state(), pairs(5), known, jnp.array([True, True]), gap=9)
    np.testing.assert_array_equal(after.bank.valid[..., 0], [[True, False], [False, True]])
    assert (np.asarray(after.bank.keys[1])[0, 0, 0] == 5).all()
    assert not np.asarray(after.bank.values[0])[0, 1].any()


def test_entries_follow_the_gap_since_the_last_prompt_of_the_video():
    known = jnp.ones((BATCH, SLOTS), bool)
    now, never = state(), jnp.zeros(BATCH, bool)
    for time in range(6):
        prompted = jnp.array([time == 0, time in (0, 1)])
        now = remembered(now, pairs(time), known, prompted if time < 2 else never, gap=3)
    np.testing.assert_array_equal(now.bank.written[:, 0], [[0, 3, -1], [0, 1, 4]])
    np.testing.assert_array_equal(now.last, [3, 4])
    assert (np.asarray(now.short[0][0]) == 5).all() and now.time.tolist() == [6, 6]


def test_video_without_objects_stores_nothing():
    known = jnp.array([[True] * SLOTS, [False] * SLOTS])
    after = remembered(state(), pairs(1), known, jnp.array([True, False]), gap=0)
    assert not after.bank.valid[1].any() and after.last.tolist() == [0, 0]


def test_layers_read_their_own_arrays_with_groups_beside_videos():
    known = jnp.ones((BATCH, SLOTS), bool)
    after = remembered(state(), pairs(2), known, jnp.array([True, True]), gap=1)
    memories = layer_memories(after)
    assert [memory.values.shape for memory in memories] == [
        (BATCH * GROUPS, ENTRIES, CELLS, width) for _, width in WIDTHS
    ]
    assert memories[0].valid.tolist() == [[True, False, False]] * BATCH * GROUPS
    assert memories[1].short[1].shape == (BATCH * GROUPS, CELLS, 4)
