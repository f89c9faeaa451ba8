"""The recorded metric cases, computed by our metrics, readers and scoring."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.parity.case import Case
from vos_jax.core.labels import VOID
from vos_jax.io.images import read_mask
from vos_jax.io.layouts import Sequence, davis, youtube_vos
from vos_jax.metrics.categories import group_scores
from vos_jax.metrics.proposals import unsupervised
from vos_jax.metrics.region_boundary import (
    TOLERANCE,
    boundary_map,
    boundary_match,
    boundary_radius,
    region_similarity,
)
from vos_jax.metrics.report import summarise
from vos_jax.metrics.statistics import row_statistics
from vos_jax.metrics.video_objects import ObjectScores, semi_supervised
from vos_jax.scoring import score_sequences

COUNTS = ("bound_pix", "n_fg", "n_gt", "fg_match", "gt_match")
QUOTIENTS = ("J", "F", "precision", "recall")
MODES = {"skip_first_last": True, "all_frames": False}
Outputs = dict[str, np.ndarray]


def single_frames(case: Case, _: Path) -> Outputs:
    """Kinds frames and edge: J, F, boundary maps and counts of pairs of binary masks.

    The recorded precision and recall are bare shares, 0 where a boundary is empty.
    """
    outputs, rows = {}, []
    for frame in case.config["frames"]:
        name = frame["name"]
        truth, prediction = (case.inputs[f"{side}.{name}"] for side in ("gt", "pred"))
        if f"void.{name}" in case.inputs:
            keep = case.inputs[f"void.{name}"] == 0
            truth, prediction = truth * keep, prediction * keep
        tolerance = frame.get("bound_th", case.config.get("bound_th", TOLERANCE))
        radius = boundary_radius(truth.shape, tolerance)
        match = boundary_match(truth, prediction, radius)
        rows.append([region_similarity(truth, prediction), match.accuracy])
        outputs[f"counts.{name}"] = np.array([radius, *match])
        shares = (
            match.predicted_near_true / max(match.predicted, 1),
            match.true_near_predicted / max(match.true, 1),
        )
        values = (*rows[-1], *shares)
        outputs |= {f"{q}.{name}": v for q, v in zip(QUOTIENTS, values, strict=True)}
        for side, mask in (("gt", truth), ("pred", prediction)):
            outputs[f"bmap_{side}.{name}"] = np.packbits(boundary_map(mask), axis=1)
    return outputs | dict(zip("JF", np.array(rows).T, strict=True))


def single_frames_expected(content: dict) -> Outputs:
    """The counts and quotients that stand in the JSON file."""
    frames = content["config"]["frames"]
    counts = {f"counts.{f['name']}": np.array([f[c] for c in COUNTS]) for f in frames}
    return counts | {f"{q}.{f['name']}": f[q] for f in frames for q in QUOTIENTS if q in f}


def statistics(case: Case, _: Path) -> Outputs:
    """Kind statistics: mean, recall and decay of rows."""
    outputs = {}
    for row in case.config["rows"]:
        mean, recall, decay = row_statistics(case.inputs[f"x.{row['name']}"])
        outputs |= {f"mean.{row['name']}": mean, f"recall.{row['name']}": recall}
        outputs[f"decay.{row['name']}"] = decay
    return outputs


def statistics_expected(content: dict) -> Outputs:
    """All numbers except the decays that overflowed."""
    return {
        f"{what}.{row['name']}": row[what]
        for row in content["config"]["rows"]
        for what in ("mean", "recall", "decay")
        if not (what == "decay" and row["uint8_wraparound"])
    }


def semi_supervised_folder(case: Case, _: Path) -> Outputs:
    """Kind semi_supervised: both DAVIS tables, and the rows of the second tool."""
    sequences, results = _davis(case)
    videos = score_sequences(sequences, results, "semi_supervised", processes=1)
    outputs = _rows(videos) | _davis_statistics(videos)
    for mode, skip in MODES.items():
        videos = score_sequences(sequences, results, "youtube_vos", skip_ends=skip, processes=1)
        means = {f"{n}.{s.object_id}": _percent(s) for n, video in videos.items() for s in video}
        outputs[f"vos_benchmark.{mode}"] = np.mean(list(means.values()), axis=0)
        outputs |= {f"vos_benchmark.{mode}.{name}": value for name, value in means.items()}
    return outputs


def semi_supervised_expected(content: dict) -> Outputs:
    """Statistics per object and overall, and the second tool's scores."""
    expected = _davis_expected(content["config"], "per_object_mean_recall_decay")
    for mode, scores in content["config"]["vos_benchmark_percent"].items():
        expected[f"vos_benchmark.{mode}"] = [scores["J"], scores["F"]]
        for name, objects in scores["objects"].items():
            for object_id, values in objects.items():
                expected[f"vos_benchmark.{mode}.{name}.{object_id}"] = values
    return expected


