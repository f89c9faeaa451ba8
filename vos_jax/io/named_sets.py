"""The benchmarks that commands know by name: which layout, year, split and protocol each is."""

import dataclasses
from pathlib import Path

from vos_jax.core.errors import ConfigError
from vos_jax.io.layouts import Sequence, davis, davis_like, youtube_vos
from vos_jax.io.youtube_vis import youtube_vis


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """A benchmark.

    Attributes:
        layout: davis, youtube_vos, youtube_vis or davis_like.
        split: the part of the data set; empty for davis_like.
        protocol: how its results are scored: semi_supervised, single_object, unsupervised,
            youtube_vos or youtube_vis.
        root: where its files are looked for unless the user says otherwise.
        year: 2016 or 2017 (davis).
    """

    layout: str
    split: str
    protocol: str
    root: str
    year: int = 2017


PROMPTLESS = ("unsupervised", "youtube_vis")
"""Protocols of the benchmarks that give no masks to start from."""

NAMED_SETS = {
    "davis_val": NamedSet("davis", "val", "semi_supervised", "data/DAVIS"),
    "davis_train": NamedSet("davis", "train", "semi_supervised", "data/DAVIS"),
    "davis_testdev": NamedSet("davis", "test-dev", "semi_supervised", "data/DAVIS"),
    "davis2016_val": NamedSet("davis", "val", "single_object", "data/DAVIS", 2016),
    "davis2016_train": NamedSet("davis", "train", "single_object", "data/DAVIS", 2016),
    "davis_unsupervised": NamedSet("davis", "val", "unsupervised", "data/DAVIS"),
    "davis_unsupervised_testdev": NamedSet("davis", "test-dev", "unsupervised", "data/DAVIS"),
    "youtube_vos": NamedSet("youtube_vos", "valid", "youtube_vos", "data/YouTubeVOS"),
    "ytvis19_val": NamedSet("youtube_vis", "valid", "youtube_vis", "data/YouTubeVIS2019"),
    "ytvis21_val": NamedSet("youtube_vis", "valid", "youtube_vis", "data/YouTubeVIS2021"),
    "davis_like": NamedSet("davis_like", "", "semi_supervised", "data"),
}


def named_set(name: str) -> NamedSet:
    """Looks a benchmark up.

    Raises:
        ConfigError: there is none of this name; lists those there are.
    """
    if name not in NAMED_SETS:
        raise ConfigError(f"no data set {name!r}; choose from {', '.join(NAMED_SETS)}")
    return NAMED_SETS[name]


def list_sequences(
    name: str,
    root: str | Path | None = None,
    *,
    resolution: str = "480p",
    annotations: str | None = None,
    images: bool = True,
    all_frames: bool = False,
    skip_missing: bool = False,
) -> list[Sequence]:
    """Lists the sequences of a benchmark.

    Args:
        name: one of `NAMED_SETS`.
        root: the official folder; None takes the benchmark's own.
        resolution: of DAVIS, see `davis`.
        annotations: folder of the masks of DAVIS if it is called otherwise.
        images: False lists the masks alone.
        all_frames: of YouTube-VOS, see `youtube_vos`.
        skip_missing: leave out listed sequences that are not on disk.

    Raises:
        ConfigError: an unknown benchmark.
        MissingInputError: a folder, list or frame is missing; names it.
    """
    chosen = named_set(name)
    root = Path(root or chosen.root)
    if chosen.layout == "davis":
        return davis(
            root,
            chosen.year,
            chosen.split,
            resolution=resolution,
            unsupervised=chosen.protocol == "unsupervised",
            annotations=annotations,
            images=images,
            skip_missing=skip_missing,
        )
    if chosen.layout == "youtube_vos":
        return youtube_vos(
            root, chosen.split, all_frames=all_frames, images=images, skip_missing=skip_missing
        )
    if chosen.layout == "youtube_vis":
        return youtube_vis(root, chosen.split, skip_missing=skip_missing)
    return davis_like(root, images=images)
