"""The videos of a benchmark with their prompts, from an official folder or a prepared set."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.core.labels import VOID
from vos_jax.data.planes import frame_labels
from vos_jax.data.records import INFO_FILE, RecordSet
from vos_jax.io.images import decode_image, read_image, read_mask
from vos_jax.io.layouts import Sequence
from vos_jax.io.named_sets import NAMED_SETS, NamedSet, list_sequences, named_set


@dataclasses.dataclass(frozen=True)
class BenchmarkVideo:
    """One video of a benchmark; files are read when they are asked for.

    Attributes:
        name: of the video.
        length: number of frames.
        frames: yields name and pixels of each frame.
        prompts: reads the label maps that are given, by frame number.
    """

    name: str
    length: int
    frames: Callable[[], Iterator[tuple[str, np.ndarray]]]
    prompts: Callable[[], dict[int, np.ndarray]]


def benchmark_videos(
    dataset: str, root: str | Path | None = None, *, resolution: str = "480p"
) -> list[BenchmarkVideo]:
    """Lists the videos of a benchmark.

    DAVIS gives the first annotated frame; YouTube-VOS and others every annotation there is.

    Args:
        dataset: one of `NAMED_SETS` that has prompts.
        root: official folder, or prepared set (it has `dataset_info.json`); None takes the
            benchmark's usual place.
        resolution: of DAVIS.

    Raises:
        ConfigError: an unknown benchmark, or one without prompts.
        MissingInputError: files are missing; names them.
    """
    chosen = named_set(dataset)
    if chosen.protocol == "unsupervised":
        raise ConfigError(f"{dataset} gives no masks to start from; choose from {PROMPTED}")
    root = Path(root or chosen.root)
    if (root / INFO_FILE).is_file():
        records = RecordSet(root, chosen.split or "train")
        return [_recorded(records, number, chosen) for number in range(len(records.videos))]
    sequences = list_sequences(dataset, root, resolution=resolution)
    return [_official(sequence, chosen) for sequence in sequences]


PROMPTED = tuple(name for name, entry in NAMED_SETS.items() if entry.protocol != "unsupervised")


def _official(sequence: Sequence, chosen: NamedSet) -> BenchmarkVideo:
    def frames() -> Iterator[tuple[str, np.ndarray]]:
        for stem, path in zip(sequence.stems, sequence.frames, strict=True):
            yield stem, read_image(path)

    def prompts() -> dict[int, np.ndarray]:
        given = [t for t, path in enumerate(sequence.annotations) if path is not None]
        numbers = _prompted(given, chosen, sequence.name)
        binary = chosen.layout == "davis"
        read = {t: read_mask(sequence.annotations[t], binary=binary) for t in numbers}
        return {t: _as_given(labels, chosen) for t, labels in read.items()}

    return BenchmarkVideo(sequence.name, len(sequence.stems), frames, prompts)


def _recorded(records: RecordSet, number: int, chosen: NamedSet) -> BenchmarkVideo:
    video = records.videos[number]
    first = int(records.index.videos[number]["first_frame"])

    def frames() -> Iterator[tuple[str, np.ndarray]]:
        for t in range(video.frames):
            frame = records.frame(number, t)
            yield frame.name, decode_image(frame.image, frame.source)

    def prompts() -> dict[int, np.ndarray]:
        annotated = records.index.frames[first : first + video.frames]["annotated"]
        numbers = _prompted(np.flatnonzero(annotated).tolist(), chosen, video.name)
        return {t: _as_given(frame_labels(records.frame(number, t)), chosen) for t in numbers}

    return BenchmarkVideo(video.name, video.frames, frames, prompts)


def _prompted(given: list[int], chosen: NamedSet, name: str) -> list[int]:
    if not given:
        raise MissingInputError(f"{name}: no frame has a mask to start from")
    return given[:1] if chosen.layout == "davis" else given


def _as_given(labels: np.ndarray, chosen: NamedSet) -> np.ndarray:
    if chosen.protocol == "single_object":
        return ((labels > 0) & (labels < VOID)).astype(np.uint8)
    return labels
