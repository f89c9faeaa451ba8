"""How every command of the library ends: an exit code and at most one line of error."""

import sys
from collections.abc import Callable

from vos_jax.core.errors import VosError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def run_command(
    main: Callable[[list[str] | None], int | None], argv: list[str] | None = None
) -> int:
    """Calls a command's `main` and turns what comes of it into an exit code.

    Args:
        main: takes the arguments (None: those of the process), returns an exit code or None.
        argv: arguments without the program's name.

    Returns:
        The code of `main` (None counts as 0); 2 after a `VosError`, whose message goes to
        stderr as one line; 130 after an interrupt from the keyboard.
    """
    try:
        return main(argv) or 0
    except VosError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
