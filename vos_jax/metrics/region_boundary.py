"""Region similarity J and boundary accuracy F of masks, as DAVIS defines them.

Agrees with davisvideochallenge/davis2017-evaluation, davis2017/metrics.py. Everything is counted
in whole pixels inside the boxes of the masks; the scores are float64 quotients of those counts.
Pixels to be ignored must be background in both masks beforehand.
"""

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

TOLERANCE = 0.008
_BLOCK = np.ones((2, 2), np.uint8)


class BoundaryMatch(NamedTuple):
    """Boundary pixels of a prediction and a truth, and how many lie near the other's."""

    predicted: int
    true: int
    predicted_near_true: int
    true_near_predicted: int

    @property
    def precision(self) -> float:
        """Share of the predicted boundary near the true one; 1 where none is predicted."""
        return self.predicted_near_true / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the true boundary near the predicted one; 1 where there is no true one."""
        return self.true_near_predicted / self.true if self.true else 1.0

    @property
    def accuracy(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are 0 or one boundary is empty."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


class Outline(NamedTuple):
    """A mask's boundary inside a box of the image.

    Attributes:
        top: first row of the box.
        left: first column of the box.
        boundary: uint8 [box], 1 on the boundary.
        zone: uint8 [box], 1 within the tolerance of the boundary.
        length: number of boundary pixels.
    """

    top: int
    left: int
    boundary: np.ndarray
    zone: np.ndarray
    length: int


def boundary_radius(shape: tuple[int, int], tolerance: float = TOLERANCE) -> int:
    """Tolerance in pixels: that share of the image diagonal, rounded up; 1 or more is pixels."""
    return math.ceil(tolerance if tolerance >= 1 else tolerance * math.hypot(*shape))


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """Marks pixels that differ from their east, south or south-east neighbour in the image.

    Args:
        mask: uint8 [h, w] of 0 and 1.

    Returns:
        uint8 [h, w] of 0 and 1.
    """
    return cv2.dilate(mask, _BLOCK, anchor=(0, 0)) ^ cv2.erode(mask, _BLOCK, anchor=(0, 0))


def outline(mask: np.ndarray, radius: int) -> Outline:
    """Finds the boundary of a mask and the zone within `radius` pixels (Euclidean) of it.

    Args:
        mask: uint8 [h, w] of 0 and 1.
        radius: tolerance in pixels.
    """
    box = _grown_box(mask, radius + 1)
    boundary = mask[box]
    if not boundary.size:
        return Outline(0, 0, boundary, boundary, 0)
    boundary = boundary_map(boundary)
    zone = cv2.dilate(boundary, _disk(radius))
    return Outline(box[0].start, box[1].start, boundary, zone, cv2.countNonZero(boundary))


def match_outlines(prediction: Outline, truth: Outline) -> BoundaryMatch:
    """Counts the boundary pixels of each outline that lie in the zone of the other."""
    in_prediction, in_truth = _overlap(prediction, truth)
    near_true = np.count_nonzero(prediction.boundary[in_prediction] & truth.zone[in_truth])
    near_predicted = np.count_nonzero(truth.boundary[in_truth] & prediction.zone[in_prediction])
    return BoundaryMatch(prediction.length, truth.length, near_true, near_predicted)


def boundary_match(truth: np.ndarray, prediction: np.ndarray, radius: int) -> BoundaryMatch:
    """Compares the boundaries of two masks, uint8 [h, w] of 0 and 1."""
    return match_outlines(outline(prediction, radius), outline(truth, radius))


def region_similarity(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Intersection over union of two masks, uint8 [h, w] of 0 and 1; 1 where both are empty."""
    intersection = cv2.countNonZero(truth & prediction)
    union = cv2.countNonZero(truth | prediction)
    return intersection / union if union else 1.0


def object_scores(
    truth: np.ndarray, prediction: np.ndarray, ids: list[int], radius: int
) -> tuple[list[float], list[float]]:
    """J and F of objects in one frame.

    Args:
        truth: uint8 [h, w] object ids.
        prediction: uint8 [h, w] object ids.
        ids: the objects to score.
        radius: tolerance in pixels, of the whole frame.

    Returns:
        J of each id, F of each id.
    """
    box = _grown_box(truth | prediction, 1)
    truth, prediction = truth[box], prediction[box]
    scores = [
        _mask_scores(_mask(truth, object_id), _mask(prediction, object_id), radius)
        for object_id in ids
    ]
    return [j for j, _ in scores], [f for _, f in scores]


def pair_scores(
    truth: np.ndarray, proposals: np.ndarray, objects: int, count: int, radius: int
) -> tuple[np.ndarray, np.ndarray]:
    """J and F of every proposal against every object in one frame.

    Args:
        truth: uint8 [h, w] object ids.
        proposals: uint8 [h, w] proposal numbers.
        objects: ids 1 to `objects` are scored; other ids in `truth` are background.
        count: proposals 1 to `count` are scored, which must be all there are.
        radius: tolerance in pixels, of the whole frame.

    Returns:
        J and F, float64 [count, objects].
    """
    box = _grown_box(truth | proposals, 1)
    truth, proposals = truth[box], proposals[box]
    found = np.bincount(
        proposals.ravel().astype(np.intp) * 256 + truth.ravel(), minlength=(count + 1) * 256
    ).reshape(count + 1, 256)
    areas = found.sum(1)[1:, None], found.sum(0)[None, 1 : objects + 1]
    intersection = found[1:, 1 : objects + 1]
    union = areas[0] + areas[1] - intersection
    j = np.where(union > 0, intersection / np.maximum(union, 1), 1.0)
    lines = [outline(_mask(proposals, i), radius) for i in range(1, count + 1)]
    true_lines = [outline(_mask(truth, i), radius) for i in range(1, objects + 1)]
    f = [[match_outlines(line, true).accuracy for true in true_lines] for line in lines]
    return j, np.array(f, np.float64).reshape(count, objects)


def _mask_scores(truth: np.ndarray, prediction: np.ndarray, radius: int) -> tuple[float, float]:
    if np.array_equal(truth, prediction):
        return 1.0, 1.0
    return region_similarity(truth, prediction), boundary_match(truth, prediction, radius).accuracy


def _mask(labels: np.ndarray, object_id: int) -> np.ndarray:
    return (labels == object_id).view(np.uint8)


@functools.cache
def _disk(radius: int) -> np.ndarray:
    offset = np.arange(-radius, radius + 1)
    return (offset[:, None] ** 2 + offset**2 <= radius**2).astype(np.uint8)


def _grown_box(labels: np.ndarray, margin: int) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(labels)
    if not width:
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(top - margin, 0), top + height + margin),
        slice(max(left - margin, 0), left + width + margin),
    )


def _overlap(one: Outline, other: Outline) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    ours, theirs = [], []
    for axis, (start, other_start) in enumerate(zip(one[:2], other[:2], strict=True)):
        first = max(start, other_start)
        ends = start + one.boundary.shape[axis], other_start + other.boundary.shape[axis]
        last = max(min(ends), first)
        ours.append(slice(first - start, last - start))
        theirs.append(slice(first - other_start, last - other_start))
    return tuple(ours), tuple(theirs)
