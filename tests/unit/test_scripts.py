"""scripts/setup and scripts/test, run beside a stand-in for Python that writes down its calls."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *version_info\\ *) exit "${TOO_OLD:-0}" ;;
    *version_info*) echo "$VERSION" ;;
    *venv*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
    *pip*) echo "constraints: ${PIP_CONSTRAINT:-} ${PIP_BUILD_CONSTRAINT:-}" >>"$CALLS"
        exit "${PIP_FAILS:-0}" ;;
    *"${FAILS:-nothing}"*) exit 3 ;;
esac
"""


class Checkout:
    """A folder with the scripts and a stand-in for Python."""

    def __init__(self, root: Path):
        self.root = root
        shutil.copytree(SCRIPTS, root / "scripts")
        (root / "pyproject.toml").write_text("[project]\n")
        (root / "constraints").mkdir()
        (root / "constraints/python-3.11.txt").write_text("jax==1\n")
        (root / "stand_in").write_text(STAND_IN)
        (root / "stand_in").chmod(0o755)
        (root / "bin").mkdir()
        (root / "bin/chromium").symlink_to("/bin/true")

    def start(self, script: str, *arguments: str, **environment: str):
        """Runs a script; returns the process and the calls of Python that it made."""
        calls = self.root / "calls"
        calls.write_text("")
        known = {"CALLS": str(calls), "PYTHON": str(self.root / "stand_in"), "VERSION": "3.11"}
        known["PATH"] = f"{self.root / 'bin'}:{os.environ['PATH']}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        done = subprocess.run(
            [self.root / "scripts" / script, *arguments],
            env=inherited | known | environment,
            cwd="/",
            capture_output=True,
            text=True,
        )
        return done, calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def installed(checkout):
    assert checkout.start("setup")[0].returncode == 0
    return checkout


def test_setup_makes_an_environment_and_installs_with_constraints(checkout):
    done, calls = checkout.start("setup")
    assert done.returncode == 0, done.stderr
    assert f"-m venv --clear {checkout.root}/.venv" in calls
    assert "-m pip install --quiet --disable-pip-version-check -e .[dev]" in calls
    path = checkout.root / "constraints/python-3.11.txt"
    assert f"constraints: {path} {path}" in calls


def test_setup_installs_other_extras_when_asked(checkout):
    _, calls = checkout.start("setup", EXTRAS="tpu")
    assert any(call.endswith("-e .[tpu]") for call in calls)


def test_a_second_start_does_nothing(installed):
    done, calls = installed.start("setup")
    assert (done.returncode, done.stdout, calls) == (0, "", [])


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints/python-3.11.txt"])
def test_changes_install_again_into_the_same_environment(installed, name):
    with (installed.root / name).open("a") as file:
        file.write("# changed\n")
    _, calls = installed.start("setup")
    assert any("pip install" in call for call in calls)
    assert not any("venv --clear" in call for call in calls)
    assert installed.start("setup")[1] == []


def test_a_failed_install_is_tried_again(checkout):
    done, _ = checkout.start("setup", PIP_FAILS="1")
    assert done.returncode != 0
    done, calls = checkout.start("setup")
    assert done.returncode == 0
    assert any("pip install" in call for call in calls)


def test_an_environment_whose_python_is_gone_is_made_anew(installed):
    (installed.root / ".venv/bin/python").unlink()
    done, calls = installed.start("setup")
    assert done.returncode == 0
    assert f"-m venv --clear {installed.root}/.venv" in calls


def test_other_versions_get_the_newest_packages_and_are_told(checkout):
    done, calls = checkout.start("setup", VERSION="3.99")
    assert "no constraints for Python 3.99" in done.stdout
    assert "constraints:  " in calls


def test_an_old_python_is_refused_with_the_remedy(checkout):
    done, calls = checkout.start("setup", TOO_OLD="1")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not any("venv" in call for call in calls)


def test_plain_tests_leave_the_long_ones_out(installed):
    done, calls = installed.start("test", "-k", "palette")
    assert done.returncode == 0
    (call,) = calls
    assert call.startswith("-m pytest ")
    assert "-m not whole" in call
    for folder in ("training", "end_to_end", "with_shared"):
        assert f"--ignore=tests/{folder}" in call
    assert call.endswith(" -k palette")


def test_all_tests_run_behind_the_linter(installed):
    _, calls = installed.start("test", "--all", "-k", "palette")
    assert calls[:2] == ["-m ruff check .", "-m ruff format --check ."]
    assert "whole" not in calls[2] and "ignore" not in calls[2]
    assert calls[2].endswith(" -k palette")


@pytest.mark.parametrize("failing, ran", [("ruff check", 1), ("--check", 2), ("pytest", 3)])
def test_what_fails_ends_the_run(installed, failing, ran):
    done, calls = installed.start("test", "--all", FAILS=failing)
    assert done.returncode == 3
    assert len(calls) == ran


def test_quickstart_hands_its_arguments_on(installed):
    _, calls = installed.start("quickstart", "--output", "somewhere", "--seed", "3")
    expected = r"-m vos_jax.quickstart --setup_seconds \d+ --output somewhere --seed 3"
    assert len(calls) == 1
    assert re.fullmatch(expected, calls[0])
