"""Merging two clips: what covers what, which objects survive, when it happens."""

import dataclasses

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame, write_set
from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import Sample
from vos_jax.data.composed import ComposedClips, MergedClips
from vos_jax.data.frame_sampling import Repeat
from vos_jax.data.objects import ReferenceObjects, SoftObject
from vos_jax.data.operations import Chain

SIZE = (40, 50)


@dataclasses.dataclass
class Painted:
    """A source whose item n is the n-th clip of labels on one grey; notes what is asked."""

    clips: list
    gives: bool = False
    scheduled: bool = True
    times: int = 2
    asked: list = dataclasses.field(default_factory=list)

    @property
    def sizes(self):
        return np.array([SIZE] * len(self.clips))

    def clip(self, item, objects, rng, progress):
        self.asked.append((item, objects, progress))
        labels = self.clips[item]
        used = range(1, 1 + int(labels[labels < 255].max(initial=0)))
        return Sample(
            frames=np.full((*labels.shape, 3), 10 * (item + 1), np.uint8),
            labels=labels,
            valid=np.zeros(labels.shape, bool),
            present=np.array([[(mask == n).any() for n in used] for mask in labels]).reshape(2, -1),
            labelled=np.ones(2, bool),
        )


def painted(*rectangles):
    """Labels of two frames alike: (label, top, left, bottom, right)."""
    labels = np.zeros((2, *SIZE), np.uint8)
    for label, top, left, bottom, right in rectangles:
        labels[:, top:bottom, left:right] = label
    return labels


def rng(seed=0):
    return np.random.default_rng(seed)


def merge(below, above, most=10, seed=0):
    return MergedClips(Painted([below, above]), 1.0).clip(0, most, rng(seed))


def test_the_second_clip_covers_the_first():
    below, above = painted((1, 0, 0, 40, 25)), painted((1, 20, 0, 40, 50))
    sample = merge(below, above)
    np.testing.assert_array_equal(sample.frames[..., 0] == 20, above > 0)
    np.testing.assert_array_equal(sample.frames[..., 0] == 10, above == 0)
    np.testing.assert_array_equal(sample.valid, above > 0)
    np.testing.assert_array_equal(sample.labels == 0, (below == 0) & (above == 0))
    assert sample.present.tolist() == [[True, True]] * 2
    lower = sample.labels[0, 0, 0]
    np.testing.assert_array_equal(sample.labels == lower, (below > 0) & (above == 0))


@pytest.mark.parametrize("left, survive", [(101, True), (100, False)])
def test_objects_that_are_nearly_covered_become_background(left, survive):
    below, above = painted((1, 0, 0, 20, 10), (2, 20, 0, 40, 50)), painted((1, 0, 0, 40, 10))
    above[:, :20, :10] = (np.arange(200) >= left).reshape(20, 10)
    sample = merge(below, above)
    assert sample.present.shape[1] == 2 + survive
    assert (sample.labels[0, 0, 0] > 0) == survive
    later = below.copy()
    later[1, :20, :10] = 0
    assert merge(later, above).present.shape[1] == 2 + survive


def test_ten_of_many_survive_at_random():
    """Thirteen bands of three rows, ten in one clip and three in the other."""
    below = painted(*((n, 3 * n - 3, 0, 3 * n, 50) for n in range(1, 11)))
    above = painted(*((n, 3 * n + 27, 0, 3 * n + 30, 50) for n in range(1, 4)))
    survived = np.zeros(13)
    for seed in range(60):
        sample = merge(below, above, seed=seed)
        assert sample.present.shape == (2, 10)
        survived += sample.labels[0, 1:39:3, 0] > 0
    np.testing.assert_allclose(survived / 60, 10 / 13, atol=0.25)
    assert len(set(survived)) > 1
    assert merge(below, above, most=3).present.shape == (2, 3)


def test_void_covers_and_stays_void():
    below, above = painted((1, 0, 0, 40, 25), (255, 0, 25, 40, 30)), painted((255, 0, 0, 5, 50))
    sample = merge(below, above)
    np.testing.assert_array_equal(sample.labels == 255, (above == 255) | (below == 255))
    assert (sample.frames[:, :5] == 20).all() and sample.present.shape == (2, 1)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_so_many_clips_are_merged(probability):
    source = Painted([painted((1, 0, 0, 20, 20))] * 2)
    merged = MergedClips(source, probability)
    for seed in range(300):
        merged.clip(0, 4, rng(seed), 0.5)
    assert len(source.asked) - 300 == pytest.approx(300 * probability, abs=30)
    assert {(objects, progress) for _, objects, progress in source.asked} == {(4, 0.5)}


def test_a_clip_without_objects_is_always_merged():
    source = Painted([painted(), painted((1, 0, 0, 20, 20))])
    sample = MergedClips(source, 0.0).clip(0, 4, rng())
    assert [item for item, *_ in source.asked] == [0, 1] and sample.present.all()


def test_the_second_clip_is_any_other_item():
    source = Painted([painted((1, 0, 0, 20, 20))] * 4)
    merged = MergedClips(source, 1.0)
    for item in range(4):
        source.asked.clear()
        for seed in range(60):
            merged.clip(item, 4, rng(seed))
        others = [other for other, *_ in source.asked[1::2]]
        assert set(others) == set(range(4)) - {item}
        assert min(map(others.count, set(others))) > 8


def test_it_takes_over_what_the_source_is():
    source = Painted([painted()] * 3)
    merged = MergedClips(source, 0.3)
    assert (merged.times, merged.scheduled, merged.counts, merged.gives) == (2, True, None, False)
    np.testing.assert_array_equal(merged.sizes, source.sizes)


@pytest.mark.parametrize("source", [Painted([painted()]), Painted([painted()] * 2, gives=True)])
def test_what_cannot_be_merged_is_refused(source):
    with pytest.raises(ConfigError, match="merged"):
        MergedClips(source, 0.5)


def test_clips_of_records_are_merged_the_same_every_time(tmp_path):
    same_size = [[BoxFrame(f"s{n}", 0, SIZE, (Box(5, (4, 4, 24, 24)),))] for n in range(3)]
    records = write_set(tmp_path, *same_size)
    merged = MergedClips(ComposedClips(records, Chain(()), Repeat(2), ReferenceObjects()), 1.0)
    one, two = (merged.clip(0, 4, rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.present.all() and one.labels[0].any()
    with pytest.raises(ConfigError):
        MergedClips(ComposedClips(records, Chain(()), Repeat(2), SoftObject()), 1.0)
