"""Results on disk, written while the next frames are computed."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vos_jax.core.errors import OutputError
from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.io.images import write_mask


class Background:
    """Work done in threads behind the caller's back, a bounded amount at a time.

    A context: leaving it waits for all work. The first error of the work is raised by the next
    `submit`, or at the end.

    Args:
        threads: how many work; one keeps the order.
        waiting: calls that may wait before `submit` blocks, so that memory stays flat.
    """

    def __init__(self, threads: int = 1, waiting: int = 16):
        """Starts nothing yet."""
        self._pool = ThreadPoolExecutor(threads)
        self._places = threading.BoundedSemaphore(threads + waiting)
        self._error: BaseException | None = None

    def submit(self, work: Callable, *arguments) -> None:
        """Has `work(*arguments)` done."""
        self._raise()
        self._places.acquire()
        self._pool.submit(work, *arguments).add_done_callback(self._done)

    def _done(self, future: Future) -> None:
        self._places.release()
        if not future.cancelled() and self._error is None:
            self._error = future.exception()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> "Background":
        """Enters the context."""
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Waits for the work; after an error of the caller, drops what was not begun."""
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self._raise()


class PngWriter(Background):
    """Palette PNGs of one video, each complete or not there at all.

    Args:
        folder: made if it is not there.
        palette: uint8 [256, 3] RGB.
        threads: how many compress at once.

    Raises:
        OutputError: the folder cannot be made, or a file not be written.
    """

    def __init__(
        self, folder: str | os.PathLike, palette: np.ndarray = DAVIS_PALETTE, threads: int = 2
    ):
        """Makes the folder."""
        super().__init__(threads)
        self._folder = make_folder(folder)
        self._palette = palette

    def write(self, name: str, labels: np.ndarray) -> None:
        """Has object ids, uint8 [h, w], written as `<name>.png`."""
        self.submit(write_mask, self._folder / f"{name}.png", labels, self._palette)


def make_folder(folder: str | os.PathLike) -> Path:
    """Makes a folder for results, with its parents.

    Raises:
        OutputError: it cannot be made, or not be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror}); choose another place for results"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: is not writable; choose another place for results")
    return folder


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file that is complete or not there at all.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