def unsupervised_folder(case: Case, _: Path) -> Outputs:
    """Kind unsupervised: matched pairs, their rows and statistics, the matching scores."""
    sequences, results = _davis(case, unsupervised=True)
    outputs, videos = {}, {}
    for sequence in sequences:
        first = read_mask(sequence.annotations[0])
        objects = int(first[first != VOID].max())
        frames = _frames(sequence, results)
        pairs, matrix = unsupervised(frames, objects, case.config["max_proposals"])
        videos[sequence.name] = pairs
        outputs[f"score_matrix.{sequence.name}"] = matrix
        outputs[f"pairs.{sequence.name}"] = [[s.proposal, s.object_id] for s in pairs]
    return outputs | _rows(videos) | _davis_statistics(videos)


def unsupervised_expected(content: dict) -> Outputs:
    """Pairs, statistics per row and overall."""
    pairs = content["config"]["matched_pairs_proposal_object"]
    expected = {f"pairs.{name}": value for name, value in pairs.items()}
    return expected | _davis_expected(content["config"], "per_row_mean_recall_decay")


def youtube_vos_folder(case: Case, _: Path) -> Outputs:
    """Kind youtube_vos: rows per object, scores per object and per group."""
    folder = case.path.with_suffix("")
    sequences = youtube_vos(folder / "gt", images=False)
    categories = {sequence.name: sequence.categories for sequence in sequences}
    every = {category for video in categories.values() for category in video.values()}
    seen = frozenset(every - set(case.config["unseen_categories"]))
    outputs = {}
    for mode, skip in MODES.items():
        videos = score_sequences(
            sequences, folder / "pred", "youtube_vos", skip_ends=skip, processes=1
        )
        groups = group_scores(videos, categories, seen)
        outputs |= {f"{mode}.{name}": 100 * value for name, value in groups.items()}
        for name, video in videos.items():
            for s in video:
                outputs[f"{mode}.{name}/{s.object_id}"] = [*_percent(s), len(s.j)]
                outputs |= {f"J.{name}.{s.object_id}": s.j, f"F.{name}.{s.object_id}": s.f}
    return outputs


def youtube_vos_expected(content: dict) -> Outputs:
    """Scores of the groups and of every object, with the number of frames counted."""
    expected = {}
    for mode, results in content["config"]["results"].items():
        expected |= {f"{mode}.{name}": value for name, value in results["scores"].items()}
        for name, values in results["objects"].items():
            expected[f"{mode}.{name}"] = [values["J"], values["F"], values["frames_counted"]]
    return expected


def davis2016_sequences(case: Case, data_dir: Path) -> Outputs:
    """Kind davis2016_sequences: recorded predictions, and the first mask kept."""
    outputs: Outputs = {}
    groups: dict[str, list] = {}
    root = data_dir / "davis2016_val_part"
    truths = {s.name: s.annotations for s in davis(root, 2016, "val", images=False)}
    for wanted in case.outputs_wanted:
        group, _, name = wanted.partition("/")
        if name not in truths:
            continue
        truth = [read_mask(path, binary=True) for path in truths[name]]
        prediction = [truth[0]] * len(truth)
        if group == "osvos_union":
            packed = case.inputs[f"pred.{name}"]
            prediction = np.unpackbits(packed, axis=2)[..., : truth[0].shape[1]]
        pairs = list(zip(truth, prediction, strict=True))[1:-1]
        (scores,) = semi_supervised(pairs, objects=1)
        groups.setdefault(group, []).append(_statistics(scores))
        outputs[wanted] = groups[group][-1]
        if group == "osvos_union":
            outputs |= {f"J.{name}": scores.j, f"F.{name}": scores.f}
    for group, values in groups.items():
        outputs |= _overall(f"{group}_mean", np.mean(values, axis=0))
    return outputs


