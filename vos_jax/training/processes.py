"""This process as one of several: joining the others, and not leaving them waiting."""

import os
import sys
import traceback
from collections.abc import Callable

import jax

from vos_jax.core.commands import run_command
from vos_jax.training.stopping import EXIT_STOPPED

EXIT_FAILED = 1
EXIT_LOST = 76
"""Exit code of a process whose computation with the others broke off."""


def run_joined(command: Callable[[], int], heartbeat_s: int) -> int:
    """Calls a command after joining the other processes of a run.

    On TPU, Slurm and Kubernetes, JAX finds the others by itself; elsewhere the environment names
    them: JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID. A process that fails ends
    at once instead of waiting for the others at the door, so that they notice.

    Args:
        command: returns an exit code; may raise.
        heartbeat_s: seconds without a sign of life after which a process counts as dead, which
            ends all others (JAX aborts them, exit code 134).

    Returns:
        The code of the command if that is 0 or `EXIT_STOPPED`. Any other ends the process: 2
        after a `VosError`, `EXIT_LOST` where the computation broke off, mostly since another
        process is gone, 1 after other errors.
    """
    number, count = (os.environ.get(f"JAX_{key}") for key in ("PROCESS_ID", "NUM_PROCESSES"))
    jax.distributed.initialize(
        num_processes=int(count) if count else None,
        process_id=int(number) if number else None,
        heartbeat_timeout_seconds=heartbeat_s,
    )
    try:
        code = run_command(lambda _: command())
    except jax.errors.JaxRuntimeError as error:
        code = _broken_off(error)
    except Exception:
        traceback.print_exc()
        code = EXIT_FAILED
    if code not in (0, EXIT_STOPPED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _broken_off(error: Exception) -> int:
    """Says what is known of an error of the runtime; memory is this process's own matter."""
    traceback.print_exc()
    if "RESOURCE_EXHAUSTED" in str(error):
        return EXIT_FAILED
    print(
        f"error: process {jax.process_index()} of {jax.process_count()}: the computation broke "
        "off, most likely since another process has ended; its log says why. Start all of them "
        "again: they go on from the last checkpoint",
        file=sys.stderr,
    )
    return EXIT_LOST
