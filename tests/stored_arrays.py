"""What checkpoints of two runs hold, to compare them to the bit."""

import json
from pathlib import Path

import jax
import numpy as np

from vos_jax.checkpoints.store import ARRAY_ITEMS, CHECKPOINTS, _read_arrays


def everything(workdir: Path, step: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All arrays of a checkpoint by item and path, and the state of the data."""
    folder = workdir / CHECKPOINTS / str(step)
    arrays = {}
    for item in ARRAY_ITEMS:
        if (folder / item).exists():
            leaves = jax.tree_util.tree_leaves_with_path(_read_arrays(folder / item))
            arrays |= {f"{item}{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}
    return arrays, json.loads((folder / "data" / "metadata").read_text())


def assert_same(workdir: Path, other: Path, step: int) -> int:
    """Compares one step of two runs bit by bit; returns the number of arrays."""
    (found, found_data), (expected, expected_data) = (
        everything(at, step) for at in (workdir, other)
    )
    assert found_data == expected_data
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    return len(found)
