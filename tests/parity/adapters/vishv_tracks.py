"""Adapters of what follows VIShv's network: clustering, windows and linking."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.core.resize import resize
from vos_jax.inference.instances import MaskSpool, decoded, rank_labels, ranked
from vos_jax.io.youtube_vis import read_vis, read_vis_results
from vos_jax.metrics.video_precision import Instance, track_iou, video_precision
from vos_jax.systems.tracks import OUTLIER, Rules, TrackBook, class_sums, cluster, match
from vos_jax.systems.windows import windows

ABOVE = "stats_of_detections_scoring_above_"
OVERLAPS = {"davis": 6, "ytvis": 4, "kittimots": 4}


def clustering(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Labels of points, and centre and standard deviation of every cluster."""
    given = case.inputs
    shape = given["embeddings"].shape[:1]
    clusters = cluster(
        *(given[name] for name in ("embeddings", "bandwidths")),
        given["seediness"][:, 0],
        np.ones(shape, bool),
        _rules(case.config),
    )
    start, found = case.config["cluster_label_start"], int(clusters.found)
    labels = np.asarray(clusters.labels)
    return {
        "labels": np.where(labels > 0, labels - 1 + start, OUTLIER),
        "centers": np.asarray(clusters.centres)[:found],
        "stds": np.asarray(clusters.stds)[:found],
        "instance_labels": start + np.arange(found),
    }


