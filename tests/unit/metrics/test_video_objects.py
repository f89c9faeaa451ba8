"""Protocols over the frames of a video."""

import itertools
import tracemalloc

import numpy as np
import pytest

from vos_jax.core.labels import VOID
from vos_jax.metrics.proposals import unsupervised
from vos_jax.metrics.region_boundary import boundary_radius, object_scores
from vos_jax.metrics.video_objects import semi_supervised, youtube_vos

SHAPE = (40, 60)


def drawn(**boxes):
    """A label map with squares: id = (row, column) of the corner, ten pixels wide."""
    labels = np.zeros(SHAPE, np.uint8)
    for name, (y, x) in boxes.items():
        labels[y : y + 10, x : x + 10] = int(name[1:])
    return labels


def scores_of(truth, prediction, object_id):
    """J and F of one object in one frame."""
    (j,), (f,) = object_scores(truth, prediction, [object_id], boundary_radius(SHAPE))
    return j, f


class TestSemiSupervised:
    """DAVIS 2017 and 2016."""

    def test_a_row_per_object_a_value_per_frame(self):
        truth = drawn(o1=(0, 0), o2=(20, 30))
        frames = [(truth, truth), (truth, drawn(o1=(0, 5), o2=(20, 30)))]
        first, second = semi_supervised(frames, objects=2)
        assert (first.number, first.object_id, first.proposal) == (1, 1, None)
        assert first.j.tolist() == [1.0, 1 / 3] and second.j.tolist() == [1.0, 1.0]
        assert first.f[1] == scores_of(*frames[1], 1)[1]

    def test_void_of_the_truth_is_background(self):
        truth = drawn(o1=(0, 0))
        truth[20:, 20:] = VOID
        clean = np.where(truth == VOID, 0, truth).astype(np.uint8)
        prediction = drawn(o1=(18, 18))
        (with_void,) = semi_supervised([(truth, prediction)], 1)
        (without,) = semi_supervised([(clean, prediction)], 1)
        assert with_void.j == without.j and with_void.f == without.f

    def test_objects_never_predicted_or_absent(self):
        frames = [(drawn(o1=(0, 0)), drawn()), (drawn(), drawn()), (drawn(), drawn(o1=(0, 0)))]
        (scores,) = semi_supervised(frames, 1)
        assert scores.j.tolist() == scores.f.tolist() == [0.0, 1.0, 0.0]

    def test_labels_above_the_number_of_objects_do_not_count(self):
        frames = [(drawn(o1=(0, 0), o7=(20, 20)), drawn(o1=(0, 0)))]
        assert [s.object_id for s in semi_supervised(frames, 1)] == [1]

    def test_no_frames_give_empty_rows(self):
        assert [s.j.shape for s in semi_supervised([], 2)] == [(0,), (0,)]


def peak_memory(protocol, frames):
    """Bytes at the highest while a protocol scores so many frames of 300x400."""
    rng = np.random.default_rng(0)

    def stream():
        for _ in range(frames):
            truth = np.zeros((300, 400), np.uint8)
            truth[50:150, 60:200] = 1
            yield truth, np.roll(truth, rng.integers(1, 9), axis=1)

    tracemalloc.start()
    protocol(stream())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "protocol",
    [lambda f: semi_supervised(f, 1), lambda f: unsupervised(f, 1), youtube_vos],
    ids=["semi_supervised", "unsupervised", "youtube_vos"],
)
def test_memory_does_not_grow_with_the_video(protocol):
    peak_memory(protocol, 2)
    one_frame = 300 * 400
    assert peak_memory(protocol, 40) < peak_memory(protocol, 4) + one_frame / 2


