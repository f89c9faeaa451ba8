"""Choice of objects: who is eligible, in which order, and what becomes of the others."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.data.objects import (
    CHOICES,
    ReferenceObjects,
    SoftObject,
    VisibleInstances,
    numbered,
)

TWO = ReferenceObjects(most=2, least=1)
BL30K = ReferenceObjects(most=2, least=1, min_area=100, sure_area=900)


def rng(seed=0):
    return np.random.default_rng(seed)


def frame(areas, size=(60, 60)):
    """Labels in which each id of a dict has so many pixels."""
    values = np.repeat(list(areas), list(areas.values())).astype(np.uint8)
    assert values.size <= np.prod(size)
    return np.concatenate([values, np.zeros(np.prod(size) - values.size, np.uint8)]).reshape(size)


def clip(*frames, size=(60, 60)):
    return np.stack([frame(areas, size) for areas in frames])


def origins(chosen, labels):
    """The stored id of each slot, read off the pixels of all frames."""
    return [
        int(np.unique(labels[chosen.labels == number]).item())
        for number in range(1, chosen.objects + 1)
        if (chosen.labels == number).any()
    ]


label_clips = st.lists(
    st.dictionaries(st.sampled_from([1, 2, 3, 9, 80, 254, 255]), st.integers(1, 60), max_size=7),
    min_size=1,
    max_size=4,
).map(lambda frames: clip(*frames, size=(20, 30)))


@settings(max_examples=150, deadline=None)
@given(
    label_clips,
    st.sampled_from([ReferenceObjects(), TWO, BL30K, ReferenceObjects(10, min_area=20)]),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_slots_are_whole_objects_of_the_reference(labels, choice, most, seed):
    chosen = choice.choose(labels, most, rng(seed))
    assert chosen.given is None and chosen.labels.dtype == np.uint8
    assert choice.least <= chosen.objects <= max(choice.least, min(choice.most, most))
    np.testing.assert_array_equal(chosen.labels == 255, labels == 255)
    seen = origins(chosen, labels)
    assert len(set(seen)) == len(seen)
    for number, identity in enumerate(seen, start=1):
        np.testing.assert_array_equal(chosen.labels == number, labels == identity)
        assert (labels[0] == identity).sum() > choice.min_area
    if chosen.objects < min(choice.most, most):
        eligible = [i for i in np.unique(labels[0]) if 0 < i < 255]
        if not choice.min_area:
            assert set(seen) == set(eligible)


@settings(max_examples=150, deadline=None)
@given(label_clips, st.integers(1, 5), st.integers(0, 9))
def test_visible_instances_are_the_largest_in_order(labels, most, seed):
    chosen = VisibleInstances().choose(labels, most, rng(seed))
    areas = Counter(i for i in labels.ravel().tolist() if 0 < i < 255)
    seen = origins(chosen, labels)
    assert chosen.objects == min(most, len(areas)) == len(seen)
    assert seen == sorted(seen)
    assert sum(areas[i] for i in seen) == sum(sorted(areas.values())[::-1][:most])
    left = np.isin(labels, [i for i in areas if i not in seen])
    np.testing.assert_array_equal(chosen.labels == 255, left | (labels == 255))
    assert not chosen.labels[labels == 0].any()


def test_objects_that_enter_later_stay_background():
    labels = clip({5: 10}, {5: 10, 7: 10}, {7: 30})
    chosen = ReferenceObjects().choose(labels, 10, rng())
    assert chosen.objects == 1
    assert [int(mask.sum()) for mask in chosen.labels] == [10, 10, 0]
    assert VisibleInstances().choose(labels, 10, rng()).objects == 2


def test_pairs_are_uniform_and_ordered_at_random():
    labels = clip({2: 10, 3: 10, 4: 10})
    pairs = Counter(tuple(origins(TWO.choose(labels, 9, rng(n)), labels)) for n in range(1800))
    assert set(pairs) == {(a, b) for a in (2, 3, 4) for b in (2, 3, 4) if a != b}
    assert max(pairs.values()) < 360 and min(pairs.values()) > 240


def test_ten_of_many_are_uniform():
    labels = clip({i: 5 for i in range(1, 16)})
    counts = Counter(
        i
        for n in range(600)
        for i in origins(ReferenceObjects().choose(labels, 20, rng(n)), labels)
    )
    assert len(counts) == 15
    np.testing.assert_allclose(np.array(list(counts.values())) / 600, 10 / 15, atol=0.08)


@pytest.mark.parametrize("choice, objects", [(TWO, 1), (ReferenceObjects(), 0)])
def test_an_empty_reference(choice, objects):
    """A slot stays in use where the loss counts on one."""
    chosen = choice.choose(clip({}, {4: 50}), 4, rng())
    assert chosen.objects == objects and not chosen.labels.any()


@pytest.mark.parametrize(
    "reference, second, third, counts",
    [
        (101, 399, 399, True),
        (100, 0, 0, False),
        (101, 400, 0, False),
        (101, 0, 400, False),
        (900, 400, 400, False),
        (901, 2000, 2000, True),
        (900, 399, 0, True),
    ],
)
def test_bl30k_leaves_out_objects_that_are_only_briefly_tiny(reference, second, third, counts):
    labels = clip({8: reference}, {8: second}, {8: third}, {8: 3000})
    assert BL30K.choose(labels, 2, rng()).labels.any() == counts


def test_soft_objects_give_their_plane():
    stored = frame({1: 300, 255: 40})
    plane = SoftObject().prepare(stored)
    np.testing.assert_array_equal(plane, np.where(stored == 1, 255, 0))
    planes = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3)
    chosen = SoftObject().choose(planes, 4, rng())
    np.testing.assert_array_equal(chosen.labels, planes >= 128)
    np.testing.assert_array_equal(chosen.given, planes[0][..., None])
    assert chosen.objects == 1


def test_small_instances_are_left_out_of_stored_frames():
    stored = frame({1: 49, 2: 50, 255: 10})
    np.testing.assert_array_equal(
        VisibleInstances(min_area=50).prepare(stored), np.where(stored == 1, 0, stored)
    )
    assert VisibleInstances().prepare(stored) is stored
    assert ReferenceObjects(min_area=50).prepare(stored) is stored


def test_numbers_follow_the_order_of_the_ids():
    labels = np.array([[[0, 3, 7, 9, 200, 255]]], np.uint8)
    assert numbered(labels, [9, 3]).tolist() == [[[0, 2, 0, 1, 0, 255]]]
    assert numbered(labels, [9], void=[200]).tolist() == [[[0, 0, 0, 1, 255, 255]]]
    assert numbered(labels, []).tolist() == [[[0, 0, 0, 0, 0, 255]]]


@pytest.mark.parametrize("kind", CHOICES)
def test_settings_survive_json(kind):
    choice = CHOICES[kind]()
    assert CHOICES[kind](**json.loads(json.dumps(dataclasses.asdict(choice)))) == choice
    assert choice.gives == (kind == "soft")
