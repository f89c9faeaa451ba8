"""Stop signals: the update under way is finished, training is saved, the command ends.

A signal to one of several processes stops all of them after the same update: JAX's preemption
service has taken SIGTERM when it was joined, so that signal is left to it, and SIGINT handed on.
"""

import signal
from types import FrameType

import jax
from jax.experimental import multihost_utils

EXIT_STOPPED = 75
"""Exit code of a run that was told to stop and saved itself: run the same command again."""


class StopRequest:
    """Notices SIGTERM and SIGINT while it is entered; a second signal acts as usual."""

    def __init__(self):
        """Nothing has been requested."""
        self._requested, self._several = False, jax.process_count() > 1
        self._previous = {}

    def __enter__(self) -> "StopRequest":
        """Takes over the signals."""
        numbers = (signal.SIGINT,) if self._several else (signal.SIGINT, signal.SIGTERM)
        self._previous = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *error) -> None:
        """Gives the signals back."""
        self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._give_back()
        if self._several:
            signal.raise_signal(signal.SIGTERM)

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def after(self, step: int) -> bool:
        """Whether to stop after this update; several processes agree on the same one."""
        if self._several:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._requested
