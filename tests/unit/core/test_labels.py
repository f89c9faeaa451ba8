"""Palettes against the published ones; object ids and slots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vos_jax.core.errors import CapacityError, ConfigError
from vos_jax.core.labels import (
    DAVIS_PALETTE,
    VOID,
    YOUTUBE_VOS_PALETTE,
    SlotMap,
    object_ids,
)

IDS = st.lists(st.integers(1, 254), max_size=20)


def davis_colour(label):
    """The PASCAL rule, one bit at a time."""
    colour = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            colour[channel] |= ((label >> channel) & 1) << (7 - bit)
        label >>= 3
    return colour


def test_davis_palette_follows_the_bit_rule():
    assert DAVIS_PALETTE.dtype == np.uint8
    assert DAVIS_PALETTE.tolist() == [davis_colour(label) for label in range(256)]


def test_davis_colours_are_all_different():
    assert len({tuple(colour) for colour in DAVIS_PALETTE.tolist()}) == 256


def test_first_davis_colours():
    assert DAVIS_PALETTE[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]


def test_youtube_vos_palette_is_named_colours_then_grey():
    assert YOUTUBE_VOS_PALETTE.shape == (256, 3) and YOUTUBE_VOS_PALETTE.dtype == np.uint8
    assert YOUTUBE_VOS_PALETTE[[0, 1, 5, 10]].tolist() == [
        [0, 0, 0],
        [236, 95, 103],
        [98, 179, 178],
        [101, 115, 126],
    ]
    assert (YOUTUBE_VOS_PALETTE[11:] == np.arange(11, 256)[:, None]).all()


def test_ids_take_slots_in_the_order_they_come():
    slots = SlotMap(5)
    assert slots.add([7, 200]) == [0, 1]
    assert slots.add([3, 7]) == [2, 0]
    assert slots.ids == (7, 200, 3)
    assert slots.slots == {7: 0, 200: 1, 3: 2}


def test_a_removed_slot_is_not_used_again():
    slots = SlotMap(3)
    slots.add([4, 9])
    assert slots.remove(4) == 0
    assert slots.add([5]) == [2]
    assert slots.ids == (None, 9, 5)
    with pytest.raises(CapacityError, match=r"\[4\]"):
        slots.add([4])


def test_a_removed_id_comes_back_in_a_new_slot():
    slots = SlotMap(3)
    slots.add([4, 9])
    slots.remove(4)
    assert slots.add([4]) == [2]


def test_capacity_error_names_the_ids_and_adds_none():
    slots = SlotMap(3)
    slots.add([11, 12])
    with pytest.raises(CapacityError, match=r"objects \[40, 50\].*all 3.*\[11, 12, 30\]"):
        slots.add([30, 40, 50])
    assert slots.ids == (11, 12)


def test_grow_makes_room():
    slots = SlotMap(1)
    slots.add([8])
    slots.grow(2)
    assert slots.add([6]) == [1] and slots.capacity == 2
    with pytest.raises(CapacityError, match="2 slots are in use"):
        slots.grow(1)


@pytest.mark.parametrize("bad", [0, 255, 256, -1])
def test_ids_outside_the_range_are_refused(bad):
    with pytest.raises(ConfigError, match=str(bad)):
        SlotMap(4).add([1, bad])


def test_copying_keeps_everything_and_the_copy_is_apart():
    slots = SlotMap(4)
    slots.add([5, 6])
    slots.remove(5)
    copy = SlotMap(slots.capacity, slots.ids)
    copy.add([7])
    assert slots.ids == (None, 6) and copy.ids == (None, 6, 7)


def test_an_id_with_two_slots_is_refused():
    with pytest.raises(ConfigError, match="object id 3"):
        SlotMap(4, (3, 3))


def test_removing_an_unknown_object_is_refused():
    with pytest.raises(ConfigError, match="no object 2 to remove"):
        SlotMap(4, (1,)).remove(2)


@given(IDS, IDS)
def test_labels_return_to_their_ids(first, second):
    slots = SlotMap(40)
    slots.add(first)
    slots.add(second)
    known = sorted({*first, *second})
    labels = np.array([[0, *known]], np.uint8)
    drawn = slots.to_slots(labels)
    assert drawn.max(initial=0) == len(known)
    assert (slots.to_ids(drawn) == labels).all()


def test_unknown_and_removed_ids_become_background_and_void_stays():
    slots = SlotMap(4, (9, 10))
    slots.remove(9)
    assert slots.to_slots(np.array([[0, 9, 10, 77, VOID]])).tolist() == [[0, 0, 2, 0, VOID]]
    assert slots.to_ids(np.array([[0, 1, 2, 3, VOID]])).tolist() == [[0, 0, 10, 0, 0]]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=30))
def test_object_ids_are_those_of_numpy_unique(values):
    assert object_ids(np.array([values], np.uint8)) == sorted(set(values) - {0, VOID})
