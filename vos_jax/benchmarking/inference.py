"""Our inference beside the official program: processor time per frame, on the same videos.

Both run in processes of their own with one thread each and huge memory pages, in turn, on the
same random weights and the same frames; file reading is left out on both sides, and resizing and
normalising the input on the official side alone. The first run of ours compiles and is shown
apart.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from vos_jax.benchmarking.pictures import moving_discs
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.systems import registry

DRIVERS = Path(__file__).parents[2] / "scripts" / "official"
"""Programs that run an original, one per system; they need a checkout of this repository."""
MARKERS = {"hodor": "hodor/inference/inference_model.py"}
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
}
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Both programs on one video.

    Attributes:
        objects: in the video.
        frames: of the video.
        ours: processor seconds of each run.
        official: the same of the official program; empty without a checkout.
        compile_seconds: of our first run.
        differing: share of label pixels on which the two differ.
        parts: processor seconds per frame by stage, of ours and of the official program.
    """

    objects: int
    frames: int
    ours: tuple[float, ...]
    official: tuple[float, ...]
    compile_seconds: float
    differing: float | None
    parts: tuple[dict[str, float], dict[str, float]]

    def lines(self) -> list[str]:
        """The result as lines of text."""
        ours = statistics.median(self.ours) / self.frames
        text = f"{self.objects} objects: ours {ours:.3f} CPU s a frame ({1 / ours:.2f} a second)"
        if self.official:
            theirs = statistics.median(self.official) / self.frames
            text += f", official {theirs:.3f}, ratio {theirs / ours:.2f}"
            text += f", labels differ on {self.differing:.2e} of the pixels"
        lines = [f"{text}; compiled in {self.compile_seconds:.1f} s"]
        stages = {**self.parts[1], **self.parts[0]}
        for stage in stages:
            shown = [f"{part[stage]:.3f}" if stage in part else "-" for part in self.parts]
            lines.append(f"    {stage:18s} ours {shown[0]:>6s}  official {shown[1]:>6s}")
        return lines


class Worker:
    """A program that answers JSON lines, one thread, pinned to one core."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str] = HUGE_PAGES):
        """Starts it, with some environment variables more, and waits until it is ready."""
        self._errors = open(folder / f"errors{len(list(folder.iterdir()))}.txt", "w+")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | ONE_THREAD | environment,
        )
        os.sched_setaffinity(self._process.pid, {min(os.sched_getaffinity(0))})
        self._read()

    def ask(self, request: dict) -> dict:
        """Sends a request and waits for its answer."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Ends the program."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _read(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["without a word"]
        raise ConfigError(f"{' '.join(self._process.args[:2])} failed: {last[0]}")


def compare(
    system: str,
    official_path: str | None,
    *,
    size: tuple[int, int] = (480, 854),
    objects: tuple[int, ...] = (1, 3, 5),
    frames: int = 10,
    repeats: int = 5,
    stages: bool = True,
    settings: dict | None = None,
    official_python: str = sys.executable,
):
    """Runs both programs in turn on random weights ("untrained": only speed means anything).

    Args:
        system: name of the system.
        official_path: checkout of the official program; None measures ours alone.
        size: of the frames.
        objects: a video is made for each number.
        frames: of each video.
        repeats: runs of each, after one that warms up.
        stages: also measure the stages.
        settings: constructor arguments of the system, by default those of the official size.
        official_python: a Python that has what the official program needs.

    Yields:
        A `Comparison` per number of objects.

    Raises:
        MissingInputError: no official program at the path.
        ConfigError: one of the programs failed; with the end of what it said.
    """
    settings = {"min_dim": size[0], "max_dim": max(size) * 2} if settings is None else settings
    module = registry.build(system, **settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = _start(system, settings, official_path, official_python, folder)
        try:
            for count in objects:
                video = _video(module, size, count, frames, folder)
                yield _compare(workers, video, count, frames, repeats, stages, module, folder)
        finally:
            for worker in workers:
                worker.close()


def _compare(workers, video, count, frames, repeats, stages, module, folder) -> Comparison:
    window = getattr(module, "temporal_window", 0)
    requests = [
        {"video": video, "labels": str(folder / f"labels{number}.npy"), "window": window}
        for number in range(len(workers))
    ]
    requests[0]["stages"] = stages
    warm = [worker.ask(request) for worker, request in zip(workers, requests, strict=True)]
    requests[0]["stages"] = False
    runs = [
        [worker.ask(request) for worker, request in zip(workers, requests, strict=True)]
        for _ in range(repeats)
    ]
    seconds = [tuple(run[number]["seconds"] for run in runs) for number in range(len(workers))]
    theirs, differing = {}, None
    if len(workers) > 1:
        last = runs[-1][1]["parts"]
        theirs = {part: value / frames for part, value in last.items()}
        labels = [np.load(request["labels"]) for request in requests]
        differing = float((labels[0][1:] != labels[1][1:]).mean())
    parts = (warm[0]["parts"], theirs)
    official = seconds[1] if len(workers) > 1 else ()
    compiled = warm[0]["compile_seconds"]
    return Comparison(count, frames, seconds[0], official, compiled, differing, parts)


def _start(system: str, settings: dict, official_path, official_python: str, folder: Path):
    """Our worker, and the official program's, whose random weights both use."""
    official, weights = [], []
    if official_path is not None:
        driver, marker = DRIVERS / f"{system}.py", MARKERS[system]
        for needed in (Path(official_path) / marker, driver):
            if not needed.is_file():
                raise MissingInputError(f"{needed} is missing; give the folder of a whole checkout")
        weights = [str(folder / "weights.npz")]
        checkout = str(Path(official_path).resolve())
        official = [Worker([official_python, str(driver), checkout, *weights], folder)]
    configured = json.dumps({"system": system, "model": settings})
    command = [sys.executable, "-m", "vos_jax.benchmarking.worker", configured, *weights]
    return [Worker(command, folder), *official]


def _video(module, size: tuple[int, int], objects: int, frames: int, folder: Path) -> str:
    """A video as bytes for us, and normalised and padded for the official program."""
    pictures, masks = moving_discs(size, objects, frames)
    geometry = module.spec.geometry(size)
    if geometry.resized != size:
        raise ConfigError(f"compare at a size that is not resized, not at {size}")
    prepared = np.moveaxis(np.asarray(module.spec.prepare(pictures, geometry)), -1, 1)
    path = str(folder / f"video{objects}.npz")
    np.savez(
        path,
        bytes=pictures,
        frames=prepared,
        masks=masks,
        padded_masks=np.pad(masks, [(0, 0), *geometry.padding]),
        resized=geometry.resized,
        original=size,
    )
    return path
