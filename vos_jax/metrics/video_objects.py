"""Scores of the objects of one video under the DAVIS and YouTube-VOS protocols.

Frames are taken one at a time; only the scores are kept. The DAVIS protocols agree with
davisvideochallenge/davis2017-evaluation, davis2017/evaluation.py, the YouTube-VOS style rows with
hkchengrex/vos-benchmark, vos_benchmark/evaluator.py.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from vos_jax.core.labels import object_ids
from vos_jax.metrics.region_boundary import boundary_radius, object_scores

Frames = Iterable[tuple[np.ndarray, np.ndarray]]
"""Truth and prediction of each frame that counts, in order: uint8 [h, w] object ids."""


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """The rows of one object.

    Attributes:
        number: the number that the tables give it.
        object_id: its id in the truth.
        j: region similarity per frame, float64 [t].
        f: boundary accuracy per frame, float64 [t].
        proposal: the proposal it was matched with (unsupervised protocol).
    """

    number: int
    object_id: int
    j: np.ndarray
    f: np.ndarray
    proposal: int | None = None


def semi_supervised(frames: Frames, objects: int) -> list[ObjectScores]:
    """Scores objects 1 to `objects`; an object empty on both sides of a frame counts 1 there.

    Void pixels of the truth are background. With one object this is the protocol of DAVIS 2016.
    """
    ids = list(range(1, objects + 1))
    rows = []
    for truth, prediction in frames:
        rows.append(object_scores(truth, prediction, ids, boundary_radius(truth.shape)))
    scores = np.array(rows, np.float64).reshape(-1, 2, objects)
    return [ObjectScores(i, i, scores[:, 0, i - 1], scores[:, 1, i - 1]) for i in ids]


def youtube_vos(frames: Frames) -> list[ObjectScores]:
    """Scores every object of the truth from where its id first occurs on either side to the end.

    Void pixels are background on both sides. Ids that the truth never has cost nothing.
    """
    rows: dict[int, list[tuple[float, float]]] = {}
    true_ids: set[int] = set()
    for truth, prediction in frames:
        there = object_ids(truth)
        true_ids.update(there)
        for object_id in {*there, *object_ids(prediction)} - set(rows):
            rows[object_id] = []
        scores = object_scores(truth, prediction, list(rows), boundary_radius(truth.shape))
        for row, pair in zip(rows.values(), zip(*scores, strict=True), strict=True):
            row.append(pair)
    return [
        ObjectScores(i, i, *np.array(rows[i], np.float64).reshape(-1, 2).T)
        for i in sorted(true_ids)
    ]