class TestUnsupervised:
    """Proposals matched to objects."""

    def test_best_assignment_and_order_by_proposal(self):
        truth = drawn(o1=(0, 0), o2=(20, 30))
        frames = [(truth, drawn(o3=(0, 0), o1=(20, 32), o2=(0, 48)))] * 2
        pairs, matrix = unsupervised(frames, objects=2)
        assert [(s.number, s.proposal, s.object_id) for s in pairs] == [(1, 1, 2), (2, 3, 1)]
        assert pairs[1].j.tolist() == [1.0, 1.0]
        assert matrix.shape == (3, 2) and matrix[2, 0] == 1.0
        assert matrix[0, 1] == pytest.approx((pairs[0].j.mean() + pairs[0].f.mean()) / 2)

    def test_the_sum_is_the_highest_of_all_assignments(self):
        rng = np.random.default_rng(3)
        shape = (2, *SHAPE)
        frames = [tuple(rng.integers(0, 4, shape).astype(np.uint8)) for _ in range(2)]
        pairs, matrix = unsupervised(frames, objects=3)
        ours = sum(matrix[s.proposal - 1, s.object_id - 1] for s in pairs)
        best = max(
            sum(matrix[p, k] for k, p in enumerate(order))
            for order in itertools.permutations(range(3))
        )
        assert ours == pytest.approx(best)

    def test_one_proposal_keeps_its_number_through_the_sequence(self):
        truth = drawn(o1=(0, 0), o2=(20, 30))
        swapped = drawn(o2=(0, 0), o1=(20, 30))
        pairs, _ = unsupervised([(truth, truth), (truth, truth), (truth, swapped)], 2)
        assert [s.j.tolist() for s in pairs] == [[1.0, 1.0, 0.0]] * 2

    def test_void_pixels_are_ignored_on_both_sides(self):
        truth, prediction = drawn(o1=(0, 0)), drawn(o1=(0, 0))
        truth[20:, :] = VOID
        prediction[30:, 30:] = 1
        pairs, _ = unsupervised([(truth, prediction)], 1)
        assert pairs[0].j.tolist() == pairs[0].f.tolist() == [1.0]

    def test_fewer_proposals_than_objects_are_padded(self):
        truth = drawn(o1=(0, 0), o2=(20, 30), o3=(0, 40))
        pairs, matrix = unsupervised([(truth, drawn(o1=(20, 30)))], 3)
        assert matrix.shape == (3, 3)
        assert sorted(s.object_id for s in pairs) == [1, 2, 3]
        assert [s.j[0] for s in pairs] == [1.0, 0.0, 0.0]

    def test_more_objects_than_proposals_may_be(self):
        truth = drawn(o1=(0, 0), o2=(20, 30), o3=(0, 40))
        pairs, matrix = unsupervised([(truth, truth)], 3, most=2)
        assert matrix.shape == (3, 3) and len(pairs) == 3

    def test_proposals_left_over_cost_nothing(self):
        truth = drawn(o1=(0, 0))
        pairs, matrix = unsupervised([(truth, drawn(o1=(0, 0), o20=(20, 20)))], 1)
        assert len(pairs) == 1 and matrix.shape == (20, 1) and pairs[0].j[0] == 1


class TestYoutubeVos:
    """Rows that begin where an id first occurs."""

    def test_a_row_begins_with_the_object(self):
        early, late = drawn(o1=(0, 0)), drawn(o1=(0, 0), o4=(20, 20))
        one, four = youtube_vos([(early, early), (late, late), (early, early)])
        assert (one.object_id, four.object_id) == (1, 4)
        assert one.j.tolist() == [1, 1, 1] and four.j.tolist() == [1, 1]

    def test_predicting_too_early_costs(self):
        early, late = drawn(o1=(0, 0)), drawn(o1=(0, 0), o4=(20, 20))
        _, four = youtube_vos([(early, late), (late, late)])
        assert four.j.tolist() == [0.0, 1.0] and four.f.tolist() == [0.0, 1.0]

    def test_ids_the_truth_never_has_are_dropped(self):
        truth = drawn(o2=(0, 0))
        assert [s.object_id for s in youtube_vos([(truth, drawn(o2=(0, 0), o9=(20, 20)))])] == [2]

    def test_void_is_no_object_on_either_side(self):
        truth = drawn(o2=(0, 0), o255=(20, 20))
        (two,) = youtube_vos([(truth, drawn(o2=(0, 0), o255=(20, 40)))])
        assert two.j.tolist() == [1.0]

    def test_a_video_without_objects(self):
        assert youtube_vos([(drawn(), drawn(o3=(0, 0)))]) == []
