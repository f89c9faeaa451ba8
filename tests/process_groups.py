"""Several processes on one machine that train together, and end with the test."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 420


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Ended:
    """How the processes ended: their exit codes, and what they wrote, in order of processes."""

    codes: list[int]
    texts: list[str]


class Group:
    """Processes that were started together, with their output in one file each."""

    def __init__(self, processes: Sequence[subprocess.Popen], logs: Sequence[Path]):
        """Made by `started`."""
        self._processes, self._logs = processes, logs

    def texts(self) -> list[str]:
        """What the processes have written so far."""
        return [log.read_text() for log in self._logs]

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits for something while all processes run."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            running = all(process.poll() is None for process in self._processes)
            assert running and time.monotonic() < end, "\n".join(self.texts())
            time.sleep(0.05)

    def send(self, number: signal.Signals, process: int) -> None:
        """Sends a signal to one of them."""
        self._processes[process].send_signal(number)

    def wait_for_end(self, process: int) -> None:
        """Waits until one of them has ended by itself."""
        try:
            self._processes[process].wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise AssertionError("still running\n" + "\n".join(self.texts())) from error

    def ended(self) -> Ended:
        """Waits until all have ended by themselves."""
        for process in range(len(self._processes)):
            self.wait_for_end(process)
        return Ended([process.returncode for process in self._processes], self.texts())


@contextlib.contextmanager
def started(
    arguments: Sequence[object], logs: Path, *, processes: int = 1, devices: int = 1
) -> Iterator[Group]:
    """Starts `python ARGUMENTS` in several processes of several simulated devices each.

    Args:
        arguments: of Python.
        logs: folder for what the processes write.
        processes: their number; one does not join anything.
        devices: of each of them.
    """
    logs.mkdir(parents=True, exist_ok=True)
    coordinator = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}",
        "JAX_NUM_PROCESSES": str(processes),
    }
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    paths, running = [logs / f"log_{number}.txt" for number in range(processes)], []
    try:
        for number, path in enumerate(paths):
            joined = {**coordinator, "JAX_PROCESS_ID": str(number)} if processes > 1 else {}
            with path.open("w") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, *map(str, arguments)],
                        cwd=ROOT,
                        env={**os.environ, "XLA_FLAGS": flags, **joined},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        yield Group(running, paths)
    finally:
        for process in running:
            process.kill()
            process.wait()


def run_group(
    arguments: Sequence[object], logs: Path, *, processes: int = 1, devices: int = 1
) -> Ended:
    """Starts processes as `started` does and waits for their end."""
    with started(arguments, logs, processes=processes, devices=devices) as group:
        return group.ended()
