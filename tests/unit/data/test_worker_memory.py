"""How a process that makes batches is tuned: one thread, and memory that is kept."""

import subprocess
import sys

import cv2

from vos_jax.data import workers

COUNT_FAULTS = """
import resource, sys
import numpy as np
from vos_jax.data.workers import use_one_core
if sys.argv[1] == "tuned":
    use_one_core()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    kept = [np.ones(n << 20, np.uint8) for n in (2, 3, 8, 1, 12)]
    del kept
for _ in range(3):
    use()
before = faults()
for _ in range(10):
    use()
print(faults() - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", COUNT_FAULTS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_of_freed_arrays_is_kept_for_the_next():
    assert faults("tuned") < 500 < 10_000 < faults("plain")


def test_opencv_uses_one_thread_and_a_libc_without_the_setting_is_left_alone(monkeypatch):
    before = cv2.getNumThreads()
    monkeypatch.setattr(workers.ctypes, "CDLL", lambda name: object())
    cv2.setNumThreads(2)
    workers.use_one_core()
    assert cv2.getNumThreads() == 1
    cv2.setNumThreads(before)
