"""HODOR's training plans against the published cycles, and which objects are alive in them."""

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.systems.hodor.cycles import alive_objects, training_plan


def read_frames(plan):
    """(source frames, target) per read visit, entries translated to the frames that wrote them."""
    entries, steps = [], []
    for visit in plan:
        if visit.read:
            steps.append(([entries[number] for number in visit.view], visit.frame))
        if visit.feed is not None:
            entries.append(visit.frame)
    return steps


PUBLISHED = {
    (1, False): [([0], 0)],
    (1, True): [([0], 0)],
    (2, False): [([0], 0), ([0], 1), ([1], 0), ([0, 1], 0)],
    (3, False): [([0], 0), ([0], 1), ([1], 0), ([1], 2), ([2], 1), ([1], 0)],
    (3, True): [([0], 0), ([0], 1), ([1], 0), ([0, 1], 2), ([2], 1), ([1, 2], 0)],
}


@pytest.mark.parametrize(("frames", "odd"), PUBLISHED)
def test_full_cycles_are_the_published_ones(frames, odd):
    assert read_frames(training_plan(frames, odd, "full", True)) == PUBLISHED[frames, odd]


def test_three_frames_make_six_predictions_and_four_writes():
    plan = training_plan(3, True, "full", True)
    assert [visit.frame for visit in plan if visit.read] == [0, 1, 0, 2, 1, 0]
    assert sum(visit.feed is not None for visit in plan) == 4


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_cycles_go_forward_only(frames):
    steps = read_frames(training_plan(frames, False, "short", True))
    assert steps == [([0], 0), *((list(range(t)), t) for t in range(1, frames))]


@pytest.mark.parametrize(("cut", "feed"), [(True, "own_cut"), (False, "own")])
def test_the_cut_decides_how_predictions_are_stored(cut, feed):
    plan = training_plan(3, False, "full", cut)
    assert {visit.feed for visit in plan[1:]} == {None, feed}
    assert plan[0].feed == "given"
    assert not plan[0].read


def test_every_entry_is_written_before_it_is_read():
    for cycles in ("full", "short"):
        for odd in (False, True):
            for frames in (1, 2, 3):
                written = 0
                for visit in training_plan(frames, odd, cycles, True):
                    if visit.read:
                        assert max(visit.view) < written
                    written += visit.feed is not None


@pytest.mark.parametrize(("frames", "cycles"), [(4, "full"), (0, "full"), (3, "zigzag")])
def test_impossible_plans_are_refused(frames, cycles):
    with pytest.raises(ConfigError, match="clip_frames"):
        training_plan(frames, False, cycles, True)


def official_alive(cycles, present):
    """The flags of the spec: per cycle, alive and-ed with presence in any source, step by step."""
    flags = []
    for steps in cycles:
        alive = np.ones(present.shape[1], bool)
        for sources, _, recorded in steps:
            alive = alive & present[sources].any(0)
            if recorded:
                flags.append(alive)
    return np.array(flags)


ODD = [
    [([0], 0, True)],
    [([0], 1, True), ([1], 0, True)],
    [([0], 1, False), ([0, 1], 2, True), ([2], 1, True), ([1, 2], 0, True)],
]
EVEN = [
    [([0], 0, True)],
    [([0], 1, True), ([1], 0, True)],
    [([0], 1, False), ([1], 2, True), ([2], 1, True), ([1], 0, True)],
]


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("pattern", range(8))
def test_alive_objects_are_those_of_the_official_flags(odd, pattern):
    present = np.array([[bool(pattern >> t & 1)] for t in range(3)])
    plan = training_plan(3, odd, "full", True)
    ours = [flags for flags in alive_objects(plan, jnp.asarray(present[None])) if flags is not None]
    expected = official_alive(ODD if odd else EVEN, present)
    np.testing.assert_array_equal(np.stack(ours)[:, 0], expected)
