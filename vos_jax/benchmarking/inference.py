"""Our inference beside the official program: processor time per frame, on the same videos.

Both run in processes of their own with one thread each and huge memory pages, in turn, on the
same random weights and the same frames; file reading is left out on both sides, and resizing and
normalising the input on the official side alone. What ours compiles is shown apart.
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
"""Programs that run an original; they need a checkout of this repository."""
OFFICIAL = {
    "aot": ("aot.py", "networks/engines/aot_engine.py"),
    "hodor": ("hodor.py", "hodor/inference/inference_model.py"),
    "mask_propagation": ("space_time.py", "try_correspondence.py"),
    "stcn": ("space_time.py", "inference_memory_bank.py"),
    "rde": ("space_time.py", "util/warm_up.py"),
    "stem_seg": ("stem_seg.py", "stemseg/modeling/inference_model.py"),
}
"""By system: the driver, and a file that the checkout must have."""
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
}
WARM_FRAMES = 3
"""Of the video that ours segments at first, to compile."""
DECIDED = 1e-3
"""Random weights saturate several objects at once; a label counts as decided by the official
program where its best object is ahead of the next by more than this in probability. Where it is
not, the program disagrees with itself in double precision."""
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Both programs on one video.

    Attributes:
        objects: in the video.
        frames: of the video.
        ours: processor seconds of each run.
        official: the same of the official program; empty without a checkout.
        compile_seconds: of ours, before the runs.
        differing: share of label pixels on which the two differ.
        decided: the same, only counting pixels of which the official program was sure
            (`DECIDED`); None where it does not tell.
        parts: processor seconds per frame by stage, of ours and of the official program.
        window: whether the frames were read at once, so that all numbers are those of the clip.
    """

    objects: int
    frames: int
    ours: tuple[float, ...]
    official: tuple[float, ...]
    compile_seconds: float
    differing: float | None
    parts: tuple[dict[str, float], dict[str, float]]
    window: bool = False
    decided: float | None = None

    def lines(self) -> list[str]:
        """The result as lines of text."""
        unit = 1 if self.window else self.frames
        ours = statistics.median(self.ours) / unit
        text = f"{self.objects} objects: ours {ours:.3f} CPU s a frame ({1 / ours:.2f} a second)"
        if self.window:
            text = f"ours {ours:.3f} CPU s for a clip of {self.frames} frames"
        if self.official:
            theirs = statistics.median(self.official) / unit
            text += f", official {theirs:.3f}, ratio {theirs / ours:.2f}"
            text += f", labels differ on {self.differing:.2e} of the pixels"
        if self.decided is not None:
            text += f", on {self.decided:.2e} where the official program is sure"
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
        frames: of each video; a system that reads windows gets one window, and only one video.
        repeats: runs of each, after ours is compiled.
        stages: also measure the stages.
        settings: constructor arguments of the system besides those of `unresized`.
        official_python: a Python that has what the official program needs.

    Yields:
        A `Comparison` per number of objects.

    Raises:
        MissingInputError: no official program at the path.
        ConfigError: one of the programs failed; with the end of what it said.
    """
    settings = unresized(system, size) | (settings or {})
    module = registry.build(system, **settings)
    if not module.spec.prompted:
        objects, frames = objects[:1], module.spec.window
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


def unresized(system: str, size: tuple[int, int]) -> dict[str, int]:
    """Settings of a system under which frames of this size are not resized."""
    module = registry.entry(system).module
    sides = {"min_dim": min(size), "max_dim": 2 * max(size)}
    return {name: value for name, value in sides.items() if hasattr(module, name)}


def _compare(workers, video, count, frames, repeats, stages, module, folder) -> Comparison:
    fields = [field.name for field in dataclasses.fields(module) if field.name != "parent"]
    settings = {name: getattr(module, name) for name in fields}
    requests = [
        {
            "video": video,
            "labels": str(folder / f"labels{number}.npy"),
            "margins": str(folder / f"margins{count}.npy"),
            "settings": settings,
        }
        for number in range(len(workers))
    ]
    beginning = {"frames": WARM_FRAMES, "stages": stages}
    warm = workers[0].ask(requests[0] | beginning)
    runs = [
        [_counted(worker, request) for worker, request in zip(workers, requests, strict=True)]
        for _ in range(repeats)
    ]
    seconds = [tuple(run[number]["seconds"] for run in runs) for number in range(len(workers))]
    theirs, differing, prompted = {}, (None, None), module.spec.prompted
    if len(workers) > 1:
        last = runs[-1][1]["parts"]
        theirs = {part: value / (frames if prompted else 1) for part, value in last.items()}
        differing = _differing(requests, first=int(prompted))
    parts = (warm["parts"] if prompted else runs[-1][0]["parts"], theirs)
    official = seconds[1] if len(workers) > 1 else ()
    times = (seconds[0], official, warm["compile_seconds"])
    return Comparison(count, frames, *times, differing[0], parts, not prompted, differing[1])


def _differing(requests: list[dict], first: int) -> tuple[float, float | None]:
    """Share of labels from frame `first` on that differ; and only where the official is sure."""
    labels = [np.load(request["labels"])[first:] for request in requests]
    differ, margins = labels[0] != labels[1], Path(requests[1]["margins"])
    sure = np.load(margins)[first:] > DECIDED if margins.is_file() else None
    return float(differ.mean()), None if sure is None else float((differ & sure).mean())


def _counted(worker, request: dict) -> dict:
    """The answer to a request; asks again where a memory that grew had programs compiled."""
    answer = worker.ask(request)
    return worker.ask(request) if answer.get("compilations") else answer


def _start(system: str, settings: dict, official_path, official_python: str, folder: Path):
    """Our worker, and the official program's, whose random weights both use."""
    official, weights = [], []
    if official_path is not None:
        program, marker = OFFICIAL[system]
        driver = DRIVERS / program
        for needed in (Path(official_path) / marker, driver):
            if not needed.is_file():
                raise MissingInputError(f"{needed} is missing; give the folder of a whole checkout")
        weights = [str(folder / "weights.npz")]
        checkout = str(Path(official_path).resolve())
        arguments = [checkout, *weights, system, json.dumps(settings)]
        official = [Worker([official_python, str(driver), *arguments], folder)]
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
        padding=geometry.padding,
        resized=geometry.resized,
        original=size,
    )
    return path
