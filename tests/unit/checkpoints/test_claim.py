"""One writer per workdir."""

import errno
import os
import socket
import subprocess
import sys

import pytest

from vos_jax.checkpoints.claim import claim
from vos_jax.core.errors import ConfigError, OutputError

HOLDER = """
import sys, time
from vos_jax.checkpoints.claim import claim
with claim(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the workdir."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_second_run_is_refused_and_told_who_holds_it(tmp_path, holder):
    message = f"{tmp_path}: in use by process {holder.pid} on {socket.gethostname()}"
    with pytest.raises(ConfigError, match=message), claim(tmp_path):
        pass


def test_a_killed_run_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    with claim(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / ".lock").read_text()


def test_same_process_cannot_claim_twice_but_again_after(tmp_path):
    for _ in range(2):
        with claim(tmp_path):
            with pytest.raises(ConfigError, match=f"process {os.getpid()}"), claim(tmp_path):
                pass


def test_released_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), claim(tmp_path):
        raise RuntimeError
    with claim(tmp_path):
        pass


def test_unreadable_holder_is_another_process(tmp_path):
    with claim(tmp_path):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(ConfigError, match="another process"), claim(tmp_path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSPC, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_lock_is_named(tmp_path, monkeypatch, number):
    """Such a failure is no sign of another run."""

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vos_jax.checkpoints.claim.fcntl.flock", fail)
    with pytest.raises(OutputError, match=f"cannot be locked .{os.strerror(number)}"):
        with claim(tmp_path):
            pass


def test_makes_the_workdir(tmp_path):
    with claim(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_workdir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/.lock"), claim(tmp_path / "file"):
        pass
