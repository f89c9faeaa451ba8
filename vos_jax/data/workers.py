"""Worker processes that make batches: how they end, and how their end is noticed."""

import ctypes
import multiprocessing
import os
import signal
import threading

import cv2

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's `mallopt`."""
LARGEST_KEPT, MOST_KEPT = 32 << 20, 512 << 20
"""Bytes of the largest array whose memory is kept, which glibc limits, and of all kept memory."""
STARTS = 3
"""Times that workers are started for one batch before giving up."""


def settle_in(worker: int, workers: int) -> None:
    """What a worker does first.

    It is tuned for one core. It leaves stop signals, which terminals and schedulers send to all
    processes of a run, to the training process. And it ends when that process does, even if it
    was killed.

    Args:
        worker: its number.
        workers: their number.
    """
    use_one_core()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def use_one_core() -> None:
    """Tunes a process that makes batches.

    OpenCV keeps to one thread, so that workers do not compete. And glibc keeps freed memory for
    the next arrays: to return that of every picture and to fault it in again costs a third of
    the work.
    """
    cv2.setNumThreads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(TRIM_THRESHOLD, MOST_KEPT)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def tells_of_death(error: RuntimeError) -> bool:
    """Whether Grain says with this error that a worker is gone; any other is not about workers."""
    return "terminated unexpectedly" in str(error)
