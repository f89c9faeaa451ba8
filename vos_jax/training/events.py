"""A file for TensorBoard, written by the thread that calls: what goes wrong is raised there."""

import time
from pathlib import Path

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import image, scalar


class Events:
    """One event file. Raises OSError where it cannot be written."""

    def __init__(self, folder: Path, purge_step: int):
        """Opens a new file; what older ones hold from `purge_step` on, TensorBoard hides."""
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        start = SessionLog(status=SessionLog.START)
        self._write(purge_step, file_version="brain.Event:2")
        self._write(purge_step, session_log=start)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Adds numbers and has everything so far on disk."""
        for name, value in values.items():
            self._write(step, summary=Summary(value=scalar(name, value).value))
        self._writer.flush()

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 [h, w, 3]."""
        self._write(step, summary=image(name, pixels, dataformats="HWC"))

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def _write(self, step: int, **content) -> None:
        self._writer.write_event(Event(step=step, wall_time=time.time(), **content))
