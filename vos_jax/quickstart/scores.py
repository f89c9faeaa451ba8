"""Scores as `vos_jax.evaluate` wrote them, in percent, and the machine they came from."""

import csv
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jax

from vos_jax.quickstart.clips import SPLIT

COLUMNS = ("J&F", "J", "F")


@dataclass(frozen=True)
class Scores:
    """What evaluate says of one folder of results, in percent.

    Attributes:
        overall: J&F, J and F, means over all objects.
        objects: J and F by object, named <video>_<object>.
    """

    overall: dict[str, float]
    objects: dict[str, tuple[float, float]]


def read_scores(results: Path) -> Scores:
    """Reads the two tables in a folder of results."""
    with (results / f"global_results-{SPLIT}.csv").open() as file:
        (row,) = csv.DictReader(file)
    overall = {name: 100 * float(row[f"{name}-Mean"]) for name in COLUMNS}
    with (results / f"per-sequence_results-{SPLIT}.csv").open() as file:
        objects = {
            row["Sequence"]: (100 * float(row["J-Mean"]), 100 * float(row["F-Mean"]))
            for row in csv.DictReader(file)
        }
    return Scores(overall, objects)


def machine() -> dict[str, str]:
    """What this machine is and what runs on it."""
    device = jax.devices()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory",
        "JAX runs on": f"{device.platform} ({device.device_kind}), {jax.device_count()} device(s)",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "software": ", ".join(
            [f"Python {platform.python_version()}"]
            + [f"{name} {version(name)}" for name in ("vos_jax", "jax", "flax", "numpy")]
        ),
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
