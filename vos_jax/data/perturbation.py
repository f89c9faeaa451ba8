"""Perturbed masks: what a network gets to see of its own mistakes (RDE).

Facts: 10.3 of the specification of RDE; equal, draw by draw, to its `dataset/static_dataset.py`.
"""

from typing import Protocol

import cv2
import numpy as np

ROUNDS = 250
CHANGES_PER_ROUND = 4
PIXEL_SHARE = 0.1
SIZES = (3, 10)
SHAPES = (
    (cv2.MORPH_RECT, 1, 1),
    (cv2.MORPH_ELLIPSE, 1, 1),
    (cv2.MORPH_ELLIPSE, 1, 2),
    (cv2.MORPH_ELLIPSE, 2, 1),
)
"""Structuring elements: a shape, and what its width and height are divided by."""


class Draws(Protocol):
    """Where random numbers come from; `np.random.Generator` is one."""

    def integers(self, low: int, high: int) -> int:
        """A whole number of low..high-1."""

    def random(self) -> float:
        """A number of [0, 1)."""


def perturb_mask(mask: np.ndarray, overlap: float, rng: Draws) -> np.ndarray:
    """Dilates and erodes random rectangles until the mask overlaps its original less.

    Args:
        mask: uint8 [h, w] in 255ths; it may have soft edges, and all above 0 counts as object.
        overlap: intersection over union below which the search ends; the result lies below it,
            unless it is 1, which returns the mask as it is.
        rng: every random choice comes from it.

    Returns:
        The perturbed mask, uint8 [h, w]; the mask as it is when a side is 2 pixels or less.
    """
    if overlap == 1 or min(mask.shape) <= 2:
        return mask
    original = np.ascontiguousarray(mask)
    perturbed = original.copy()
    for _ in range(ROUNDS):
        for _ in range(CHANGES_PER_ROUND):
            _change_rectangle(perturbed, rng)
        common = cv2.countNonZero(cv2.min(original, perturbed)) + 1e-6
        if common / (cv2.countNonZero(cv2.max(original, perturbed)) + 1e-6) < overlap:
            break
    return perturbed


def _change_rectangle(mask: np.ndarray, rng: Draws) -> None:
    """Dilates or erodes a rectangle in place, as if nothing were around it."""
    height, width = mask.shape
    x0, y0 = rng.integers(0, width), rng.integers(0, height)
    x1, y1 = rng.integers(x0 + 1, width + 1), rng.integers(y0 + 1, height + 1)
    if rng.random() < PIXEL_SHARE:
        mask[(y0 + y1) // 2, (x0 + x1) // 2] = 255 * rng.integers(0, 2)
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    size = rng.integers(*SIZES)
    shape, across, down = SHAPES[rng.integers(0, len(SHAPES))]
    element = cv2.getStructuringElement(shape, (int(size // across), int(size // down)))
    mask[y0:y1, x0:x1] = change(mask[y0:y1, x0:x1], element)
