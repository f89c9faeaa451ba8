"""Writes a split: shard jobs on local processes or on Beam, then index, metadata and report."""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.beam import run_on_beam
from data_prep.metadata import read_info, write_metadata
from data_prep.report import Report
from data_prep.shards import ShardJob, ShardPart, plan_shards, read_part, write_shard
from data_prep.sources import VideoSource
from vos_jax.core.errors import AnnotationError, ConfigError, OutputError
from vos_jax.data.index import FRAME_ROW, OBJECT_ROW, FrameIndex, video_rows

FRAMES_PER_SHARD = 1000
LOCAL = "local"
"""The runner that is not Beam: processes of this machine."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class SplitPlan:
    """What a data set module found in the official files.

    Attributes:
        dataset: name of the data set, letters, digits and underscores.
        split: name of the split.
        videos: in the order of the records, with distinct names.
        categories: names of the object categories by id.
        rejected: (source, reason) of what was rejected while planning.
    """

    dataset: str
    split: str
    videos: Sequence[VideoSource]
    categories: dict[int, str] = field(default_factory=dict)
    rejected: Sequence[tuple[str, str]] = ()


def write_split(
    plan: SplitPlan,
    output: str | Path,
    shards: int | None = None,
    processes: int = 1,
    runner: str = LOCAL,
    beam_options: str = "",
) -> Report:
    """Writes what is missing of a split; the bytes depend on plan and number of shards only.

    Args:
        plan: what to write.
        output: the prepared folder; may hold other splits of the same data set.
        shards: number of TFRecord files; default one per `FRAMES_PER_SHARD` frames.
        processes: worker processes of the local runner, each with one frame in memory.
        runner: `LOCAL` or the name of a Beam runner; see `data_prep.beam`.
        beam_options: Beam's pipeline options as one command line.

    Returns:
        The report, which is saved in the folder too.

    Raises:
        AnnotationError: there is nothing to write, or two videos share a name.
        ConfigError: a number that cannot work.
        OutputError: the folder holds something else or cannot be written.
    """
    began = time.monotonic()
    frames = sum(video.length for video in plan.videos)
    shards = max(1, -(-frames // FRAMES_PER_SHARD)) if shards is None else shards
    _check_plan(plan, shards, processes)
    if beam_options and runner == LOCAL:
        raise ConfigError(f"--beam_options {beam_options!r} needs a Beam runner: give --runner")
    if "://" in str(output):
        raise ConfigError(f"--output {output} is no folder: mount it and give its path")
    output = Path(output)
    jobs = plan_shards(plan.videos, output, plan.dataset, plan.split, shards)
    try:
        _prepare_folder(output, plan, len(jobs))
        written = _run(jobs, processes, runner, beam_options)
        report = _finish(plan, jobs)
        report.shards_kept = len(jobs) - written
        report.seconds = round(time.monotonic() - began, 3)
        report.save(output)
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written ({error.strerror}): choose another --output"
        ) from error
    return report


def _check_plan(plan: SplitPlan, shards: int, processes: int) -> None:
    if processes < 1 or not 1 <= shards <= 99999:
        raise ConfigError("--processes must be 1 or more, --shards from 1 to 99999")
    if not plan.videos:
        raise AnnotationError(f"{plan.dataset} {plan.split}: the source lists no images at all")
    names = set()
    for video in plan.videos:
        if video.name in names:
            raise AnnotationError(f"{plan.dataset} {plan.split} lists {video.name} twice")
        names.add(video.name)


def _prepare_folder(output: Path, plan: SplitPlan, shards: int) -> None:
    """Refuses a folder with other contents; clears what a killed run left half-written."""
    output.mkdir(parents=True, exist_ok=True)
    read_info(output, plan.dataset)
    begin = f"{plan.dataset}-{plan.split}.tfrecord-"
    parts = FrameIndex.folder(output, plan.split) / "parts"
    for leftover in [*output.glob(f"{begin}*.tmp"), *parts.glob(f"{begin}*.tmp")]:
        leftover.unlink()
    for shard in output.glob(f"{begin}[0-9]*-of-[0-9][0-9][0-9][0-9][0-9]"):
        there = int(shard.name[-5:])
        if there != shards:
            raise OutputError(
                f"{output} holds this split in {there} shards, not {shards}: "
                f"give --shards {there}, or another --output"
            )


def _run(jobs: list[ShardJob], processes: int, runner: str, beam_options: str) -> int:
    """Runs the jobs with a progress bar; returns how many shards had to be written."""
    total = sum(job.length for job in jobs)
    with tqdm(total=total, unit="frame", smoothing=0.05, mininterval=1.0) as bar:
        if runner != LOCAL:
            return run_on_beam(jobs, runner, beam_options, bar)
        if processes == 1:
            written = 0
            for job in jobs:
                kept = not write_shard(job, bar.update)
                written += not kept
                bar.update(job.length if kept else 0)
            return written
        return _run_processes(jobs, processes, bar)


def _run_processes(jobs: list[ShardJob], processes: int, bar: tqdm) -> int:
    context = multiprocessing.get_context("spawn")
    counter = context.Value("Q", 0)
    with ProcessPoolExecutor(
        min(processes, len(jobs)), context, initializer=_count_in, initargs=(counter,)
    ) as pool:
        pending = {pool.submit(_write_and_count, job): job for job in jobs}
        written = 0
        try:
            while pending:
                done, _ = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    pending.pop(future)
                    written += future.result()
                bar.update(counter.value - bar.n)
        except BrokenProcessPool as error:
            raise OutputError(
                "a worker process was killed (out of memory?): run the same command again with "
                "fewer --processes; finished shards are kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return written


def _count_in(counter) -> None:
    """Gives a worker process the shared frame counter."""
    _worker["counter"] = counter


_worker: dict = {}


def _add(count: int) -> None:
    with _worker["counter"].get_lock():
        _worker["counter"].value += count


def _write_and_count(job: ShardJob) -> bool:
    written = write_shard(job, lambda: _add(1))
    if not written:
        _add(job.length)
    return written


def _finish(plan: SplitPlan, jobs: list[ShardJob]) -> Report:
    """Joins the parts to the split's index and writes metadata."""
    parts = [_finished_part(job) for job in jobs]
    index = join_indices([part.index for part in parts])
    lengths = [len(part.index.frames) for part in parts]
    size = sum(part.size for part in parts)
    output = jobs[0].output
    index.save(FrameIndex.folder(output, plan.split))
    write_metadata(output, plan.dataset, plan.split, lengths, size, plan.categories)
    return Report(
        dataset=plan.dataset,
        split=plan.split,
        read=sum(part.read for part in parts),
        written=len(index.frames),
        videos=len(index.videos),
        objects=len(index.objects),
        annotated=int(index.frames["annotated"].sum()),
        size=size,
        shards=len(jobs),
        rejected=[*plan.rejected, *(pair for part in parts for pair in part.rejected)],
    )


def _finished_part(job: ShardJob) -> ShardPart:
    part = read_part(job)
    if part is None:
        raise OutputError(
            f"{job.path} is not there after writing: run the same command again; with --runner, "
            "give an --output that all workers share"
        )
    return part


def join_indices(indices: Sequence[FrameIndex]) -> FrameIndex:
    """Joins the tables of shards that count their videos, frames and objects from 0."""
    videos = video_rows([name.decode() for index in indices for name in index.videos["name"]])
    frames = np.concatenate([np.zeros(0, FRAME_ROW), *(index.frames for index in indices)])
    objects = np.concatenate([np.zeros(0, OBJECT_ROW), *(index.objects for index in indices)])
    video, frame, first_object = 0, 0, 0
    for index in indices:
        rows = videos[video : video + len(index.videos)]
        for field_name in ("frames", "height", "width"):
            rows[field_name] = index.videos[field_name]
        rows["first_frame"] = index.videos["first_frame"] + frame
        moved = frames[frame : frame + len(index.frames)]
        moved["video"] += video
        moved["first_object"] += first_object
        video, frame = video + len(index.videos), frame + len(index.frames)
        first_object += len(index.objects)
    return FrameIndex(videos, frames, objects)
