"""Worker processes that make batches: how they end, and how their end is noticed."""

import multiprocessing
import os
import signal
import threading

import cv2

STARTS = 3
"""Times that workers are started for one batch before giving up."""


def settle_in(worker: int, workers: int) -> None:
    """What a worker does first.

    It keeps OpenCV to one thread, so that workers do not compete. It leaves stop signals, which
    terminals and schedulers send to all processes of a run, to the training process. And it ends
    when that process does, even if it was killed.

    Args:
        worker: its number.
        workers: their number.
    """
    cv2.setNumThreads(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def tells_of_death(error: RuntimeError) -> bool:
    """Whether Grain says with this error that a worker is gone; any other is not about workers."""
    return "terminated unexpectedly" in str(error)
