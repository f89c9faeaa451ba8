"""Mean, recall and decay of a row of per-frame scores, as the DAVIS toolkit has them.

Agrees with davisvideochallenge/davis2017-evaluation, davis2017/utils.py, except that the edges of
its bins are kept in 8 bits and overflow from 256 frames on.
"""

from typing import NamedTuple

import numpy as np

RECALL_THRESHOLD = 0.5
BINS = 4


class Statistics(NamedTuple):
    """Mean, recall and decay of one measure of one object."""

    mean: float
    recall: float
    decay: float


def row_statistics(scores: np.ndarray) -> Statistics:
    """Sums up a row of scores, one per frame.

    Args:
        scores: float64 [t], NaN where there is no value.

    Returns:
        The mean, NaN left out; the share of frames above 0.5, where NaN is not above; the mean of
        the first quarter minus that of the last, NaN left out, neighbouring quarters sharing a
        frame.
    """
    scores = np.asarray(scores, np.float64)
    edges = np.round(np.linspace(1, len(scores), BINS + 1) + 1e-10).astype(np.int64) - 1
    first, last = scores[: edges[1] + 1], scores[edges[-2] :]
    recall = float(np.mean(scores > RECALL_THRESHOLD)) if len(scores) else np.nan
    return Statistics(_mean(scores), recall, _mean(first) - _mean(last))


def _mean(scores: np.ndarray) -> float:
    there = scores[~np.isnan(scores)]
    return float(there.mean()) if len(there) else np.nan
