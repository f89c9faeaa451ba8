"""One of several processes is told to stop, dies, or meets an error: all of them end."""

import re
import signal
from pathlib import Path

import pytest

from tests.process_groups import run_group, started
from vos_jax.checkpoints.store import Store
from vos_jax.training.processes import EXIT_LOST
from vos_jax.training.stopping import EXIT_STOPPED

ENDLESS = 1_000_000
PROCESSES = 2
ABORTED = -signal.SIGABRT


def arguments(workdir: Path, *more: str) -> tuple:
    return "-m", "tests.numbered_training", workdir, "checkpoints.every=10", *more


def step_is_saved(workdir: Path) -> bool:
    return (workdir / "checkpoints" / "10").is_dir()


def running(workdir: Path):
    """A context of two processes that train until something happens to them."""
    return started(arguments(workdir, f"steps={ENDLESS}"), workdir / "logs", processes=PROCESSES)


def goes_on(workdir: Path) -> int:
    """Has one process make one more update; returns the step it went on from."""
    last = Store(workdir).latest_step()
    done = run_group(arguments(workdir, f"steps={last + 1}"), workdir / "logs")
    assert done.codes == [0], done.texts
    assert Store(workdir).latest_step() == last + 1
    return int(re.search(r"resuming after update (\d+)", done.texts[0])[1])


@pytest.mark.parametrize("number, process", [(signal.SIGTERM, 1), (signal.SIGINT, 0)])
def test_a_signal_to_one_stops_all_after_the_same_update(tmp_path, number, process):
    with running(tmp_path) as group:
        group.wait_until(lambda: step_is_saved(tmp_path))
        group.send(number, process)
        ended = group.ended()
    assert ended.codes == [EXIT_STOPPED] * PROCESSES, ended.texts
    stopped = int(re.search(r"stopped after update (\d+), saved", ended.texts[0])[1])
    assert stopped == Store(tmp_path).latest_step() < ENDLESS
    assert goes_on(tmp_path) == stopped


@pytest.mark.parametrize("victim", range(PROCESSES))
def test_when_one_dies_the_others_end_and_say_so(tmp_path, victim):
    with running(tmp_path) as group:
        group.wait_until(lambda: step_is_saved(tmp_path))
        group.send(signal.SIGKILL, victim)
        ended = group.ended()
    assert ended.codes[victim] == -signal.SIGKILL
    other = 1 - victim
    line = {
        EXIT_LOST: "another process has ended; its log says why",
        ABORTED: "another task died; see the other task logs",
    }
    assert line[ended.codes[other]] in ended.texts[other]
    assert goes_on(tmp_path) >= 10


def test_a_process_that_is_silent_for_too_long_counts_as_dead(tmp_path):
    with running(tmp_path) as group:
        group.wait_until(lambda: step_is_saved(tmp_path))
        group.send(signal.SIGSTOP, 1)
        group.wait_for_end(0)
        group.send(signal.SIGCONT, 1)
        ended = group.ended()
    assert set(ended.codes) <= {EXIT_LOST, ABORTED}, ended.texts


def test_an_error_of_one_ends_all(tmp_path):
    broken = "data.sources={'broken': {}}"
    more = f"steps={ENDLESS}", broken
    done = run_group(arguments(tmp_path, *more), tmp_path / "logs", processes=PROCESSES)
    assert done.codes[1] == 2
    assert re.search(r"^error: .*of broken cannot be read", done.texts[1], re.M)
    assert "Traceback" not in done.texts[1]
    assert done.codes[0] in (EXIT_LOST, ABORTED)
