"""How a process that joined others ends: politely when all is well, else at once."""

import os

import jax
import pytest

from vos_jax.core.errors import RecordError
from vos_jax.training.processes import EXIT_FAILED, EXIT_LOST, run_joined
from vos_jax.training.stopping import EXIT_STOPPED

LOST = jax.errors.JaxRuntimeError("INTERNAL: Gloo AllGather failed: Connection reset by peer")
FULL = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes")


class EndedAtOnceError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(name="joined")
def joining_is_noted(monkeypatch):
    """What `jax.distributed.initialize` was called with."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **given: calls.append(given))

    def end(code):
        raise EndedAtOnceError(code)

    monkeypatch.setattr(os, "_exit", end)
    for name in ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"):
        monkeypatch.delenv(name, raising=False)
    return calls


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize("code", [0, EXIT_STOPPED])
def test_a_good_end_waits_for_the_others(joined, code):
    assert run_joined(lambda: code, 60) == code
    none = {"num_processes": None, "process_id": None}
    assert joined == [{**none, "heartbeat_timeout_seconds": 60}]


def test_the_environment_names_the_process(joined, monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    run_joined(lambda: 0, 60)
    assert joined[0]["num_processes"] == 4 and joined[0]["process_id"] == 0


@pytest.mark.parametrize(
    "error, code, said",
    [
        (RecordError("a.tfrecord: cut"), 2, "error: a.tfrecord: cut"),
        (LOST, EXIT_LOST, "another process has ended; its log says why"),
        (FULL, EXIT_FAILED, "Out of memory"),
        (ValueError("odd"), EXIT_FAILED, "ValueError: odd"),
    ],
    ids=["stated", "lost", "memory", "unforeseen"],
)
def test_a_failed_process_ends_at_once(joined, capsys, error, code, said):
    with pytest.raises(EndedAtOnceError) as ended:
        run_joined(raising(error), 60)
    assert ended.value.args == (code,)
    told = capsys.readouterr().err
    assert said in told
    assert ("another process" in told) == (code == EXIT_LOST)
    assert ("Traceback" in told) == (code != 2)


def test_codes_are_told_apart():
    assert len({0, 2, EXIT_FAILED, EXIT_LOST, EXIT_STOPPED}) == 5
