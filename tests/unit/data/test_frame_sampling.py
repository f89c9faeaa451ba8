"""Which frames make up a clip: limits, laws and reach of every rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.data.frame_sampling import later_frames, neighbours


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 20), st.integers(0, 30), st.integers(1, 3), st.integers(0, 9))
def test_later_frames_keep_the_gap(reference, following, others, slack):
    max_gap = others + 1 + slack
    length = reference + 1 + max(others, following)
    later = later_frames(np.random.default_rng(following), reference, length, others, max_gap)
    assert later == sorted(set(later)) and len(later) == others
    assert reference < later[0] and later[-1] < min(length, reference + max_gap)


def test_later_frames_reach_every_allowed_frame():
    rng = np.random.default_rng(0)
    pairs = {tuple(later_frames(rng, 5, 40, 2, 5)) for _ in range(500)}
    assert pairs == {(6, 7), (6, 8), (6, 9), (7, 8), (7, 9), (8, 9)}


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(0, 9))
def test_neighbours_lie_on_one_side_within_the_gap(data, others, slack):
    length = data.draw(st.integers(others + 1, 30))
    ends = [t for t in range(length) if max(t, length - 1 - t) >= others]
    reference = data.draw(st.sampled_from(ends))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    frames = neighbours(rng, reference, length, others, others + slack)
    assert len(set(frames)) == len(frames) == others
    offsets = np.subtract(frames, reference)
    assert (offsets > 0).all() or (offsets < 0).all()
    assert np.abs(offsets).max() <= others + slack
    assert 0 <= min(frames) and max(frames) < length


def test_neighbours_take_both_sides_orders_and_the_whole_gap():
    rng = np.random.default_rng(0)
    drawn = [tuple(neighbours(rng, 10, 40, 2, 3)) for _ in range(2000)]
    later = {(a, b) for a in (11, 12, 13) for b in (11, 12, 13) if a != b}
    earlier = {(a, b) for a in (7, 8, 9) for b in (7, 8, 9) if a != b}
    assert set(drawn) == later | earlier
    assert np.mean([pair in later for pair in drawn]) == pytest.approx(0.5, abs=0.05)
