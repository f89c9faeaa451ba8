"""Scores a folder of result masks against the sequences of a benchmark, on several processes.

Nothing here needs JAX: a worker starts in a quarter of a second.
"""

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import ConfigError, MaskError, MissingInputError, ResultsError
from vos_jax.core.labels import VOID
from vos_jax.io.images import read_mask
from vos_jax.io.layouts import Sequence
from vos_jax.metrics.video_objects import ObjectScores, semi_supervised, youtube_vos

PROTOCOLS = ("semi_supervised", "single_object", "unsupervised", "youtube_vos")
RESULT_PLACES = (".", "results", "Annotations")


@dataclasses.dataclass(frozen=True)
class Job:
    """The work on one sequence, small enough to send to another process.

    Attributes:
        name: the sequence.
        protocol: one of `PROTOCOLS`.
        first: its first annotation, which tells the number of objects.
        files: annotation and result of each frame that counts.
    """

    name: str
    protocol: str
    first: Path
    files: tuple[tuple[Path, Path], ...]


def score_sequences(
    sequences: list[Sequence],
    results: str | Path,
    protocol: str,
    *,
    skip_ends: bool | None = None,
    processes: int | None = None,
    progress: Callable[[int], object] = lambda frames: None,
) -> dict[str, list[ObjectScores]]:
    """Scores the results of every sequence.

    Args:
        sequences: what the truth consists of.
        results: folder that holds <sequence>/<frame>.png, or holds a folder `results` or
            `Annotations` that does.
        protocol: one of `PROTOCOLS`.
        skip_ends: leave out the first and the last annotated frame of each sequence; None does
            what is usual: all protocols but the unsupervised one leave them out.
        processes: how many at once; None takes all cores, 1 stays in this process.
        progress: told after each sequence how many frames it had.

    Returns:
        The objects of each sequence, by its name, in the order given.

    Raises:
        ConfigError: an unknown protocol.
        ResultsError: a result is missing, unreadable, of another size, or has a label too many.
        MaskError: an annotation cannot be read.
        MissingInputError: a sequence has too few annotated frames.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"no protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    skip = protocol != "unsupervised" if skip_ends is None else skip_ends
    folder = _results_folder(Path(results), sequences)
    jobs = [_job(sequence, folder / sequence.name, protocol, skip) for sequence in sequences]
    scored = {}
    for job, scores in _run(jobs, min(processes or core_count(), len(jobs))):
        scored[job.name] = scores
        progress(len(job.files))
    return {job.name: scored[job.name] for job in jobs}


def core_count() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def score_sequence(job: Job) -> list[ObjectScores]:
    """Scores one sequence; errors as in `score_sequences`."""
    if job.protocol == "youtube_vos":
        return youtube_vos(_frames(job, most=VOID))
    if job.protocol == "single_object":
        return semi_supervised(_frames(job, most=VOID), objects=1)
    first = read_mask(job.first)
    objects = int(np.max(first, where=first != VOID, initial=0))
    if not objects:
        raise MaskError(f"{job.first}: the first annotation of {job.name} shows no object")
    if job.protocol == "semi_supervised":
        return semi_supervised(_frames(job, most=objects), objects)
    from vos_jax.metrics.proposals import MOST_PROPOSALS, unsupervised

    return unsupervised(_frames(job, most=MOST_PROPOSALS), objects)[0]


def _frames(job: Job, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    single = job.protocol == "single_object"
    for true_path, path in job.files:
        truth = read_mask(true_path)
        try:
            prediction = read_mask(path, size=truth.shape)
        except (MaskError, MissingInputError) as error:
            raise ResultsError(f"result {error}") from error
        highest = int(prediction.max(initial=0))
        if highest > most:
            raise ResultsError(
                f"{path}: has the label {highest}, but {job.name} may have {most} at most; "
                "number the objects as the annotation does"
            )
        if single:
            truth, prediction = ((labels > 0).view(np.uint8) for labels in (truth, prediction))
        yield truth, prediction


def _run(jobs: list[Job], processes: int) -> Iterable[tuple[Job, list[ObjectScores]]]:
    if processes <= 1:
        yield from ((job, score_sequence(job)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker) as pool:
        longest_first = sorted(jobs, key=lambda job: -len(job.files))
        waiting = {pool.submit(score_sequence, job): job for job in longest_first}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _results_folder(results: Path, sequences: list[Sequence]) -> Path:
    places = [results / place for place in RESULT_PLACES]
    for folder in places:
        missing = [s.name for s in sequences if not (folder / s.name).is_dir()]
        if not missing:
            return folder
        if len(missing) < len(sequences):
            raise ResultsError(
                f"{folder}: no results for {len(missing)} of {len(sequences)} sequences: "
                f"{', '.join(missing)}; every sequence needs its folder of PNG masks"
            )
    raise ResultsError(
        f"{results}: no folder of a sequence in it; expected {results / sequences[0].name} with "
        "one PNG mask per frame"
    )


def _job(sequence: Sequence, folder: Path, protocol: str, skip_ends: bool) -> Job:
    annotated = [path for path in sequence.annotations if path is not None]
    counted = annotated[1:-1] if skip_ends else annotated
    if not counted:
        raise MissingInputError(
            f"{sequence.name}: {len(annotated)} annotated frames are too few to score results"
        )
    files = tuple((path, folder / f"{path.stem}.png") for path in counted)
    present = set(os.listdir(folder))
    missing = [path for _, path in files if path.name not in present]
    if missing:
        raise ResultsError(
            f"{missing[0]}: no such result ({len(missing)} of {len(counted)} frames are "
            "missing); every annotated frame needs a mask"
        )
    return Job(sequence.name, protocol, annotated[0], files)
