"""Seen and unseen categories of YouTube-VOS and the scores of the two groups."""

import math
from collections.abc import Mapping

import numpy as np

from vos_jax.core.errors import AnnotationError
from vos_jax.metrics.report import Videos
from vos_jax.metrics.statistics import row_statistics

TRAINING_CATEGORIES = frozenset(
    """
    airplane ape bear bike bird boat bucket bus camel cat cow crocodile deer dog dolphin duck eagle
    earless_seal elephant fish fox frisbee frog giant_panda giraffe hand hat hedgehog horse knife
    leopard lion lizard monkey motorbike mouse others owl paddle parachute parrot penguin person
    plant rabbit raccoon sedan shark sheep sign skateboard snail snake snowboard squirrel surfboard
    tennis_racket tiger toilet train truck turtle umbrella whale zebra
    """.split()
)
"""The 65 categories of the YouTube-VOS training set; every other one is unseen."""


def group_scores(
    videos: Videos, categories: Mapping[str, Mapping[int, str]], seen: frozenset[str]
) -> dict[str, float]:
    """Scores of objects of seen and of unseen categories, as the YouTube-VOS board has them.

    Args:
        videos: the scored objects.
        categories: category by object id, by name of the video.
        seen: the categories of the training set.

    Returns:
        J_seen, J_unseen, F_seen, F_unseen and overall, in 0 to 1: a group's score is the mean over
        its objects, NaN where it has none; overall is the mean of those that are not NaN.

    Raises:
        AnnotationError: an object has no category.
    """
    values: dict[str, list[float]] = {f"{m}_{g}": [] for m in "JF" for g in ("seen", "unseen")}
    for name, video in videos.items():
        strange = [s.object_id for s in video if s.object_id not in categories[name]]
        if strange:
            raise AnnotationError(
                f"{name}: objects {strange} have no category; add them to meta.json"
            )
        for scores in video:
            group = "seen" if categories[name][scores.object_id] in seen else "unseen"
            values[f"J_{group}"].append(row_statistics(scores.j).mean)
            values[f"F_{group}"].append(row_statistics(scores.f).mean)
    means = {name: float(np.mean(rows)) if rows else math.nan for name, rows in values.items()}
    return means | {"overall": float(np.nanmean(list(means.values())))}
