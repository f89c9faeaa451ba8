"""Compiled programs: kept on disk between runs, and counted."""

import contextlib
import dataclasses
import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import jax

from vos_jax.core.errors import ConfigError

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"
WORTH_KEEPING_S = 0.5

log = logging.getLogger(__name__)


def enable_cache(folder: str | os.PathLike | None = None) -> Path | None:
    """Has JAX keep compiled programs in a folder that only this user can reach.

    Whoever can write there can run code as the user, so the folder gets mode 0700 and one that
    belongs to somebody else is refused.

    Args:
        folder: by default `vos_jax/compiled` in $XDG_CACHE_HOME or ~/.cache.

    Returns:
        The folder; None, with a warning, where it cannot be made.

    Raises:
        ConfigError: the folder belongs to another user, or is a link.
    """
    if folder is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vos_jax"
        folder = folder / "compiled"
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise ConfigError(
                f"{folder}: is a link or belongs to another user, so compiled programs in it are "
                "not safe; remove it"
            )
        folder.chmod(0o700)
    except OSError as error:
        log.warning("%s: no place for compiled programs (%s)", folder, error.strerror)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING_S)
    return folder


@dataclasses.dataclass
class Compilations:
    """What one thread compiled.

    Attributes:
        count: programs compiled, or loaded from disk.
        seconds: they took.
    """

    count: int = 0
    seconds: float = 0.0


class _Counters(threading.local):
    def __init__(self):
        self.active: list[Compilations] = []


_counters = _Counters()


def _count(event: str, duration: float, **_) -> None:
    if event == COMPILE_EVENT:
        for counter in _counters.active:
            counter.count += 1
            counter.seconds += duration


jax.monitoring.register_event_duration_secs_listener(_count)


@contextlib.contextmanager
def compilations() -> Iterator[Compilations]:
    """Counts what the calling thread compiles inside the context."""
    counter = Compilations()
    _counters.active.append(counter)
    try:
        yield counter
    finally:
        _counters.active.remove(counter)
