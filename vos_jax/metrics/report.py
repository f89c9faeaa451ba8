"""From the scores of objects to the official tables and to what the terminal shows.

The two CSV tables and scores.txt have the text that davisvideochallenge/davis2017-evaluation
writes.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from vos_jax.metrics.statistics import Statistics, row_statistics
from vos_jax.metrics.video_objects import ObjectScores
from vos_jax.metrics.video_precision import Precision

Videos = Mapping[str, Sequence[ObjectScores]]
"""The objects of each video, by the video's name, in the order of the tables."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """Scores averaged over all objects of all videos.

    Attributes:
        j: mean, recall and decay of region similarity.
        f: the same of boundary accuracy.
    """

    j: Statistics
    f: Statistics

    @property
    def jf(self) -> float:
        """J&F-Mean: the mean of the means of J and F."""
        return (self.j.mean + self.f.mean) / 2


def summarise(videos: Videos) -> Summary:
    """Averages mean, recall and decay over all objects, not over videos."""
    objects = [scores for video in videos.values() for scores in video]
    return Summary(_averaged([s.j for s in objects]), _averaged([s.f for s in objects]))


def global_table(summary: Summary) -> str:
    """The text of global_results-<set>.csv."""
    names = [f"{m}-{s}" for m in "JF" for s in ("Mean", "Recall", "Decay")]
    values = [summary.jf, *summary.j, *summary.f]
    return ",".join(["J&F-Mean", *names]) + "\n" + ",".join(map(_three, values)) + "\n"


def sequence_table(videos: Videos) -> str:
    """The text of per-sequence_results-<set>.csv."""
    lines = [f"{name},{_three(j)},{_three(f)}" for name, j, f in _object_means(videos)]
    return "\n".join(["Sequence,J-Mean,F-Mean", *lines]) + "\n"


def scores_text(summary: Summary) -> str:
    """The text of the scoring server's scores.txt."""
    lines = [f"GlobalMean: {summary.jf:.6f}"]
    for measure, values in (("J", summary.j), ("F", summary.f)):
        lines += [
            f"{measure}{name}: {value:.6f}"
            for name, value in zip(("Mean", "Recall", "Decay"), values, strict=True)
        ]
    return "\n".join(lines) + "\n"


def matches_table(videos: Videos) -> str:
    """Which proposal and object each row of the unsupervised tables is about, as CSV text."""
    lines = [
        f"{name}_{scores.number},{scores.proposal},{scores.object_id}"
        for name, video in videos.items()
        for scores in video
    ]
    return "\n".join(["Sequence,Proposal,Object", *lines]) + "\n"


def group_table(scores: Mapping[str, float]) -> str:
    """The scores of `group_scores` in percent, as CSV text."""
    numbers = ["" if math.isnan(value) else f"{100 * value:.3f}" for value in scores.values()]
    return ",".join(scores) + "\n" + ",".join(numbers) + "\n"


def precision_table(scores: Precision, names: Mapping[int, str]) -> str:
    """The twelve numbers over all classes and of each, as CSV text; none where none applies."""
    rows = {"all": scores.statistics()}
    rows |= {names[number]: scores.statistics(number) for number in scores.categories}
    lines = [",".join(["class", *rows["all"]])]
    for name, numbers in rows.items():
        known = (math.nan if value < 0 else value for value in numbers.values())
        lines.append(",".join([name, *map(_three, known)]))
    return "\n".join(lines) + "\n"


def shown_table(videos: Videos) -> str:
    """The table for the terminal: a line per object and the means over all, in percent."""
    rows = [(name, j, f) for name, j, f in _object_means(videos)]
    means = np.mean([row[1:] for row in rows], axis=0)
    width = max(len("all objects"), *(len(row[0]) for row in rows))
    header = f"{'object':<{width}} {'J&F':>6} {'J':>6} {'F':>6}"
    lines = [
        f"{name:<{width}} {50 * (j + f):6.1f} {100 * j:6.1f} {100 * f:6.1f}" for name, j, f in rows
    ]
    total = f"{'all objects':<{width}} {50 * means.sum():6.1f} {100 * means[0]:6.1f} "
    rule = "-" * len(header)
    return "\n".join([header, rule, *lines, rule, total + f"{100 * means[1]:6.1f}"])


def _averaged(rows: Sequence[np.ndarray]) -> Statistics:
    columns = zip(*map(row_statistics, rows), strict=True)
    return Statistics(*(float(np.mean(column)) for column in columns))


def _object_means(videos: Videos) -> list[tuple[str, float, float]]:
    return [
        (
            f"{name}_{scores.number}",
            row_statistics(scores.j).mean,
            row_statistics(scores.f).mean,
        )
        for name, video in videos.items()
        for scores in video
    ]


def _three(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
