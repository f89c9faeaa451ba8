"""A second object for clips that show one: a moved copy of it (STEm-Seg).

Facts: 10 of the specification of STEm-Seg; `stemseg/data/instance_duplicator.py` of its
repository.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vos_jax.core.labels import VOID
from vos_jax.data.operations import View
from vos_jax.data.warps import Projection

WIDE, NARROW, EDGE = 0.4, 0.2, 0.25
LARGEST_SHIFT = 0.3


@dataclass(frozen=True)
class DuplicateObject:
    """Pastes a moved copy of a clip's only object over every frame, as one more object.

    The copy goes to one side for the whole clip, by 0.75 to 1 of the object's width and 0 to
    0.25 of its height, drawn per frame, and may be a mirror image. Clips of another number of
    objects, and clips whose object reaches both the left and the right border, stay as they
    are.
    """

    def __call__(self, views: list[View], rng: np.random.Generator) -> list[View]:
        """The views with the copy, numbered 1, or 2 where the object itself is 1."""
        areas = sum(np.bincount(view.labels.ravel(), minlength=VOID + 1) for view in views)
        ids = np.flatnonzero(areas[1:VOID]) + 1
        if len(ids) != 1:
            return views
        masks = [(view.labels == ids[0]).astype(np.uint8) for view in views]
        boxes = np.array([cv2.boundingRect(mask) for mask in masks])
        seen = boxes[boxes[:, 2] > 0]
        height, width = masks[0].shape
        left, right = _touched(seen[:, 0], seen[:, 2], width)
        if left and right:
            return views
        across = _direction(seen[:, 0], seen[:, 2], width, rng)
        upright = all(_touched(seen[:, 1], seen[:, 3], height))
        down = 0 if upright else _direction(seen[:, 1], seen[:, 3], height, rng)
        mirror = not (left or right) and rng.random() < 0.5
        number = 1 if ids[0] != 1 else 2
        copied = []
        for view, mask, (x, _, w, h) in zip(views, masks, boxes, strict=True):
            wanted = (across * rng.uniform(0.75, 1) * w, down * rng.uniform(0, 0.25) * h)
            right_by, down_by = np.minimum(wanted, np.multiply(LARGEST_SHIFT, (width, height)))
            turned = (-1, 2 * x + w - 1) if mirror else (1, 0)
            matrix = np.array([[turned[0], 0, turned[1] + right_by], [0, 1, down_by], [0, 0, 1]])
            copied.append(_paste(view, mask, Projection(matrix), number))
        return copied


def _paste(view: View, mask: np.ndarray, move: Projection, number: int) -> View:
    """The view with the moved pixels of a mask over it, labelled `number`."""
    moved = move.labels(mask)
    frame = cv2.copyTo(move.frame(view.frame), moved, view.frame.copy())
    return view._replace(frame=frame, labels=np.where(moved, np.uint8(number), view.labels))


def _touched(starts: np.ndarray, lengths: np.ndarray, side: int) -> tuple[bool, bool]:
    """Whether some box begins at the first pixel, and whether some box ends at the last."""
    return bool((starts == 0).any()), bool((starts + lengths == side).any())


def _direction(starts: np.ndarray, lengths: np.ndarray, side: int, rng: np.random.Generator) -> int:
    """-1 or 1 along an axis: random, unless a long or a short box of some frame decides.

    The last frame that decides wins: a long box at a border moves further out, a short one in
    the outer quarter moves inwards.
    """
    decided = None
    for start, length in zip(starts, lengths, strict=True):
        centre = start + length / 2
        if length > WIDE * side and (start == 0 or start + length == side):
            decided = -1 if start == 0 else 1
        elif length < NARROW * side and not EDGE * side <= centre <= (1 - EDGE) * side:
            decided = 1 if centre < side / 2 else -1
    return decided or (-1 if rng.random() < 0.5 else 1)
