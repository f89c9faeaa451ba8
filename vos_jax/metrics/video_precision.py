"""Average precision of video instances, to the last digit that of YouTube-VIS' own tool.

Instances are tracks: lists of masks, one per frame. The IoU of two is the sum of their
intersections over all frames, over that of their unions (youtubevos/cocoapi, ytvoseval.py).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {
    "all": (0, 1e10),
    "small": (0, 128**2),
    "medium": (128**2, 256**2),
    "large": (256**2, 1e10),
}
LIMITS = (1, 10, 100)
"""Detections of a class that count in a video."""


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance of a video, true or detected.

    Attributes:
        video: which.
        category: its class.
        codes: compressed run-length code on each frame, None where it is absent.
        areas: pixels on each frame, 0 where it is absent.
        score: of a detection.
        crowd: whether a true one is a crowd, which may be found many times and need not be.
        area: mean over frames where it has pixels; 0 if there are none.
    """

    video: int
    category: int
    codes: Sequence[dict | None]
    areas: np.ndarray
    score: float = 1.0
    crowd: bool = False
    area: float = 0.0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Instance":
        """From an annotation or a result of YouTube-VIS; stated areas decide about its size."""
        codes = entry["segmentations"]
        there = [code is not None for code in codes]
        areas = np.zeros(len(codes))
        areas[there] = coco_mask.area([code for code in codes if code is not None])
        stated = [area for area in entry.get("areas", areas) if area]
        return cls(
            entry["video_id"],
            entry["category_id"],
            codes,
            areas,
            entry.get("score", 1.0),
            bool(entry.get("iscrowd")),
            float(np.mean(stated)) if stated else 0.0,
        )


@dataclasses.dataclass(frozen=True)
class Precision:
    """The curves of all classes.

    Attributes:
        categories: the classes, ascending.
        precision: at each recall, float [threshold, recall, class, area, limit]; -1 where a class
            has no true instance.
        recall: reached, float [threshold, class, area, limit]; likewise.
    """

    categories: tuple[int, ...]
    precision: np.ndarray
    recall: np.ndarray

    def statistics(self, category: int | None = None) -> dict[str, float]:
        """The official tool's twelve numbers, of one class or of all; -1 where none applies."""
        chosen = slice(None)
        if category is not None:
            chosen = slice(self.categories.index(category), self.categories.index(category) + 1)
        precision, recall = self.precision[:, :, chosen], self.recall[:, chosen]
        sizes, most = list(AREAS)[1:], len(LIMITS) - 1
        found = {"AP": precision[..., 0, most]}
        found |= {"AP50": precision[:1, ..., 0, most], "AP75": precision[5:6, ..., 0, most]}
        found |= {f"AP_{size}": precision[..., n, most] for n, size in enumerate(sizes, 1)}
        found |= {f"AR{limit}": recall[..., 0, n] for n, limit in enumerate(LIMITS)}
        found |= {f"AR_{size}": recall[..., n, most] for n, size in enumerate(sizes, 1)}
        return {name: _mean(values) for name, values in found.items()}


def video_precision(
    truth: Iterable[Instance], detections: Iterable[Instance], categories: Iterable[int]
) -> Precision:
    """Matches detections with the truth, video by video and class by class.

    Args:
        truth: true instances.
        detections: of any number; of a class in a video, the 100 with the highest scores count.
        categories: the classes that are looked at.
    """
    categories = tuple(sorted(set(categories)))
    true, found = _grouped(truth), _grouped(detections)
    shape = (len(THRESHOLDS), len(RECALLS), len(categories), len(AREAS), len(LIMITS))
    precision, recall = -np.ones(shape), -np.ones((shape[0], *shape[2:]))
    keys = sorted(true.keys() | found.keys())
    for place, category in enumerate(categories):
        videos = [
            _Video(true.get(key, []), found.get(key, [])) for key in keys if key[1] == category
        ]
        for number, bounds in enumerate(AREAS.values()):
            matches = [video.matched(bounds) for video in videos]
            for which, limit in enumerate(LIMITS):
                curve = _curve(matches, limit)
                if curve is not None:
                    precision[:, :, place, number, which], recall[:, place, number, which] = curve
    return Precision(categories, precision, recall)


