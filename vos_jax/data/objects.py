"""Which objects of an augmented clip become its slots; all others become background.

Labels arrive as they are stored, numbers 1..254, and leave as slot numbers 1..n in a random or
stated order. Void (255) stays void.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from vos_jax.core.labels import VOID

HALF = 127


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a choice makes of the labels of a clip.

    Attributes:
        labels: uint8 [t, h, w], slot numbers, 0 background, 255 void.
        objects: slots in use, also where none of their pixels is left.
        given: soft planes of frame 0 in 255ths, uint8 [h, w, o], where they differ from its
            labels.
        numbers: what the objects in use were called before, as far as the choice knows.
    """

    labels: np.ndarray
    objects: int
    given: np.ndarray | None = None
    numbers: Sequence[int] = ()


class ObjectChoice(Protocol):
    """Settings of a rule.

    Attributes:
        gives: whether frame 0 gets planes of its own.
    """

    gives: bool

    def prepare(self, labels: np.ndarray) -> np.ndarray:
        """The stored labels uint8 [h, w] of a frame as the augmentation shall see them."""

    def choose(self, labels: np.ndarray, most: int, rng: np.random.Generator) -> Chosen:
        """Chooses among the objects of augmented labels uint8 [t, h, w], `most` at most."""


@dataclass(frozen=True)
class ReferenceObjects:
    """Objects of the first frame, drawn at random, in random order.

    Mask-Propagation and RDE take two (for BL30K of more than 100 pixels, and more than 900 or
    fewer than 400 on both next frames) and keep a slot in use where there is none; AOT takes ten
    (in videos of more than 100 pixels).

    Attributes:
        most: objects taken, if the slots allow as many.
        least: slots in use at least.
        min_area: pixels that an object must exceed on the first frame.
        sure_area: one that does not exceed this there must have fewer than `brief_area` on each
            of the next two frames.
        brief_area: see `sure_area`.
    """

    most: int = 10
    least: int = 0
    min_area: int = 0
    sure_area: int = 0
    brief_area: int = 400
    gives = False

    def prepare(self, labels: np.ndarray) -> np.ndarray:
        """The labels as they are."""
        return labels

    def choose(self, labels: np.ndarray, most: int, rng: np.random.Generator) -> Chosen:
        """Draws objects of the first frame."""
        areas = _areas(labels[0])
        wanted = areas > self.min_area
        if self.sure_area:
            later = np.max([_areas(mask) for mask in labels[1:3]], axis=0, initial=0)
            wanted &= (areas > self.sure_area) | (later < self.brief_area)
        ids = rng.permutation(1 + np.flatnonzero(wanted))[: min(self.most, most)]
        return Chosen(numbered(labels, ids), max(len(ids), self.least))


@dataclass(frozen=True)
class SoftObject:
    """A single object whose mask is interpolated smoothly (stage 0 of Mask-Propagation, RDE).

    All of the stored labels but void is the object; the augmentation sees it as a plane in
    255ths. More than half of it is foreground in the labels, and frame 0 is given the plane.
    """

    gives = True

    def prepare(self, labels: np.ndarray) -> np.ndarray:
        """The plane of the object."""
        return np.where((labels > 0) & (labels < VOID), np.uint8(255), np.uint8(0))

    def choose(self, labels: np.ndarray, most: int, rng: np.random.Generator) -> Chosen:
        """Thresholds the planes."""
        return Chosen((labels > HALF).astype(np.uint8), 1, labels[0][..., None])


@dataclass(frozen=True)
class VisibleInstances:
    """All objects that any frame of the clip shows, in the order of their numbers (STEm-Seg).

    Where there are more than slots, the largest stay and the others become void.

    Attributes:
        min_area: pixels an object must have on a stored frame (Pascal VOC 50, Mapillary 30).
        void_background: whether what is no object is ignored (DAVIS).
    """

    min_area: int = 0
    void_background: bool = False
    gives = False

    def prepare(self, labels: np.ndarray) -> np.ndarray:
        """The labels without small objects."""
        if not self.min_area:
            return labels
        small = 1 + np.flatnonzero(_areas(labels) < self.min_area)
        return np.where(np.isin(labels, small), np.uint8(0), labels)

    def choose(self, labels: np.ndarray, most: int, rng: np.random.Generator) -> Chosen:
        """Draws nothing."""
        areas = np.sum([_areas(mask) for mask in labels], axis=0)
        by_area = 1 + np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
        ids = np.sort(by_area[:most])
        chosen = numbered(labels, ids, by_area[most:])
        if self.void_background:
            chosen = np.where(chosen == 0, np.uint8(VOID), chosen)
        return Chosen(chosen, len(ids), numbers=ids)


def numbered(labels: np.ndarray, ids: Sequence[int], void: Sequence[int] = ()) -> np.ndarray:
    """Labels [t, h, w] in which these ids are 1, 2, ..., some void, and all others background."""
    table = np.zeros(VOID + 1, np.uint8)
    table[ids] = np.arange(1, 1 + len(ids))
    table[[*void, VOID]] = VOID
    return np.stack([cv2.LUT(mask, table) for mask in labels])


def _areas(labels: np.ndarray) -> np.ndarray:
    """Pixels of the numbers 1..254 in labels [h, w]."""
    return cv2.calcHist([labels], [0], None, [VOID + 1], [0, VOID + 1]).ravel()[1:VOID]


CHOICES = {
    "reference": ReferenceObjects,
    "soft": SoftObject,
    "visible": VisibleInstances,
}
"""Choices by the name a configuration gives."""
