"""Worker processes that die, that are told to stop, and whose training process dies."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.clip_sets import still_set
from vos_jax.core.errors import CapacityError
from vos_jax.data.augment import StillAugmentation
from vos_jax.data.clips import StillClips
from vos_jax.data.pipeline import make_loader
from vos_jax.data.records import RecordSet
from vos_jax.data.workers import STARTS

ROOT = Path(__file__).resolve().parents[3]
TAKER = """
import sys, time
from tests.unit.data.test_workers import open_loader, workers_of
if __name__ == "__main__":
    loader = open_loader(sys.argv[1], 1)
    next(loader)
    print(*workers_of(), flush=True)
    time.sleep(600)
"""


class Deadly(StillClips):
    """Clips whose making kills the process."""

    def clip(self, *choices):
        os.kill(os.getpid(), signal.SIGKILL)


def open_loader(path, workers, clips=StillClips):
    source = clips(RecordSet(path, "train"), StillAugmentation(min_area=100), min_area=300)
    return make_loader([(source, 1.0)], batch_size=2, seed=0, canvases=((64, 96),), workers=workers)


def workers_of():
    return [each.pid for each in multiprocessing.active_children()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("set")
    still_set(path)
    return path


@pytest.mark.parametrize("workers, taken", [(1, 1), (2, 2)])
def test_a_killed_worker_is_replaced_and_the_stream_goes_on(folder, caplog, workers, taken):
    whole, loader = open_loader(folder, 0), open_loader(folder, workers)
    batches = [next(loader) for _ in range(taken)]
    os.kill(workers_of()[-1], signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        batches += [next(loader) for _ in range(9)]
    (record,) = caplog.records
    assert "made by new workers" in record.message and "-9" in record.message
    for batch in batches:
        for field, value in next(whole).items():
            np.testing.assert_array_equal(batch[field], value)
    assert len(workers_of()) == workers
    loader.close()


def test_workers_that_always_die_end_the_stream(folder):
    with pytest.raises(CapacityError, match=f"batch 0 died {STARTS} times.*config.data.workers"):
        next(open_loader(folder, 1, Deadly))
    assert workers_of() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals_are_the_training_process_s_affair(folder, caplog, number):
    loader = open_loader(folder, 1)
    next(loader)
    os.kill(workers_of()[0], number)
    for _ in range(8):
        next(loader)
    assert caplog.records == []
    loader.close()
    assert workers_of() == []


def test_workers_end_when_their_process_is_killed(folder):
    taker = subprocess.Popen(
        [sys.executable, "-c", TAKER, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    worker = int(taker.stdout.readline())
    taker.kill()
    taker.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{worker}/cmdline").exists():
        assert time.monotonic() < deadline, f"worker {worker} is still there"
        time.sleep(0.05)