def association(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The assignment of the labels of one window to those of the one before."""
    names = ("labels_previous", "labels_current")
    pairs, costs = match(*(case.inputs[name] for name in names))
    return {"pairs": np.asarray(pairs).reshape(-1, 2), "costs": costs}


def chaining(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Tracks of a video from the labels of each window."""
    given = case.inputs
    foreground = given["fg"]
    numbers = range(len(case.config["clips"]))
    clips = [(given[f"clip{n}.frames"], given[f"clip{n}.labels"]) for n in numbers]
    return _linked(clips, foreground)


def clustering_and_chaining(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Tracks of a video from the maps of each window."""
    clips, config = [], case.config
    foreground = case.inputs["fg"]
    for n in range(len(config["clips"])):
        frames = case.inputs[f"clip{n}.frames"]
        maps = [case.inputs[f"clip{n}.{m}"] for m in ("embeddings", "bandwidths", "seediness")]
        size = foreground.shape[1:]
        maps = [resize(jnp.moveaxis(jnp.asarray(m), 0, -1), size) for m in maps]
        points = [m.reshape(-1, m.shape[-1]) for m in maps]
        inside = foreground[frames] > 0
        found = cluster(*points[:2], points[2][:, 0], inside.ravel(), _rules(config))
        clips.append((frames, np.asarray(found.labels).reshape(inside.shape)))
    return _linked(clips, foreground)


def schedule(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The frames of every window of videos of several lengths, and which only fill it up."""
    found = {}
    for number, row in enumerate(case.json["rows"]):
        overlap = row["frame_overlap_argument"]
        overlap = OVERLAPS[row["dataset"]] if overlap <= 0 else overlap
        length, size = row["sequence_length"], row["clip_length"]
        clips = windows(length, size, overlap)
        found[f"clips_{number}"] = np.asarray(clips)
        found[f"padded_{number}"] = np.arange(size) < size - length
    return found


def recorded_schedule(content: dict) -> dict[str, np.ndarray]:
    """The windows as the case lists them; no `padded` means that no frame is."""
    found = {}
    for number, row in enumerate(content["rows"]):
        found[f"clips_{number}"] = np.asarray(row["clips"])
        found[f"padded_{number}"] = np.asarray(row["padded"] or [False] * row["clip_length"])
    return found


def outputs(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Which tracks are kept, their masks or label maps, scores and classes."""
    given, config = case.inputs, case.config
    tracks, size = given["tracks"], tuple(config["image_size"])
    geometry = Geometry(size, tuple(config["resized"]), tuple(config["padded"]))
    sums = None
    if "category_logits" in given:
        logits = np.moveaxis(given["category_logits"], 1, -1)[..., 1:]
        points = logits.reshape(len(tracks), -1, logits.shape[-1])
        sums = np.asarray(class_sums(tracks.reshape(len(tracks), -1), points, tracks.max()))
    book = TrackBook()
    book.add(range(len(tracks)), tracks, sums)
    kept = ranked(book, config["max_tracks"])
    with MaskSpool(geometry) as spool:
        for ids in tracks:
            spool.add(ids)
    codes = list(spool.frames(kept))
    return {
        "kept_ids": np.asarray([instance.track for instance in kept]),
        "masks": np.stack([decoded(frame, size) for frame in codes], axis=1).astype(np.uint8),
        "labels": np.stack([rank_labels(frame, size) for frame in codes]),
        "scores": np.asarray([instance.score for instance in kept]),
        "categories": np.asarray([instance.category for instance in kept]),
        "palette": DAVIS_PALETTE[:20].ravel(),
    }


def precision(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The twelve statistics, those of each class, IoUs and areas, and without low scores."""
    truth = read_vis(case.path.with_suffix(".ground_truth.json"))
    results = read_vis_results(case.path.with_suffix(".results.json"), truth)
    true, found = ([Instance.of(e) for e in each] for each in (truth.annotations, results))
    curves = video_precision(true, found, truth.categories)
    outputs = {f"area_{e['id']}": i.area for e, i in zip(truth.annotations, true, strict=True)}
    for name in case.outputs_wanted:
        kind, *rest = name.split("_", 1)
        if kind == "ious":
            key = tuple(map(int, rest[0].split(",")))
            these, those = ([i for i in e if (i.video, i.category) == key] for e in (found, true))
            outputs[name] = track_iou(sorted(these, key=lambda i: -i.score), those)
        elif kind == "class":
            category, statistic = rest[0].split("_", 1)
            outputs[name] = curves.statistics(int(category))[statistic]
        elif kind == "above":
            least, statistic = rest[0].split("_", 1)
            above = [instance for instance in found if instance.score > float(least)]
            outputs[name] = video_precision(true, above, truth.categories).statistics()[statistic]
    return outputs | {f"stats_{name}": value for name, value in curves.statistics().items()}


def recorded_precision(content: dict) -> dict[str, np.ndarray]:
    """The numbers of a case: -1 where a class has none."""
    found = {f"stats_{name}": value for name, value in content["stats"].items()}
    for category, numbers in content["per_category"].items():
        known = {name: -1 if value is None else value for name, value in numbers.items()}
        found |= {f"class_{category}_{name}": value for name, value in known.items()}
    for key, rows in content["ious"].items():
        found[f"ious_{key}"] = np.asarray(rows, float)
    found |= {f"area_{i}": value for i, value in content["ground_truth_average_area"].items()}
    for key, numbers in content.items():
        if key.startswith(ABOVE):
            least = key.removeprefix(ABOVE)
            found |= {f"above_{least}_{name}": value for name, value in numbers.items()}
    return found


def _rules(config: dict) -> Rules:
    return Rules(
        min_seediness=config.get("min_seediness_prob", config.get("min_seediness")),
        primary=config.get("primary_prob_threshold", config.get("primary")),
        secondary=config.get("secondary_prob_threshold", config.get("secondary")),
        max_clusters=config["max_instances"],
        free_stds=tuple(config["free_dim_stds"]),
    )


def _linked(clips, foreground: np.ndarray) -> dict[str, np.ndarray]:
    book, tracks = TrackBook(), np.zeros(foreground.shape, np.int32)
    for frames, labels in clips:
        for frame, ids in book.add(frames.tolist(), labels).items():
            tracks[frame] = ids
    counts = {i: track.points for i, track in book.tracks.items()}
    lifetimes = {i: track.last - track.first for i, track in book.tracks.items()}
    outliers = tracks == OUTLIER
    if outliers.any():
        there = np.flatnonzero(outliers.any((1, 2)))
        counts[OUTLIER], lifetimes[OUTLIER] = outliers.sum(), there[-1] - there[0]
    ids = sorted(counts)
    return {
        "tracks": tracks,
        "ids": np.asarray(ids),
        "counts": np.asarray([counts[i] for i in ids]),
        "lifetimes": np.asarray([lifetimes[i] for i in ids]),
    }


ADAPTERS = {
    "vishv/clustering": clustering,
    "vishv/associate_clusters": association,
    "vishv/chain_tracks": chaining,
    "vishv/cluster_and_chain": clustering_and_chaining,
    "vishv/clip_schedule": schedule,
    "vishv/davis_output": outputs,
    "vishv/video_ap": precision,
    "vishv/ytvis_output": outputs,
}
EXPECTED = {"vishv/clip_schedule": recorded_schedule, "vishv/video_ap": recorded_precision}
RESULT_KEYS = {
    "vishv/clip_schedule": ("clips", "padded"),
    "vishv/video_ap": ("stats", "per_category", "ious", "ground_truth_average_area", f"{ABOVE}0.4"),
}
