"""Turns, passes and the schedule of batches: shares, repetition, independence of order."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.core.errors import ConfigError
from vos_jax.data.sampling import TURNS_PER_LAP, Passes, Schedule, Shuffled, Turns


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=6), st.integers(0, 99))
def test_turns_keep_the_shares_of_the_weights(weights, seed):
    turns = Turns(weights, (seed,))
    choices = Counter(turns.at(n)[0] for n in range(TURNS_PER_LAP))
    for choice, weight in enumerate(weights):
        share = weight / sum(weights) * TURNS_PER_LAP
        assert abs(choices[choice] - share) <= 1 + len(weights)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (0.5, 0.5), (0.8, 0.2)])
def test_whole_shares_are_exact_in_every_lap(weights):
    turns = Turns(weights, (3,))
    for lap in (0, 1, 7):
        drawn = Counter(turns.at(lap * TURNS_PER_LAP + n)[0] for n in range(TURNS_PER_LAP))
        assert [drawn[i] for i in range(len(weights))] == [
            round(w / sum(weights) * TURNS_PER_LAP) for w in weights
        ]


def test_turns_count_the_earlier_ones_of_each_choice():
    turns = Turns((3, 1, 2), (0,))
    seen = Counter()
    for n in range(2 * TURNS_PER_LAP + 50):
        choice, earlier = turns.at(n)
        assert earlier == seen[choice]
        seen[choice] += 1


def test_turns_differ_between_laps_and_seeds():
    def order(seed, lap):
        turns = Turns((1, 1), (seed,))
        return [turns.at(lap * TURNS_PER_LAP + n)[0] for n in range(100)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_a_tiny_weight_still_gets_a_turn():
    turns = Turns((1e-9, 1.0), (0,))
    assert Counter(turns.at(n)[0] for n in range(1001))[0] >= 1


def test_a_pass_holds_every_item_once():
    items = np.array([3, 5, 8, 13, 21, 34, 55])
    passes = Passes(items, 7, (1,))
    orders = [[passes.at(number * 7 + i) for i in range(7)] for number in range(5)]
    assert all(sorted(order) == items.tolist() for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_a_pool_may_be_the_beginning_of_its_items():
    passes = Passes(np.array([3, 5, 8, 13]), 3, (1,))
    assert {passes.at(position) for position in range(30)} == {3, 5, 8}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 10**6))
def test_a_shuffled_order_holds_every_number_once(length, seed):
    order = Shuffled(length, [seed])
    assert sorted(order.at(place) for place in range(length)) == list(range(length))


@pytest.mark.parametrize("length", [2, 3, 5, 16, 17])
def test_shuffled_orders_are_uniform(length):
    """Every number is as often at every place, and as often behind every other one."""
    count = 2000
    orders = [[Shuffled(length, [n]).at(i) for i in range(length)] for n in range(count)]
    places = np.zeros((length, length))
    follows = np.zeros((length, length))
    for order in orders:
        places[np.arange(length), order] += 1
        follows[order[:-1], order[1:]] += 1
    expected = count / length
    assert np.abs(places - expected).max() < 5 * np.sqrt(expected)
    others = follows[~np.eye(length, dtype=bool)]
    assert np.abs(others - expected).max() < 5 * np.sqrt(expected)


def test_a_large_pool_takes_no_more_memory_than_its_items():
    """BL30K has 4.8 million frames; four pools share one array of four bytes an item."""
    count = np.full(500_000, 4)
    plan = schedule(sources=[(count, np.zeros(len(count), np.uint8))])
    for batch in range(20):
        plan.draw(batch, 0)
    assert len(pickle.dumps(plan)) < 4 * len(count) + 20_000


def test_passes_need_no_history():
    items = np.arange(50)
    forwards = [Passes(items, 50, (1,)).at(i) for i in range(200)]
    passes = Passes(items, 50, (1,))
    assert [passes.at(i) for i in reversed(range(200))] == forwards[::-1]


def schedule(batch_size=4, seed=0, weights=(1.0,), max_objects=4, sources=None):
    sources = sources or [(np.arange(40) % 6, np.arange(40) % 3)]
    return Schedule(
        [counts for counts, _ in sources],
        [canvases for _, canvases in sources],
        weights,
        max_objects=max_objects,
        batch_size=batch_size,
        seed=seed,
    )


def draws(plan, batches, batch_size=4):
    return [[plan.draw(n, row) for row in range(batch_size)] for n in range(batches)]


def test_samples_of_a_batch_share_its_canvas():
    plan = schedule()
    for n, batch in enumerate(draws(plan, 200)):
        assert {draw.item % 3 for draw in batch} == {plan.canvas(n)}


def test_items_have_enough_objects():
    for batch in draws(schedule(), 200):
        assert all(draw.item % 6 >= draw.objects for draw in batch)


def test_object_counts_are_balanced():
    flat = [draw.objects for batch in draws(schedule(), 1000) for draw in batch]
    shares = np.bincount(flat, minlength=5)[1:] / len(flat)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_balance_holds_over_the_counts_there_are():
    plan = schedule(sources=[(np.array([1, 2, 2, 1]), np.zeros(4, int))])
    flat = [draw.objects for batch in draws(plan, 500) for draw in batch]
    np.testing.assert_allclose(np.bincount(flat)[1:] / len(flat), 0.5, atol=0.01)


def test_every_item_of_a_pool_comes_before_any_comes_again():
    plan = schedule(batch_size=8)
    orders = {}
    for n, batch in enumerate(draws(plan, 400, 8)):
        for draw in batch:
            orders.setdefault((plan.canvas(n), draw.objects), []).append(draw.item)
    assert len(orders) > 6
    for (canvas, objects), items in orders.items():
        pool = {i for i in range(40) if i % 3 == canvas and i % 6 >= objects}
        for start in range(0, len(items) - len(pool) + 1, len(pool)):
            assert set(items[start : start + len(pool)]) == pool


def test_batch_needs_no_history():
    plan = schedule()
    forwards = draws(plan, 60)
    fresh = schedule()
    for n in reversed(range(60)):
        assert [fresh.draw(n, row) for row in range(4)] == forwards[n]


def test_seeds_differ():
    assert draws(schedule(seed=0), 10) == draws(schedule(seed=0), 10)
    assert draws(schedule(seed=0), 10) != draws(schedule(seed=1), 10)


def test_sources_are_mixed_by_weight():
    pair = [(np.full(30, 3), np.zeros(30, int)), (np.full(7, 1), np.zeros(7, int))]
    plan = schedule(sources=pair, weights=(0.8, 0.2))
    flat = [draw for batch in draws(plan, 1000) for draw in batch]
    assert np.mean([draw.source for draw in flat]) == pytest.approx(0.2, abs=0.005)
    assert {draw.objects for draw in flat if draw.source} == {1}
    assert {draw.item for draw in flat if draw.source} == set(range(7))


def test_a_replacement_is_the_next_sample_of_the_same_canvas():
    plan = schedule()
    for n in range(30):
        assert plan.draw(n, 0, attempt=1) == plan.draw(n, 1)
        assert plan.draw(n, 3, attempt=2).item % 3 == plan.canvas(n)


@pytest.mark.parametrize("weights", [(0.0,), (-1.0,)])
def test_weights_must_be_positive(weights):
    with pytest.raises(ConfigError, match="positive"):
        schedule(weights=weights)


def test_a_source_without_objects_is_refused():
    with pytest.raises(ConfigError, match="source 1"):
        schedule(
            sources=[(np.ones(3, int), np.zeros(3, int)), (np.zeros(3, int), np.zeros(3, int))],
            weights=(1, 1),
        )


def test_a_source_without_counts_is_one_pool():
    """It may take any number of objects up to the slots, and keeps its share of the samples."""
    counted = (np.full(30, 3), np.zeros(30, int))
    plan = schedule(sources=[counted, (None, np.zeros(5, int))], weights=(0.5, 0.5))
    flat = [draw for batch in draws(plan, 500) for draw in batch]
    free = [draw for draw in flat if draw.source]
    assert len(free) == pytest.approx(len(flat) / 2, abs=2)
    assert {draw.objects for draw in free} == {4}
    assert set(np.bincount([draw.item for draw in free])) == {200}


def test_a_source_without_counts_and_items_is_refused():
    with pytest.raises(ConfigError, match="source 0"):
        schedule(sources=[(None, np.zeros(0, int))])
