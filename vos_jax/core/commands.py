"""What the commands share: settings on the command line; an exit code and one line of error."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from vos_jax.core.errors import ConfigError, VosError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""What a shell says of a program that wrote to a pipe nobody reads."""


def run_command(
    main: Callable[[list[str] | None], int | None], argv: list[str] | None = None
) -> int:
    """Calls a command's `main` and turns what comes of it into an exit code.

    Args:
        main: takes the arguments (None: those of the process), returns an exit code or None.
        argv: arguments without the program's name.

    Returns:
        The code of `main` (None counts as 0); 2 after a `VosError`, whose message goes to
        stderr as one line; 130 after an interrupt from the keyboard; 141 where the reader of
        stdout (`head`) has gone.
    """
    try:
        code = main(argv) or 0
        sys.stdout.flush()
        return code
    except VosError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD


def setting(text: str) -> tuple[str, Any]:
    """Splits NAME=VALUE; the value is JSON or plain text. Raises `ConfigError` without a "="."""
    name, found, value = text.partition("=")
    if not found:
        raise ConfigError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
