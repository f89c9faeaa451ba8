"""Shard jobs on Apache Beam, so that many machines write one large set.

    python -m data_prep.bl30k --root /shared/BL30K --output /shared/prepared/bl30k \
        --runner FlinkRunner --beam_options "--flink_master=host:8081 --parallelism=64"

One element per shard: the path of its job, which lies pickled beside the index until the set is
complete. A worker does what a local process does, one frame in memory at a time, and no image
goes through Beam. The launcher plans before, and joins the index and writes the metadata after.

Inputs and output are opened as ordinary files, and launcher and workers must see them under the
same absolute paths: a network file system, or a bucket mounted as a folder on every machine.
Workers need this package and the launcher's version of Beam (a container image, say). Stopping
the launcher does not stop a job on a cluster: cancel it there before starting the command again.
"""

import contextlib
import importlib
import io
import logging
import pickle
import platform
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from data_prep.shards import ShardJob, write_shard
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError

POLL_SECONDS = 2.0


def run_on_beam(jobs: list[ShardJob], runner: str, options: str, bar: tqdm) -> int:
    """Runs the jobs and waits for them; the bar moves by whole shards.

    Args:
        jobs: the shards of a split.
        runner: as Beam names it, such as FnApiRunner, FlinkRunner, DataflowRunner.
        options: Beam's pipeline options as one command line.
        bar: counts frames.

    Returns:
        How many shards had to be written.

    Raises:
        ConfigError: Beam is not installed, or knows no such runner or option.
        OutputError: the run failed; finished shards are kept.
    """
    beam, pipeline = _open_pipeline(runner, options)
    paths = [_save_job(job) for job in jobs]
    elements = pipeline | "jobs" >> beam.Create([str(path) for path in paths])
    _ = elements | "spread" >> beam.Reshuffle() | "write" >> beam.Map(write_saved_job)
    before = [_finished_at(job) for job in jobs]
    with _followed(jobs, bar):
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            raise OutputError(
                f"{runner} failed ({_last_line(str(error))}): run the same command again; "
                "finished shards are kept"
            ) from error
    if result.state != "DONE":
        raise OutputError(f"{runner} ended as {result.state}: run the same command again")
    for path in paths:
        path.unlink(missing_ok=True)
    return sum(_finished_at(job) != time for job, time in zip(jobs, before, strict=True))


def write_saved_job(path: str) -> None:
    """What a Beam worker does with an element: writes the shard of the job in a file.

    Raises:
        MissingInputError: this worker does not see a folder that the launcher saw.
    """
    job, folders = pickle.loads(Path(path).read_bytes())
    for folder in folders:
        if not folder.is_dir():
            raise MissingInputError(
                f"{folder} is not there on {platform.node()}: all workers must see the inputs "
                "under the launcher's (absolute) paths"
            )
    write_shard(job)


def _open_pipeline(runner: str, options: str):
    """Beam and an empty pipeline."""
    logging.basicConfig()
    try:
        beam = importlib.import_module("apache_beam")
    except ImportError as error:
        raise ConfigError(
            f"--runner {runner} needs Apache Beam ({error}): pip install 'vos_jax[beam]'"
        ) from error
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = beam.options.pipeline_options.PipelineOptions(shlex.split(options))
            parsed.get_all_options()
            return beam, beam.Pipeline(runner, parsed)
    except SystemExit as error:
        raise ConfigError(f"--beam_options: {_last_line(said.getvalue())}") from error
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigError(f"--runner {runner}: {error}") from error


class _JobPickler(pickle.Pickler):
    """Names classes of the running command by the module that workers can import."""

    def reducer_override(self, value):
        spec = sys.modules["__main__"].__spec__
        if isinstance(value, type) and value.__module__ == "__main__" and spec:
            return _imported, (spec.name, value.__qualname__)
        return NotImplemented


def _imported(module: str, name: str) -> type:
    return getattr(importlib.import_module(module), name)


def _save_job(job: ShardJob) -> Path:
    """Pickles a job and the folders of its first frame, for its worker to look for."""
    first = next(iter(job.videos[0].frames()), None)
    folders = {source.parent for source in first.inputs} if first else set()
    path = job.part_path.with_suffix(".job")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _JobPickler(file).dump((job, sorted(filter(Path.is_dir, folders))))
    return path


def _finished_at(job: ShardJob) -> int | None:
    return job.part_path.stat().st_mtime_ns if job.part_path.exists() else None


@contextlib.contextmanager
def _followed(jobs: list[ShardJob], bar: tqdm) -> Iterator[None]:
    """Keeps the bar at the frames of the finished shards until the block ends."""
    over = threading.Event()

    def follow():
        while True:
            ended = over.wait(POLL_SECONDS)
            bar.update(sum(job.length for job in jobs if job.part_path.exists()) - bar.n)
            if ended:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
