"""Our evaluator beside hkchengrex/vos-benchmark: processor time and equality of the scores.

The original runs from a checkout of the user's, in processes of its own; nothing of it is here.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.io.named_sets import list_sequences
from vos_jax.metrics.report import Videos, summarise
from vos_jax.metrics.statistics import row_statistics
from vos_jax.scoring import score_sequences

OFFICIAL_PROGRAM = """
import json, sys
import cv2
from vos_benchmark.benchmark import benchmark
truth, results, processes = sys.argv[1:]
cv2.setNumThreads(1)
_, _, _, (objects,) = benchmark([truth], [results], False, int(processes), verbose=False)
rows = {f"{n}_{i}": [float(j[i]), float(f[i])] for n, (j, f) in objects.items() for i in j}
print(json.dumps(rows))
"""


@dataclasses.dataclass(frozen=True)
class EvaluationBenchmark:
    """What both evaluators took and gave on the same masks.

    Attributes:
        ours: processor seconds of each of our runs, start-up and workers included.
        official: the same of vos-benchmark.
        largest_difference: of any object's mean J or F, in 0 to 1.
        objects: number of objects compared.
        j_mean: our mean of J over the objects.
        f_mean: the same of F.
    """

    ours: tuple[float, ...]
    official: tuple[float, ...]
    largest_difference: float
    objects: int
    j_mean: float
    f_mean: float

    @property
    def share(self) -> float:
        """Median of ours divided by the median of vos-benchmark."""
        return statistics.median(self.ours) / statistics.median(self.official)

    def lines(self) -> list[str]:
        """The result as lines of text."""
        runs = [" ".join(f"{s:.2f}" for s in seconds) for seconds in (self.ours, self.official)]
        return [
            f"vos_jax.evaluate  median {statistics.median(self.ours):6.2f} CPU s  ({runs[0]})",
            f"vos-benchmark     median {statistics.median(self.official):6.2f} CPU s  ({runs[1]})",
            f"share {self.share:.3f}, {self.objects} objects, J-Mean {self.j_mean!r}, "
            f"F-Mean {self.f_mean!r}, largest difference {self.largest_difference:.1e}",
        ]


def benchmark_evaluation(
    official_path: str | Path,
    data_root: str | Path,
    results: str | Path,
    *,
    repeats: int = 5,
    processes: int = 2,
    annotations: str = "Annotations",
    official_python: str = sys.executable,
) -> EvaluationBenchmark:
    """Scores results by both evaluators in turn; DAVIS 2017 val, first and last frame left out.

    Objects that the truth does not show in its first scored frames are scored differently by
    definition (vos-benchmark starts their row later), which the largest difference then shows.

    Args:
        official_path: a checkout of vos-benchmark.
        data_root: a DAVIS folder; all sequences in its folder of masks must be of the list.
        results: folder with <sequence>/<frame>.png; it is not written to.
        repeats: runs of each.
        processes: worker processes of each.
        annotations: name of the folder of masks.
        official_python: a Python that has what vos-benchmark needs.

    Raises:
        MissingInputError: there is no vos-benchmark at the path.
        ConfigError: one of the programs failed; with the end of what it said.
        ResultsError: as of `score_sequences`.
    """
    official = Path(official_path).resolve()
    if not (official / "vos_benchmark" / "benchmark.py").is_file():
        raise MissingInputError(f"{official}: not a checkout of hkchengrex/vos-benchmark; clone it")
    data_root, results = Path(data_root).resolve(), Path(results).resolve()
    sequences = list_sequences("davis_val", data_root, annotations=annotations, images=False)
    videos = score_sequences(sequences, results, "semi_supervised", processes=1)
    with tempfile.TemporaryDirectory() as folder:
        for sequence in sequences:
            (Path(folder) / sequence.name).symlink_to(results / sequence.name)
        ours = _our_command(data_root, annotations, folder, processes)
        theirs = _official_command(official_python, data_root, annotations, folder, processes)
        runs = [(_run(ours, _OURS), _run(theirs, official)) for _ in range(repeats)]
    summary = summarise(videos)
    return EvaluationBenchmark(
        tuple(our.seconds for our, _ in runs),
        tuple(their.seconds for _, their in runs),
        _largest_difference(videos, json.loads(runs[0][1].last_line)),
        sum(len(video) for video in videos.values()),
        summary.j.mean,
        summary.f.mean,
    )


class _Finished(NamedTuple):
    seconds: float
    last_line: str


def _largest_difference(videos: Videos, official: dict[str, list[float]]) -> float:
    means = {
        f"{name}_{scores.number}": [row_statistics(scores.j).mean, row_statistics(scores.f).mean]
        for name, video in videos.items()
        for scores in video
    }
    if set(means) != set(official):
        only = sorted(set(means) ^ set(official))
        raise ConfigError(f"only one of the two evaluators scored {', '.join(only)}")
    ours, theirs = (np.array([rows[name] for name in means]) for rows in (means, official))
    return float(np.abs(ours - theirs / 100).max())


_OURS = Path(__file__).resolve().parents[2]


def _our_command(data_root: Path, annotations: str, results: str, processes: int) -> list[str]:
    options = ["--dataset", "davis_val", "--data_root", str(data_root), "--results", results]
    options += ["--annotations", annotations, "--processes", str(processes)]
    return [sys.executable, "-m", "vos_jax.evaluate", *options]


def _official_command(
    python: str, data_root: Path, annotations: str, results: str, processes: int
) -> list[str]:
    truth = data_root / annotations / "480p"
    return [python, "-c", OFFICIAL_PROGRAM, str(truth), results, str(processes)]


def _run(command: list[str], import_path: Path) -> _Finished:
    """Runs a program with one thread per process; its CPU seconds with all children, its output."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    environment = os.environ | threads | {"PYTHONPATH": str(import_path)}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise ConfigError(f"{command[0]} failed: {errors.read()[-400:]}")
        last_line = output.read().strip().split("\n")[-1]
        return _Finished(usage.ru_utime + usage.ru_stime, last_line)
