"""Memory of a training run: the process and its data workers, sampled while they work."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vos_jax.core.errors import VosError

EVERY_S = 10.0
SETTLED_MINUTES = 3.0
EXIT_STOPPED = 75
TRAINING, WORKER, OTHER = "training", "worker", "other"


@dataclasses.dataclass(frozen=True)
class TrainingMemory:
    """What a run took.

    Attributes:
        minutes: [n], since the start of the command.
        megabytes: [n] by process: proportional set size, which shares out memory that several
            processes map; 0 while a process is not there.
    """

    minutes: np.ndarray
    megabytes: dict[str, np.ndarray]

    @property
    def total(self) -> np.ndarray:
        """All processes together."""
        return np.sum(list(self.megabytes.values()), axis=0)

    def slope(self, megabytes: np.ndarray) -> float:
        """Megabytes a minute by least squares, after the minutes in which a run settles."""
        settled = self.minutes >= SETTLED_MINUTES
        if settled.sum() < 2:
            return float("nan")
        return float(np.polyfit(self.minutes[settled], megabytes[settled], 1)[0])

    def lines(self) -> list[str]:
        """A table by minute, and the slopes."""
        columns = {**self.megabytes, "all": self.total}
        rows = [["minute", *columns]]
        for minute in range(int(self.minutes[-1]) + 1):
            at = int(np.argmin(np.abs(self.minutes - minute)))
            rows.append([str(minute), *(f"{column[at]:.1f}" for column in columns.values())])
        rows.append(["MB/min", *(f"{self.slope(column):+.3f}" for column in columns.values())])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]


def measure_training_memory(
    arguments: Sequence[str], minutes: float, every: float = EVERY_S
) -> TrainingMemory:
    """Runs `python -m vos_jax.train ARGUMENTS` for some time, watching all its processes.

    Args:
        arguments: of the command; the run must last longer than that.
        minutes: after which it is told to stop (SIGTERM).
        every: seconds between samples.

    Raises:
        VosError: it ended before, or did not stop as it should.
    """
    process = subprocess.Popen([sys.executable, "-m", "vos_jax.train", *arguments])
    try:
        found = watch(process.pid, minutes, every, lambda: process.poll() is None)
        process.send_signal(signal.SIGTERM)
        code = process.wait()
    finally:
        process.kill()
    if code != EXIT_STOPPED:
        raise VosError(f"vos_jax.train ended with {code} within {minutes} minutes; see above")
    return found


def watch(pid: int, minutes: float, every: float, lives: Callable[[], bool]) -> TrainingMemory:
    """Samples a process and all below it for some time, or until it ends."""
    began, times, samples = time.monotonic(), [], []
    while lives() and (not times or times[-1] < minutes):
        times.append((time.monotonic() - began) / 60)
        samples.append(_sizes(pid))
        time.sleep(every)
    workers = sorted({child for sample in samples for child in sample[WORKER]})
    columns = {
        TRAINING: [sample[TRAINING] for sample in samples],
        **{
            f"{WORKER}_{number}": [sample[WORKER].get(child, 0.0) for sample in samples]
            for number, child in enumerate(workers, start=1)
        },
        OTHER: [sample[OTHER] for sample in samples],
    }
    return TrainingMemory(
        np.array(times), {name: np.array(column) for name, column in columns.items()}
    )


def _sizes(pid: int) -> dict:
    """Megabytes of a process, of its data workers by number, and of all else below it."""
    sizes = {TRAINING: _megabytes(pid), WORKER: {}, OTHER: 0.0}
    for child in _below(pid):
        if b"spawn_main" in _read(child, "cmdline"):
            sizes[WORKER][child] = _megabytes(child)
        else:
            sizes[OTHER] += _megabytes(child)
    return sizes


def _below(pid: int) -> list[int]:
    """All processes that a process has started, and theirs."""
    parents = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        fields = _read(int(entry), "stat").rpartition(b")")[2].split()
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def _megabytes(pid: int) -> float:
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _read(pid: int, name: str) -> bytes:
    """A file of a process; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