def track_iou(detections: Sequence[Instance], truth: Sequence[Instance]) -> np.ndarray:
    """IoU of every detection with every true instance, float [d, g]; 0 where both are empty."""
    if not detections or not truth:
        return np.zeros((len(detections), len(truth)))
    areas, others = (np.stack([i.areas for i in each], axis=1) for each in (detections, truth))
    frames = np.flatnonzero(areas.any(1) & others.any(1)).tolist()
    codes, true = (_columns([i.codes for i in each], frames) for each in (detections, truth))
    plain = [False] * len(truth)
    ious = np.array([coco_mask.iou(c, t, plain) for c, t in zip(codes, true, strict=True)])
    both = areas[:, :, None] + others[:, None]
    shared = np.rint(ious * both[frames] / (1 + ious)).sum(0) if frames else 0
    return shared / np.maximum(both.sum(0) - shared, 1)


def _columns(tracks: list[Sequence[dict | None]], frames: list[int]) -> list[list[dict]]:
    """The codes of all tracks on each of some frames; a code of no pixel stands for None."""
    size = next((code["size"] for track in tracks for code in track if code is not None), None)
    nothing = size and coco_mask.frPyObjects({"size": size, "counts": [size[0] * size[1]]}, *size)
    return [[track[frame] or nothing for track in tracks] for frame in frames]


class _Video:
    """The instances of one class in one video, detections by falling score."""

    def __init__(self, truth: list[Instance], detections: list[Instance]):
        self.truth = truth
        self.detections = sorted(detections, key=lambda i: -i.score)[: LIMITS[-1]]
        self.scores = np.array([i.score for i in self.detections])
        self.ious = track_iou(self.detections, truth)

    def matched(self, bounds: tuple[float, float]) -> "_Matches":
        """Matches for instances of some sizes; others are ignored."""
        least, most = bounds
        outside = [not least <= i.area <= most for i in self.detections]
        ignored = [i.crowd or not least <= i.area <= most for i in self.truth]
        order = np.argsort(ignored, kind="stable")
        ious, ignored = self.ious[:, order].tolist(), [ignored[i] for i in order]
        crowd = [self.truth[i].crowd for i in order]
        hit = np.zeros((len(THRESHOLDS), len(ious)), bool)
        skipped = np.tile(np.array(outside, bool), (len(THRESHOLDS), 1))
        for row, threshold in enumerate(THRESHOLDS):
            free = [True] * len(order)
            for detection, candidates in enumerate(ious):
                best = _best(candidates, free, ignored, min(threshold, 1 - 1e-10))
                if best is not None:
                    free[best] = crowd[best]
                    hit[row, detection], skipped[row, detection] = True, ignored[best]
        return _Matches(self.scores, hit, skipped, ignored.count(False))


@dataclasses.dataclass(frozen=True)
class _Matches:
    """Per threshold, which detections of a video are matched, and which do not count."""

    scores: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    true: int


def _best(ious: list[float], free: list[bool], ignored: list[bool], least: float) -> int | None:
    """The free true instance of highest IoU, the last of equals; ignored ones only if no other."""
    best = None
    for place, iou in enumerate(ious):
        if best is not None and ignored[place] and not ignored[best]:
            break
        if free[place] and iou >= least:
            best, least = place, iou
    return best


def _curve(videos: list[_Matches], limit: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Precision at every recall and the recall reached, per threshold; None without truth."""
    true = sum(video.true for video in videos)
    if not true:
        return None
    scores = np.concatenate([video.scores[:limit] for video in videos])
    order = np.argsort(-scores, kind="stable")
    hit, ignored = (
        np.concatenate([getattr(video, name)[:, :limit] for video in videos], axis=1)[:, order]
        for name in ("hit", "ignored")
    )
    right, wrong = (np.cumsum(kind & ~ignored, axis=1, dtype=float) for kind in (hit, ~hit))
    if not len(order):
        return np.zeros((len(THRESHOLDS), len(RECALLS))), np.zeros(len(THRESHOLDS))
    recall = right / true
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.pad(precision, ((0, 0), (0, 1)))
    places = [np.searchsorted(row, RECALLS) for row in recall]
    return np.stack([row[at] for row, at in zip(precision, places, strict=True)]), recall[:, -1]


def _grouped(instances: Iterable[Instance]) -> Mapping[tuple[int, int], list[Instance]]:
    groups: dict[tuple[int, int], list[Instance]] = {}
    for instance in instances:
        groups.setdefault((instance.video, instance.category), []).append(instance)
    return groups


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
