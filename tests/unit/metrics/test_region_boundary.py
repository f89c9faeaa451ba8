"""J and F against slow twins written from their definition, and their properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vos_jax.metrics.region_boundary import (
    boundary_map,
    boundary_match,
    boundary_radius,
    object_scores,
    outline,
    pair_scores,
    region_similarity,
)

SHAPES = st.tuples(st.integers(1, 10), st.integers(1, 10))
RADII = st.integers(1, 4)


def masks(shape):
    """Binary masks: noise, boxes (which may be empty or full)."""
    height, width = shape
    edges = st.tuples(
        st.integers(0, height), st.integers(0, height), st.integers(0, width), st.integers(0, width)
    )
    return st.one_of(arrays(np.uint8, shape, elements=st.integers(0, 1)), edges.map(box_in(shape)))


def box_in(shape):
    """Draws a box of ones in a mask of zeros."""

    def draw(edges):
        mask = np.zeros(shape, np.uint8)
        mask[min(edges[:2]) : max(edges[:2]), min(edges[2:]) : max(edges[2:])] = 1
        return mask

    return draw


PAIRS = SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape)))
LABEL_PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2)
)


def slow_boundary(mask):
    """The definition, pixel by pixel."""
    height, width = mask.shape
    found = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (1, 1)):
                if y + dy < height and x + dx < width and mask[y, x] != mask[y + dy, x + dx]:
                    found[y, x] = 1
    return found


def slow_near(points, others, radius):
    """How many of the points have one of the others within the radius."""
    return sum(
        any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in np.argwhere(others))
        for y, x in np.argwhere(points)
    )


def slow_match(truth, prediction, radius):
    """The four counts by the definition."""
    true, predicted = slow_boundary(truth), slow_boundary(prediction)
    return (
        predicted.sum(),
        true.sum(),
        slow_near(predicted, true, radius),
        slow_near(true, predicted, radius),
    )


def slow_accuracy(truth, prediction, radius):
    """F by the definition, case by case."""
    predicted, true, near_true, near_predicted = slow_match(truth, prediction, radius)
    if predicted == 0 and true == 0:
        return 1.0
    if predicted == 0 or true == 0:
        return 0.0
    precision, recall = near_true / predicted, near_predicted / true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def slow_similarity(truth, prediction):
    """J by the definition."""
    pairs = list(zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    union = sum(a or b for a, b in pairs)
    return sum(a and b for a, b in pairs) / union if union else 1.0


class TestBoundary:
    """Boundary maps and the tolerance."""

    @given(PAIRS)
    def test_map_is_the_slow_one(self, pair):
        assert (boundary_map(pair[0]) == slow_boundary(pair[0])).all()

    def test_full_mask_has_no_boundary(self):
        assert not boundary_map(np.ones((5, 7), np.uint8)).any()

    @pytest.mark.parametrize("pixel, count", [((5, 6), 3), ((0, 0), 1), ((2, 3), 4), ((5, 0), 2)])
    def test_single_pixels(self, pixel, count):
        mask = np.zeros((6, 7), np.uint8)
        mask[pixel] = 1
        assert boundary_map(mask).sum() == count

    @pytest.mark.parametrize(
        "shape, radius",
        [
            ((480, 854), 8),
            ((480, 910), 9),
            ((480, 1152), 10),
            ((1080, 1920), 18),
            ((720, 1280), 12),
        ],
    )
    def test_radius_of_usual_sizes(self, shape, radius):
        assert boundary_radius(shape) == radius

    @pytest.mark.parametrize("tolerance, radius", [(1, 1), (3, 3), (2.5, 3), (0.02, 20)])
    def test_radius_of_other_tolerances(self, tolerance, radius):
        assert boundary_radius((480, 854), tolerance) == radius


class TestMatch:
    """Counts of matched boundary pixels."""

    @settings(max_examples=40)
    @given(PAIRS, RADII)
    def test_counts_are_the_slow_ones(self, pair, radius):
        assert tuple(boundary_match(*pair, radius)) == slow_match(*pair, radius)

    @settings(max_examples=40)
    @given(PAIRS, RADII)
    def test_accuracy_is_the_slow_one(self, pair, radius):
        assert boundary_match(*pair, radius).accuracy == slow_accuracy(*pair, radius)

    @given(PAIRS, RADII)
    def test_accuracy_is_symmetric(self, pair, radius):
        ours = boundary_match(pair[0], pair[1], radius).accuracy
        assert ours == boundary_match(pair[1], pair[0], radius).accuracy

    @given(PAIRS, RADII)
    def test_a_wider_tolerance_never_matches_less(self, pair, radius):
        narrow, wide = (boundary_match(*pair, r) for r in (radius, radius + 1))
        assert wide.predicted_near_true >= narrow.predicted_near_true
        assert wide.true_near_predicted >= narrow.true_near_predicted

    @given(PAIRS, RADII, st.integers(0, 5), st.integers(0, 5))
    def test_a_frame_around_the_image_changes_nothing(self, pair, radius, top, left):
        inner = [np.pad(mask, 1) for mask in pair]
        outer = [np.pad(mask, ((top, 3), (left, 2))) for mask in inner]
        assert boundary_match(*inner, radius) == boundary_match(*outer, radius)

    def test_truth_full_prediction_empty(self):
        full, empty = np.ones((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
        match = boundary_match(full, empty, 2)
        assert (match.accuracy, region_similarity(full, empty)) == (1.0, 0.0)

    @pytest.mark.parametrize("swapped", [False, True])
    def test_one_empty_boundary(self, swapped):
        box, empty = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
        box[3:6, 3:6] = 1
        match = boundary_match(*((empty, box) if swapped else (box, empty)), 2)
        assert match.accuracy == 0.0
        assert (match.precision, match.recall) == ((0.0, 1.0) if swapped else (1.0, 0.0))

    def test_pixels_on_the_disk_match_and_beyond_do_not(self):
        truth, prediction = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
        truth[10, 10] = prediction[13, 14] = 1
        assert boundary_match(truth, prediction, 5).predicted_near_true == 4
        assert boundary_match(truth, prediction, 4).predicted_near_true < 4

    def test_outline_of_nothing(self):
        line = outline(np.zeros((4, 4), np.uint8), 2)
        assert line.length == 0 and line.boundary.size == 0


class TestSimilarity:
    """Region similarity."""

    @given(PAIRS)
    def test_is_the_slow_one_and_symmetric(self, pair):
        assert region_similarity(*pair) == slow_similarity(*pair) == region_similarity(*pair[::-1])

    @given(PAIRS)
    def test_lies_between_0_and_1(self, pair):
        assert 0 <= region_similarity(*pair) <= 1

    @given(PAIRS)
    def test_a_mask_fits_itself(self, pair):
        assert region_similarity(pair[0], pair[0]) == 1

    @given(PAIRS, st.integers(1, 5))
    def test_a_frame_around_the_image_changes_nothing(self, pair, margin):
        wider = [np.pad(mask, margin) for mask in pair]
        assert region_similarity(*pair) == region_similarity(*wider)


class TestObjects:
    """All objects of a frame at once."""

    @settings(max_examples=40)
    @given(LABEL_PAIRS, RADII)
    def test_each_object_scores_as_alone(self, pair, radius):
        j, f = object_scores(*pair, [1, 2, 3], radius)
        for row, object_id in enumerate([1, 2, 3]):
            single = [(labels == object_id).astype(np.uint8) for labels in pair]
            assert j[row] == slow_similarity(*single)
            assert f[row] == slow_accuracy(*single, radius)

    @settings(max_examples=40)
    @given(LABEL_PAIRS, RADII)
    def test_pairs_score_as_alone(self, pair, radius):
        j, f = pair_scores(*pair, objects=2, count=4, radius=radius)
        assert j.shape == f.shape == (4, 2)
        for i in range(1, 5):
            for k in range(1, 3):
                truth = (pair[0] == k).astype(np.uint8)
                proposal = (pair[1] == i).astype(np.uint8)
                assert j[i - 1, k - 1] == slow_similarity(truth, proposal)
                assert f[i - 1, k - 1] == slow_accuracy(truth, proposal, radius)

    def test_labels_may_come_in_any_order_and_with_gaps(self):
        truth = np.array([[0, 200, 9, 9]], np.uint8)
        prediction = np.array([[0, 200, 200, 9]], np.uint8)
        j, _ = object_scores(truth, prediction, [200, 9, 5], 1)
        assert j == [0.5, 0.5, 1.0]

    def test_inputs_are_left_alone(self):
        rng = np.random.default_rng(0)
        pair = [rng.integers(0, 3, (20, 20)).astype(np.uint8) for _ in range(2)]
        copies = [labels.copy() for labels in pair]
        object_scores(*pair, [1, 2], 2)
        pair_scores(*pair, 2, 2, 2)
        assert all((a == b).all() for a, b in zip(pair, copies, strict=True))
