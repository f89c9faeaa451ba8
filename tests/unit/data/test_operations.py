"""Chains: who shares a draw, how often a step happens, what is computed, determinism."""

from dataclasses import dataclass

import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.data.operations import Chain, Flip, Repaint, Shuffle, Step

SIZE = (6, 8)


@dataclass(frozen=True)
class Brighter(Repaint):
    """Adds a drawn amount, and notes when it is computed."""

    amount: int
    calls: list

    def frame(self, frame):
        self.calls.append(self.amount)
        return frame + np.uint8(self.amount)


class Brighten:
    """Draws amounts of 1 to 200."""

    def __init__(self):
        self.calls, self.seen = [], []

    def draw(self, rng, labels):
        self.seen.append(labels)
        return Brighter(int(rng.integers(1, 200)), self.calls)


def clip(times=4, still=False):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 50, (*SIZE, 3)).astype(np.uint8) for _ in range(times)]
    labels = [rng.integers(0, 4, SIZE).astype(np.uint8) for _ in range(times)]
    return ([frames[0]] * times, [labels[0]] * times) if still else (frames, labels)


def run(*steps, seed=0, **options):
    frames, labels = clip(**options)
    return Chain(steps)(frames, labels, np.random.default_rng(seed))


def amounts(*steps, seed=0, **options):
    """What a chain of `Brighten` added to each frame."""
    got, *_ = run(*steps, seed=seed, **options)
    added = got.astype(int) - np.stack(clip(**options)[0])
    assert np.ptp(added.reshape(len(added), -1), axis=1).max() == 0
    return added[:, 0, 0, 0].tolist()


def test_no_steps_stack_the_clip():
    frames, labels, valid = run()
    np.testing.assert_array_equal(frames, clip()[0])
    np.testing.assert_array_equal(labels, clip()[1])
    assert valid.shape == (4, *SIZE) and valid.dtype == bool and valid.all()


@pytest.mark.parametrize("still", [False, True])
def test_scope_says_who_shares_a_draw(still):
    assert len(set(amounts(Step(Brighten(), "clip"), still=still))) == 1
    assert len(set(amounts(Step(Brighten(), "frame"), still=still))) == 4
    later = amounts(Step(Brighten(), "later"), still=still)
    assert later[0] == 0 and len(set(later)) == 4


def test_every_frame_is_the_default_scope():
    assert Step(Flip()) == Step(Flip(), "frame", 1.0)


def test_unknown_scope_is_refused():
    with pytest.raises(ConfigError, match="clip.*frame.*later.*video"):
        Step(Flip(), "video")


@pytest.mark.parametrize(
    "scope, expected", [("clip", [0]), ("frame", [0, 1, 2]), ("later", [1, 2])]
)
def test_labels_that_decide(scope, expected):
    operation = Brighten()
    run(Step(operation, scope), times=3)
    for seen, t in zip(operation.seen, expected, strict=True):
        np.testing.assert_array_equal(seen, clip(times=3)[1][t])


def test_labels_that_decide_are_those_before_the_step():
    operation = Brighten()
    run(Step(Flip(), "clip"), Step(operation, "clip"))
    np.testing.assert_array_equal(operation.seen[0], clip()[1][0][:, ::-1])


@pytest.mark.parametrize("still, computed", [(True, 1), (False, 4)])
def test_shared_change_of_a_still_is_computed_once(still, computed):
    one, two = Brighten(), Brighten()
    run(Step(one, "clip"), Step(two, "clip"), still=still)
    assert len(one.calls) == len(two.calls) == computed


@pytest.mark.parametrize("scope, draws", [("clip", 1), ("frame", 4), ("later", 3)])
def test_probability_per_draw(scope, draws):
    operation, clips = Brighten(), 300
    for seed in range(clips):
        run(Step(operation, scope, 0.3), seed=seed)
    assert len(operation.seen) / (clips * draws) == pytest.approx(0.3, abs=0.08)


def test_clip_is_changed_as_a_whole_or_not_at_all():
    kinds = {tuple(np.sign(amounts(Step(Brighten(), "clip", 0.5), seed=s))) for s in range(20)}
    assert kinds == {(0, 0, 0, 0), (1, 1, 1, 1)}


def test_equal_generators_give_equal_clips():
    steps = (Step(Brighten(), "later"), Step(Flip(), probability=0.5), Shuffle())
    one, two, other = (run(*steps, seed=seed) for seed in (3, 3, 4))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one[0] != other[0]).any()


def test_source_is_not_changed():
    frames, labels = clip()
    Chain((Step(Brighten()), Step(Flip())))(frames, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(frames, clip()[0])
    np.testing.assert_array_equal(labels, clip()[1])


def test_flip_mirrors_everything():
    frames, labels, valid = run(Step(Flip(), "clip"))
    np.testing.assert_array_equal(frames, np.stack(clip()[0])[:, :, ::-1])
    np.testing.assert_array_equal(labels, np.stack(clip()[1])[:, :, ::-1])
    known = np.arange(48).reshape(SIZE) % 3 > 0
    np.testing.assert_array_equal(Flip().valid(known), known[:, ::-1])


def test_repaint_leaves_labels_and_validity():
    labels, known = clip()[1][0], np.arange(48).reshape(SIZE) % 3 > 0
    assert Repaint().labels(labels) is labels
    assert Repaint().valid(known) is known


def test_shuffle_takes_every_order():
    orders = set()
    for seed in range(100):
        frames, labels, _ = run(Shuffle(), seed=seed, times=3)
        sources = [[(f == s).all() for s in clip(times=3)[0]].index(True) for f in frames]
        for t, source in enumerate(sources):
            np.testing.assert_array_equal(labels[t], clip(times=3)[1][source])
        orders.add(tuple(sources))
    assert len(orders) == 6
