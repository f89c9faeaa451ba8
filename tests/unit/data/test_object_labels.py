"""Labels of chosen objects of a stored frame, painted one plane after the other."""

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame
from vos_jax.data.items import object_labels

SIZE = (23, 37)


def drawn(seed, overlapping):
    """Random boxes, some of them wholly covered, and chosen ids of which one is not there."""
    rng = np.random.default_rng(seed)
    boxes = []
    for identity in rng.permutation(np.arange(1, 250))[: rng.integers(1, 7)].tolist():
        top, left = rng.integers(0, SIZE[0] - 1), rng.integers(0, SIZE[1] - 1)
        bottom, right = rng.integers(top + 1, SIZE[0] + 1), rng.integers(left + 1, SIZE[1] + 1)
        boxes.append(Box(identity, (top, left, bottom, right)))
    ids = [box.identity for box in boxes] + [251]
    chosen = rng.permutation(ids)[: rng.integers(1, len(ids) + 1)].tolist()
    return BoxFrame("a", 0, SIZE, tuple(boxes), overlapping), chosen


@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_labels_are_the_planes_painted_in_the_order_of_the_ids(seed, overlapping):
    frame, chosen = drawn(seed, overlapping)
    planes = {box.identity: box.plane(SIZE) > 0 for box in frame.boxes}
    if not overlapping:
        stored = np.zeros(SIZE, int)
        for box in frame.boxes:
            stored[planes[box.identity]] = box.identity
        planes = {identity: stored == identity for identity in planes}
    expected = np.zeros(SIZE, np.uint8)
    for number, identity in enumerate(chosen, start=1):
        expected[planes.get(identity, np.zeros(SIZE, bool))] = number
    labels = object_labels(frame.load(), chosen)
    assert labels.dtype == np.uint8 and labels.flags.c_contiguous
    np.testing.assert_array_equal(labels, expected)
