"""Workdirs as training leaves them, the infer command on them, and the masks it wrote."""

from pathlib import Path
from typing import Any

import numpy as np

from vos_jax import infer
from vos_jax.checkpoints.store import Checkpoint, Store, save_settings
from vos_jax.core.commands import run_command
from vos_jax.io.images import read_mask


def write_workdir(
    folder: Path, system: str, model: dict, params: Any, step: int = 1, **settings: Any
) -> Path:
    """A workdir with one checkpoint; returns its folder."""
    save_settings(folder, {"system": system, "model": model, **settings})
    with Store(folder) as store:
        store.save(step, Checkpoint(params=params))
    return folder


def call(workdir: Path, *arguments: object) -> int:
    """Runs the command in this process; returns its exit code."""
    return run_command(infer.main, ["--workdir", str(workdir), *map(str, arguments)])


def results(folder: Path) -> dict[str, np.ndarray]:
    """All masks under a folder of results, by their paths there."""
    return {str(path.relative_to(folder)): read_mask(path) for path in folder.glob("*/*.png")}
