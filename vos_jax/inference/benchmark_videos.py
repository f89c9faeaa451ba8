"""The videos of a benchmark with their prompts, from an official folder or a prepared set."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.core.labels import VOID
from vos_jax.data.planes import frame_labels
from vos_jax.data.records import INFO_FILE, RecordSet
from vos_jax.io.images import decode_image, read_image, read_mask
from vos_jax.io.layouts import MOST_NAMED, Sequence
from vos_jax.io.named_sets import (
    NAMED_SETS,
    PROMPTLESS,
    NamedSet,
    list_sequences,
    named_set,
)


@dataclasses.dataclass(frozen=True)
class BenchmarkVideo:
    """One video of a benchmark, from its first mask on; files are read when they are asked for.

    Attributes:
        name: of the video.
        length: number of frames.
        frames: yields name and pixels of each frame; pixels only of some, if it is given numbers.
        prompts: reads the label maps that are given, by frame number.
        listed: names by number of the frames that an upload must hold; None if nothing says.
        wanted: names by number of the frames whose results are wanted; None is all.
    """

    name: str
    length: int
    frames: Callable[..., Iterator[tuple[str, np.ndarray | None]]]
    prompts: Callable[[], dict[int, np.ndarray]]
    listed: Mapping[int, str] | None = None
    wanted: Mapping[int, str] | None = None


def benchmark_videos(
    dataset: str,
    root: str | Path | None = None,
    *,
    resolution: str = "480p",
    all_frames: bool = False,
    prompted: bool = True,
) -> list[BenchmarkVideo]:
    """Lists the videos of a benchmark.

    DAVIS gives the first annotated frame; YouTube-VOS and others every annotation there is.
    Frames before the first are left out, as in the official programs: nothing is known there.

    Args:
        dataset: one of `NAMED_SETS`.
        root: official folder, or prepared set (it has `dataset_info.json`); None takes the
            benchmark's usual place.
        resolution: of DAVIS.
        all_frames: of YouTube-VOS, see `io.layouts.youtube_vos_folders`.
        prompted: False for a system that finds objects itself: every frame, and no prompts.

    Raises:
        ConfigError: an unknown benchmark, one without prompts that are needed, or without further
            frames.
        MissingInputError: files are missing; names them.
    """
    chosen = named_set(dataset)
    if prompted and chosen.protocol in PROMPTLESS:
        raise ConfigError(f"{dataset} gives no masks to start from; choose from {PROMPTED}")
    root = Path(root or chosen.root)
    recorded = (root / INFO_FILE).is_file()
    if all_frames and (recorded or chosen.layout != "youtube_vos"):
        raise ConfigError(f"{dataset} of {root} has no further frames: leave out --all_frames")
    if recorded:
        records = RecordSet(root, chosen.split or "train")
        numbers = range(len(records.videos))
        return [_recorded(records, number, chosen, prompted) for number in numbers]
    sequences = list_sequences(dataset, root, resolution=resolution, all_frames=all_frames)
    return [_official(sequence, chosen, prompted) for sequence in sequences]


def named_only(videos: list[BenchmarkVideo], names: Collection[str]) -> list[BenchmarkVideo]:
    """The videos of these names.

    Raises:
        ConfigError: there is none of one of them.
    """
    unknown = sorted(set(names) - {video.name for video in videos})
    if unknown:
        there = ", ".join(video.name for video in videos[:MOST_NAMED])
        raise ConfigError(f"--seqs {' '.join(unknown)}: no such video; there are {there}, ...")
    return [video for video in videos if video.name in names]


def listed_only(videos: list[BenchmarkVideo]) -> list[BenchmarkVideo]:
    """The videos of which only the results are wanted that an upload must hold.

    Raises:
        ConfigError: nothing says which these are.
    """
    for video in videos:
        if video.listed is None:
            raise ConfigError(
                f"{video.name}: nothing says which frames an upload must hold, as the meta.json of "
                "an official YouTube-VOS folder does; leave out --required_only"
            )
    return [dataclasses.replace(video, wanted=video.listed) for video in videos]


PROMPTED = tuple(n for n, entry in NAMED_SETS.items() if entry.protocol not in PROMPTLESS)


def _official(sequence: Sequence, chosen: NamedSet, prompted: bool) -> BenchmarkVideo:
    given = [t for t, path in enumerate(sequence.annotations) if prompted and path is not None]
    start = min(given, default=0)
    stems = sequence.stems[start:]

    def frames(wanted: Collection[int] | None = None) -> Iterator[tuple[str, np.ndarray | None]]:
        for t, (stem, path) in enumerate(zip(stems, sequence.frames[start:], strict=True)):
            yield stem, read_image(path) if wanted is None or t in wanted else None

    def prompts() -> dict[int, np.ndarray]:
        numbers = _prompted(given, chosen, sequence.name)
        binary = chosen.layout == "davis"
        read = {t - start: read_mask(sequence.annotations[t], binary=binary) for t in numbers}
        return {t: _as_given(labels, chosen) for t, labels in read.items()}

    must = set(sequence.listed)
    listed = {t: stem for t, stem in enumerate(stems) if stem in must} if must else None
    return BenchmarkVideo(sequence.name, len(stems), frames, prompts, listed)


def _recorded(records: RecordSet, number: int, chosen: NamedSet, prompted: bool) -> BenchmarkVideo:
    video = records.videos[number]
    first = int(records.index.videos[number]["first_frame"])
    annotated = records.index.frames[first : first + video.frames]["annotated"]
    given = np.flatnonzero(annotated & prompted).tolist()
    start = min(given, default=0)

    def frames(wanted: Collection[int] | None = None) -> Iterator[tuple[str, np.ndarray | None]]:
        for t in range(start, video.frames):
            frame = records.frame(number, t)
            wants = wanted is None or t - start in wanted
            yield frame.name, decode_image(frame.image, frame.source) if wants else None

    def prompts() -> dict[int, np.ndarray]:
        numbers = _prompted(given, chosen, video.name)
        read = {t - start: frame_labels(records.frame(number, t)) for t in numbers}
        return {t: _as_given(labels, chosen) for t, labels in read.items()}

    return BenchmarkVideo(video.name, video.frames - start, frames, prompts)


def _prompted(given: list[int], chosen: NamedSet, name: str) -> list[int]:
    if not given:
        raise MissingInputError(f"{name}: no frame has a mask to start from")
    return given[:1] if chosen.layout == "davis" else given


def _as_given(labels: np.ndarray, chosen: NamedSet) -> np.ndarray:
    if chosen.protocol == "single_object":
        return ((labels > 0) & (labels < VOID)).astype(np.uint8)
    return labels
