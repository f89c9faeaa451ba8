"""A workdir has one writer: a lock that ends with the process that holds it."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vos_jax.core.errors import ConfigError, OutputError

LOCK = ".lock"


@contextmanager
def claim(workdir: str | os.PathLike[str]) -> Iterator[None]:
    """Holds a workdir for this process; the operating system lets go when the process ends.

    Args:
        workdir: made if needed.

    Raises:
        ConfigError: another run holds it; the message names its host and process.
        OutputError: the workdir cannot be written.
    """
    path = Path(workdir) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
            file.flush()
        except BlockingIOError as error:
            raise ConfigError(
                f"{workdir}: in use by {_holder(path)}; wait for it, or take another workdir"
            ) from error
        except OSError as error:
            raise OutputError(f"{path}: cannot be locked ({error.strerror})") from error
        yield


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
