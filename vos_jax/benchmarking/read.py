"""The memory read alone beside the official one: processor time of one read, on the same arrays."""

import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from vos_jax.benchmarking.inference import DRIVERS, Worker
from vos_jax.core.errors import ConfigError
from vos_jax.systems import registry

OFFICIAL = ("mask_propagation", "stcn", "rde")
STRIDE = 16


@dataclasses.dataclass(frozen=True)
class ReadComparison:
    """Both reads.

    Attributes:
        ours: processor seconds of each run.
        official: the same of the official program; empty without a checkout.
        difference: the largest one of the readouts, in standard deviations of the values.
    """

    ours: tuple[float, ...]
    official: tuple[float, ...]
    difference: float | None

    def lines(self) -> list[str]:
        """The result as lines of text."""
        ours = statistics.median(self.ours)
        text = f"ours {1000 * ours:.0f} ms"
        if self.official:
            theirs = statistics.median(self.official)
            text += f", official {1000 * theirs:.0f} ms, ratio {theirs / ours:.2f}"
            text += f", readouts differ by {self.difference:.1e} at most"
        return [text]


def compare_reads(
    system: str,
    official_path: str | None,
    *,
    size: tuple[int, int] = (480, 854),
    memory: int = 20,
    objects: int = 1,
    repeats: int = 5,
    settings: dict | None = None,
    official_python: str = sys.executable,
) -> ReadComparison:
    """Runs both reads in turn on random keys and values.

    Args:
        system: "mask_propagation", "stcn" or "rde" (whose read is that of its "stm" mode).
        official_path: checkout of the official program; None measures ours alone.
        size: of the frames.
        memory: frames in the memory.
        objects: of the video; keys are one set for all where they depend on the image alone.
        repeats: runs of each, after one that warms up.
        settings: constructor arguments of the system: `top_k`, and what else the read needs.
        official_python: a Python that has torch.

    Raises:
        ConfigError: a system without such a memory, or one of the programs failed.
    """
    if system not in OFFICIAL:
        raise ConfigError(f"--system {system}: its read is not measured; use one of {OFFICIAL}")
    module = registry.build(system, **(settings or {}))
    shared = system != "mask_propagation"
    grid = tuple(-(-side // STRIDE) for side in size)
    reading = {"grid": grid, "similarity": "l2" if shared else "dot", "top_k": module.top_k}
    reading |= {} if shared else {"sigma": module.sigma}
    commands = [[sys.executable, "-m", "vos_jax.benchmarking.read_worker"]]
    if official_path is not None:
        driver = str(DRIVERS / "memory_read.py")
        commands.append([official_python, driver, str(Path(official_path).resolve()), system])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays = _arrays(module, grid[0] * grid[1], memory, objects, shared, folder)
        request = {"arrays": arrays, "reading": reading, "shared": shared}
        return _compare(commands, request, repeats, folder)


def _compare(commands, request: dict, repeats: int, folder: Path) -> ReadComparison:
    """Starts the programs and asks each in turn; the readouts are those of the last runs."""
    files = [str(folder / f"readout{number}.npy") for number in range(len(commands))]
    workers = [Worker(command, folder) for command in commands]
    asked = list(zip(workers, files, strict=True))
    try:
        runs = [
            [worker.ask(request | {"readout": file})["seconds"] for worker, file in asked]
            for _ in range(repeats)
        ]
    finally:
        for worker in workers:
            worker.close()
    readouts = [np.load(file) for file in files]
    ours, *official = zip(*runs, strict=True)
    difference = float(np.abs(readouts[0] - readouts[1]).max()) if official else None
    return ReadComparison(ours, official[0] if official else (), difference)


def _arrays(module, tokens: int, memory: int, objects: int, shared: bool, folder: Path) -> str:
    """A file of random arrays, of standard deviation 1."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    keys = random(1 if shared else objects, memory, tokens, module.key_channels)
    path = str(folder / "arrays.npz")
    np.savez(
        path,
        query=random(tokens, module.key_channels),
        keys=np.broadcast_to(keys, (objects, *keys.shape[1:])),
        values=random(objects, memory, tokens, module.value_channels),
    )
    return path
