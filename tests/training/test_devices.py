"""Eight simulated devices train as one does."""

from pathlib import Path

import numpy as np
import pytest

STEPS = 10
ARGUMENTS = ("steps=10", "batch=8", "checkpoints.every=100", "schedule.rate=1e-3")
LAYOUTS = {
    "eight share the batch": (8, ()),
    "four by two": (8, ("mesh.model=2",)),
    "accumulated": (4, ("accumulate=2",)),
}


def losses(run_python, workdir: Path, devices: int, *more: str) -> np.ndarray:
    done = run_python("-m", "tests.toy_training", workdir, *ARGUMENTS, *more, devices=devices)
    assert done.returncode == 0, done.stderr
    lines = (workdir / "losses.txt").read_text().splitlines()
    return np.array([float.fromhex(line) for line in lines])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_equal_those_of_one_device(run_python, tmp_path, layout):
    devices, more = LAYOUTS[layout]
    settings = [item for item in more if not item.startswith("mesh")]
    one = losses(run_python, tmp_path / "one", 1, *settings)
    several = losses(run_python, tmp_path / "several", devices, *more)
    assert len(one) == len(several) == STEPS
    assert one[0] != one[-1]
    np.testing.assert_allclose(several[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(several, one, rtol=1e-3)


def test_a_run_goes_on_on_other_devices(run_python, tmp_path):
    whole = losses(run_python, tmp_path / "whole", 1)
    losses(run_python, tmp_path / "parts", 8, "steps=5")
    rest = losses(run_python, tmp_path / "parts", 2)
    np.testing.assert_allclose(rest, whole[5:], rtol=1e-3)
