"""Which frames make up a clip: limits, laws and reach of every rule."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos_jax.core.errors import ConfigError
from vos_jax.data.frame_sampling import (
    SAMPLERS,
    EvenlySpaced,
    Jumps,
    LongJumps,
    ReflectedGaps,
    Repeat,
    later_frames,
    neighbours,
)


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


SCHEDULE = [(0.0, 5), (0.05, 5), (0.1, 10), (0.25, 15), (0.39, 20), (0.4, 25), (0.9, 5), (1, 5)]
MANY = 3000


def seen(length, objects=1):
    """Areas of a video on whose frames all objects are large."""
    return np.full((length, objects), 1000.0)


def draws(sampler, areas, count=MANY, progress=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return [sampler.frames(areas, rng, progress) for _ in range(count)]


def samplers():
    counts, gaps = st.integers(2, 6), st.integers(1, 12)
    jumps = st.lists(st.integers(1, 25), min_size=2, max_size=2).map(tuple)
    spans = st.tuples(st.integers(0, 5), st.integers(0, 5))
    return st.one_of(
        counts.map(Repeat),
        st.builds(Jumps, count=counts, jumps=jumps, fractions=st.just((0.0, 0.5))),
        st.builds(LongJumps, count=counts, jumps=jumps, fractions=st.just((0.0, 0.5))),
        st.builds(ReflectedGaps, count=counts, max_gap=gaps),
        st.tuples(counts, spans).map(
            lambda drawn: EvenlySpaced(
                drawn[0], (drawn[0] - 1 + drawn[1][0], drawn[0] - 1 + sum(drawn[1]))
            )
        ),
    )


@settings(max_examples=300, deadline=None)
@given(samplers(), st.integers(0, 60), st.floats(0, 0.99), st.integers(0, 99))
def test_frames_lie_in_the_video_and_come_from_the_generator_alone(sampler, extra, progress, seed):
    areas = seen(sampler.least + extra)
    frames, again = (sampler.frames(areas, np.random.default_rng(seed), progress) for _ in range(2))
    assert frames == again and len(frames) == sampler.count
    assert all(type(frame) is int and 0 <= frame < len(areas) for frame in frames)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_settings_survive_json(kind):
    sampler = SAMPLERS[kind]()
    copy = SAMPLERS[kind](**json.loads(json.dumps(dataclasses.asdict(sampler))))
    assert draws(sampler, seen(50), 20) == draws(copy, seen(50), 20)


def test_a_still_is_repeated():
    assert draws(Repeat(4), seen(1), 1) == [[0, 0, 0, 0]]


@pytest.mark.parametrize("progress, jump", SCHEDULE)
@pytest.mark.parametrize("divisor", [1, 5])
def test_jumps_follow_the_published_schedule(progress, jump, divisor):
    sampler = Jumps(divisor=divisor)
    assert sampler.jump(progress) == jump // divisor
    drawn = np.array(draws(sampler, seen(200), progress=progress))
    assert np.abs(np.diff(drawn)).max() == jump // divisor + 1


def test_bl30k_returns_to_small_jumps_earlier():
    sampler = Jumps(fractions=(0.0, 0.1, 0.2, 0.3, 0.4, 0.8))
    assert [sampler.jump(progress) for progress in (0.79, 0.8)] == [25, 5]


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 80), st.integers(1, 30), st.integers(0, 99), st.integers(2, 6))
def test_jumps_obey_the_formula_of_the_specification(length, jump, seed, count):
    """The rule of spec 8.6 and 10.1, written out again from the same draws."""
    sampler = Jumps(count, (jump,), (0.0,))
    frames = sampler.frames(seen(length), np.random.default_rng(seed), 0.0)
    rng, reach = np.random.default_rng(seed), min(length, jump)
    expected = [int(rng.integers(0, length - reach + 1))]
    for k in range(1, count):
        u = rng.integers(1, reach + 2)
        expected.append(int(min(expected[-1] + u, length - reach // k, length - 1)))
    assert frames in (expected, expected[::-1])


def test_jumps_are_reversed_half_the_time_and_start_everywhere():
    drawn = np.array([f for f in draws(Jumps(), seen(30)) if f[0] != f[-1]])
    assert np.mean(drawn[:, 0] > drawn[:, -1]) == pytest.approx(0.5, abs=0.04)
    assert set(drawn.min(axis=1)) == set(range(26))
    assert not any(a > b for a, *_, b in draws(Jumps(reverse=0.0), seen(30), 300))


@pytest.mark.parametrize(
    "length, jump, starts",
    [(100, 5, 76), (100, 15, 26), (100, 25, 13), (10, 25, 10), (3, 5, 3), (12, 20, 11), (4, 1, 1)],
)
def test_long_jumps_start_as_in_rde(length, jump, starts):
    """max(J // 2 + 1, n - 5 j + 1) starts, none of them behind the video's end."""
    drawn = draws(LongJumps(jumps=(jump,), fractions=(0.0,), reverse=0.0), seen(length))
    assert {frames[0] for frames in drawn} == set(range(starts))
    assert {len(frames) for frames in drawn} == {5}


@pytest.mark.parametrize(
    "options, said",
    [
        ({"jumps": (5,)}, "as many"),
        ({"fractions": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}, "from 0"),
        ({"fractions": (0.0, 0.2, 0.1, 0.4, 0.5, 0.6)}, "ascending"),
        ({"jumps": (), "fractions": ()}, "ascending"),
        ({"divisor": 6}, "divisor 6"),
        ({"divisor": 0}, "divisor 0"),
    ],
)
def test_schedules_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        Jumps(**options)


@pytest.mark.parametrize("max_gap", [3, 12])
def test_gaps_are_uniform_where_nothing_is_reflected(max_gap):
    drawn = np.array(draws(ReflectedGaps(max_gap=max_gap), seen(1000)))
    inside = drawn[(drawn.min(axis=1) >= 100) & (drawn.max(axis=1) < 900)]
    gaps = np.diff(inside)
    assert set(np.sign(gaps).sum(axis=1)) == {-4, 4}
    shares = np.bincount(np.abs(gaps).ravel(), minlength=max_gap + 1)[1:] / gaps.size
    np.testing.assert_allclose(shares, 1 / max_gap, atol=0.02)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 99))
