"""A run that is told to stop, or killed, goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from vos_jax.checkpoints.store import Store, load_params
from vos_jax.training.stopping import EXIT_STOPPED

ROOT = Path(__file__).resolve().parents[2]
STEPS = 400


def start(workdir: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.toy_training", workdir, f"steps={STEPS}", *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(workdir: Path, step: int, process: subprocess.Popen) -> None:
    """Waits until a checkpoint of that step or a later one is there."""
    for _ in range(6000):
        names = [path.name for path in (workdir / "checkpoints").glob("*")]
        if max((int(name) for name in names if name.isdecimal()), default=0) >= step:
            return
        assert process.poll() is None, "the run ended too early"
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint {step}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Parameters of a run nobody disturbed."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    assert start(workdir, "checkpoints.every=200").wait(300) == 0
    return load_params(workdir)


def same(found, expected):
    assert found[1] == expected[1] == STEPS
    jax.tree.map(np.testing.assert_array_equal, found[0], expected[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_saves_and_the_same_command_goes_on(tmp_path, undisturbed, number):
    process = start(tmp_path, "checkpoints.every=20")
    wait_for(tmp_path, 20, process)
    os.kill(process.pid, number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == EXIT_STOPPED
    stopped = Store(tmp_path).latest_step()
    assert 20 <= stopped < STEPS
    assert f"stopped after update {stopped}, saved" in said
    process = start(tmp_path, "checkpoints.every=200")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and f"resuming after update {stopped}" in said
    same(load_params(tmp_path), undisturbed)


def test_killed_at_any_moment_it_goes_on_from_a_complete_checkpoint(tmp_path, undisturbed):
    rng = np.random.default_rng(5)
    for kill in range(3):
        process = start(tmp_path, "checkpoints.every=3")
        wait_for(tmp_path, 9 * (kill + 1), process)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    assert start(tmp_path, "checkpoints.every=200").wait(300) == 0
    same(load_params(tmp_path), undisturbed)