def davis2016_expected(content: dict) -> Outputs:
    """Statistics per sequence and their means, for both predictors."""
    expected = {}
    for group in ("osvos_union", "first_mask_copied"):
        for name, values in content["config"][group].items():
            expected[f"{group}/{name}"] = [values["J"], values["F"]]
        means = content["config"][f"{group}_mean"]
        expected |= {f"{group}_mean": [means["J"], means["F"]]}
        expected[f"{group}_mean.J&F"] = means["J&F"]
    return expected


def _davis(case: Case, unsupervised: bool = False) -> tuple[list[Sequence], Path]:
    folder = case.path.with_suffix("")
    (listed,) = (folder / "gt/ImageSets/2017").glob("*.txt")
    options = {"unsupervised": unsupervised, "images": False}
    return davis(folder / "gt", 2017, listed.stem, **options), folder / "pred"


def _frames(sequence: Sequence, results: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for path in sequence.annotations:
        yield read_mask(path), read_mask(results / sequence.name / path.name)


def _rows(videos: dict[str, list[ObjectScores]]) -> Outputs:
    rows = {f"J.{name}": np.stack([s.j for s in video]) for name, video in videos.items()}
    return rows | {f"F.{name}": np.stack([s.f for s in video]) for name, video in videos.items()}


def _davis_statistics(videos: dict[str, list[ObjectScores]]) -> Outputs:
    each = {f"{n}_{s.number}": _statistics(s) for n, video in videos.items() for s in video}
    summary = summarise(videos)
    return each | _overall("global", np.array([summary.j, summary.f]), summary.jf)


def _davis_expected(config: dict, each: str) -> Outputs:
    expected = {name: [values["J"], values["F"]] for name, values in config[each].items()}
    overall = config["global_mean_recall_decay"]
    return expected | {"global": [overall["J"], overall["F"]], "global.J&F": overall["J&F"]}


def _overall(name: str, values: np.ndarray, jf: float | None = None) -> Outputs:
    return {name: values, f"{name}.J&F": values[:, 0].mean() if jf is None else jf}


def _statistics(scores: ObjectScores) -> np.ndarray:
    return np.array([row_statistics(scores.j), row_statistics(scores.f)])


def _percent(scores: ObjectScores) -> np.ndarray:
    return 100 * _statistics(scores)[:, 0]


ADAPTERS = {
    "metrics/frames": single_frames,
    "metrics/edge": single_frames,
    "metrics/statistics": statistics,
    "metrics/semi_supervised": semi_supervised_folder,
    "metrics/unsupervised": unsupervised_folder,
    "metrics/youtube_vos": youtube_vos_folder,
    "metrics/davis2016_sequences": davis2016_sequences,
}

EXPECTED = {
    "metrics/frames": single_frames_expected,
    "metrics/edge": single_frames_expected,
    "metrics/statistics": statistics_expected,
    "metrics/semi_supervised": semi_supervised_expected,
    "metrics/unsupervised": unsupervised_expected,
    "metrics/youtube_vos": youtube_vos_expected,
    "metrics/davis2016_sequences": davis2016_expected,
}

RESULT_KEYS = {
    "metrics/frames": (*COUNTS, *QUOTIENTS),
    "metrics/edge": (*COUNTS, *QUOTIENTS),
    "metrics/statistics": ("mean", "recall", "decay"),
    "metrics/semi_supervised": (
        "per_object_mean_recall_decay",
        "global_mean_recall_decay",
        "vos_benchmark_percent",
    ),
    "metrics/unsupervised": (
        "matched_pairs_proposal_object",
        "per_row_mean_recall_decay",
        "global_mean_recall_decay",
    ),
    "metrics/youtube_vos": ("results",),
    "metrics/davis2016_sequences": (
        "osvos_union",
        "first_mask_copied",
        "osvos_union_mean",
        "first_mask_copied_mean",
    ),
}