def test_walks_turn_round_at_the_ends(length, max_gap, seed):
    """Followed step by step, a walk never leaves the video and turns only at its ends."""
    sampler = ReflectedGaps(max_gap=max_gap)
    frames = sampler.frames(seen(length), np.random.default_rng(seed), 0.0)
    rng = np.random.default_rng(seed)
    backwards = rng.random() < 0.5
    gaps = rng.integers(1, max_gap + 1, 4)
    place = length - 1 - frames[0] if backwards else frames[0]
    expected, way = [place], 1
    for gap in gaps:
        for _ in range(gap):
            if not 0 <= place + way < length:
                way = -way
            place += way
        expected.append(place)
    assert frames == [length - 1 - t if backwards else t for t in expected]


def test_references_have_enough_foreground():
    areas = seen(20)
    areas[[0, 3, 7, 19]] = 201
    areas[[*range(1, 3), *range(4, 7), *range(8, 19)]] = 200
    starts = [frames[0] for frames in draws(ReflectedGaps(references=400, draws=1), areas)]
    assert set(starts) == {0, 3, 7, 19}
    assert np.mean(np.array(starts) == 3) == pytest.approx(0.25, abs=0.03)


def test_foreground_is_that_of_all_objects_together():
    assert draws(ReflectedGaps(min_foreground=200), np.full((3, 2), 100.5), 200) != draws(
        ReflectedGaps(min_foreground=201), np.full((3, 2), 100.5), 200
    )


def test_without_foreground_the_first_frame_in_the_drawn_direction_is_taken():
    starts = [frames[0] for frames in draws(ReflectedGaps(), np.zeros((9, 1)))]
    assert set(starts) == {0, 8}


def test_later_objects_are_known_from_the_reference():
    """Object 1 enters half-way; with enough draws no clip shows it on later frames only."""
    areas = seen(40, 2)
    areas[:20, 1] = 0

    def new(sampler):
        return np.mean(
            [areas[f[0], 1] == 0 and areas[f[1:], 1].any() for f in draws(sampler, areas)]
        )

    once, often = new(ReflectedGaps(draws=1)), new(ReflectedGaps(draws=5))
    assert once > 0.05 and often < 3 * once**5 + 0.002


def test_the_last_draw_is_taken_whatever_it_shows():
    """Every frame has an object of its own, so no draw can agree."""
    assert {len(frames) for frames in draws(ReflectedGaps(), np.eye(40) * 1000, 50)} == {5}


@pytest.mark.parametrize(
    "count, span, offsets",
    [
        (8, 8, (0, 1, 2, 3, 5, 6, 7, 8)),
        (8, 16, (0, 2, 5, 7, 9, 11, 14, 16)),
        (5, 6, (0, 2, 3, 4, 6)),
        (3, 3, (0, 2, 3)),
        (2, 9, (0, 9)),
    ],
)
def test_spans_are_divided_evenly(count, span, offsets):
    """Halves are rounded to even numbers; (5, 6) has 1.5 and 4.5, (3, 3) has 1.5."""
    drawn = draws(EvenlySpaced(count, (span, span)), seen(span + 2), 100)
    relative = {tuple(np.subtract(frames, frames[0])) for frames in drawn if frames[0] == 0}
    assert relative == {offsets}
    assert {frames[0] for frames in drawn} == {0, 1}


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 16), st.integers(0, 20), st.integers(0, 5), st.integers(0, 99))
def test_evenly_spaced_frames_differ(count, slack, extra, seed):
    lower = count - 1 + slack
    sampler = EvenlySpaced(count, (lower, lower + extra))
    frames = sampler.frames(seen(sampler.least + extra), np.random.default_rng(seed), 0.0)
    assert frames == sorted(set(frames))
    assert lower <= frames[-1] - frames[0] <= lower + extra


@pytest.mark.parametrize("span", [(6, 8), (9, 8)])
def test_spans_without_room_are_refused(span):
    with pytest.raises(ConfigError, match="span"):
        EvenlySpaced(8, span)
