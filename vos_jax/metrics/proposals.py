"""Scores of unordered proposals of one video, matched to its objects (DAVIS unsupervised).

Agrees with davisvideochallenge/davis2017-evaluation, davis2017/evaluation.py.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from vos_jax.core.labels import VOID
from vos_jax.metrics.region_boundary import boundary_radius, pair_scores
from vos_jax.metrics.video_objects import Frames, ObjectScores

MOST_PROPOSALS = 20


def unsupervised(
    frames: Frames, objects: int, most: int = MOST_PROPOSALS
) -> tuple[list[ObjectScores], np.ndarray]:
    """Scores objects 1 to `objects` by the proposals that fit them best, one to one.

    Void pixels of the truth are ignored.

    Args:
        frames: truth and proposals, the latter numbered 1 to `most`.
        objects: number of objects.
        most: number of proposals there may be; those that never show count only as padding.

    Returns:
        The matched pairs by rising number of the proposal, which the tables number from 1, and the
        scores that were matched, float64 [proposals, objects]: the mean of J and F over the frames.
    """
    rows, highest = [], 0
    for truth, proposals in frames:
        void = truth == VOID
        truth, proposals = np.where(void, 0, truth), np.where(void, 0, proposals)
        radius = boundary_radius(truth.shape)
        rows.append(pair_scores(truth, proposals, objects, max(most, objects), radius))
        highest = max(highest, int(proposals.max(initial=0)))
    scores = np.array(rows, np.float64)[:, :, : max(highest, objects)]
    matrix = scores.mean(axis=(0, 1))
    pairs = np.stack(linear_sum_assignment(-matrix), axis=1)
    matched = [
        ObjectScores(row, int(i) + 1, scores[:, 0, p, i], scores[:, 1, p, i], int(p) + 1)
        for row, (p, i) in enumerate(pairs, start=1)
    ]
    return matched, matrix
