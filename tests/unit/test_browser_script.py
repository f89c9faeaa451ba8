"""scripts/browser, beside stand-ins for the browser, apt-get and id."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/browser"
BASH = "/bin/bash"
APT = """#!/bin/bash
echo "$*" >>"$CALLS"
case "$1" in "$FAILS") exit 100 ;; esac
[ "$1" != install ] || { echo '#!/bin/bash' >"$BIN/chromium"; /bin/chmod +x "$BIN/chromium"; }
"""


@pytest.fixture
def machine(tmp_path):
    """Runs the script where nothing is installed but what the test names."""
    calls = tmp_path / "calls"
    calls.write_text("")

    def run(*programs: str, user: int = 0, fails: str = "nothing"):
        contents = {"id": f"#!/bin/bash\necho {user}\n", "apt-get": APT}
        for name in ("id", *programs):
            (tmp_path / name).write_text(contents.get(name, "#!/bin/bash\n"))
            (tmp_path / name).chmod(0o755)
        environment = {"PATH": str(tmp_path), "BIN": str(tmp_path), "CALLS": str(calls)}
        done = subprocess.run(
            [BASH, SCRIPT], env=environment | {"FAILS": fails}, capture_output=True, text=True
        )
        return done, calls.read_text().splitlines()

    return run


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
@pytest.mark.parametrize("user", [0, 1000])
def test_a_browser_that_is_there_is_taken(machine, tmp_path, name, user):
    done, calls = machine(name, "apt-get", user=user)
    assert (done.returncode, done.stdout, calls) == (0, f"{tmp_path / name}\n", [])


def test_a_missing_browser_is_installed(machine, tmp_path):
    done, calls = machine("apt-get")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'chromium'}\n"), done.stderr
    assert [call.split()[0] for call in calls] == ["update", "install"]
    assert calls[1].endswith(" chromium")


@pytest.mark.parametrize("programs, user", [((), 0), (("apt-get",), 1000)])
def test_who_cannot_install_is_told_what_is_missing(machine, programs, user):
    done, calls = machine(*programs, user=user)
    assert (done.returncode, done.stdout, calls) == (1, "", [])
    assert done.stderr.startswith("error: no chromium") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("step", ["update", "install"])
def test_a_failed_install_ends_with_its_code(machine, step):
    done, _ = machine("apt-get", fails=step)
    assert done.returncode == 100
