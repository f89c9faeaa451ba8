"""Settings as commands read them, and how commands end."""

import subprocess
import sys

import pytest

from vos_jax.core.commands import setting
from vos_jax.core.errors import ConfigError


@pytest.mark.parametrize(
    "text, expected",
    [
        ("min_dim=576", ("min_dim", 576)),
        ("rate=1e-4", ("rate", 1e-4)),
        ("include_last=true", ("include_last", True)),
        ("mode=two-frames-compress", ("mode", "two-frames-compress")),
        ("widths=[64, 32]", ("widths", [64, 32])),
        ("note=a=b", ("note", "a=b")),
        ("note=", ("note", "")),
    ],
)
def test_values_are_json_or_text(text, expected):
    assert setting(text) == expected


def test_a_name_alone_is_refused():
    with pytest.raises(ConfigError, match="'width' is not NAME=VALUE"):
        setting("width")


TALKER = """
import sys
from vos_jax.core.commands import run_command
def main(argv):
    for number in range({lines}):
        print("a line of some length", number)
    {after}
sys.exit(run_command(main))
"""


def started(**parts) -> subprocess.Popen:
    command = [sys.executable, "-c", TALKER.format(**parts)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("lines", [100, 100_000])
def test_a_reader_that_goes_ends_the_command_without_a_trace(lines):
    process = started(lines=lines, after="import time; time.sleep(0.5)")
    if lines > 1_000:
        process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize(
    "after, code, said",
    [
        ("pass", 0, ""),
        ("return 3", 3, ""),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        (
            "from vos_jax.core.errors import MaskError; raise MaskError('a.png:\\n no')",
            2,
            "error: a.png: no\n",
        ),
    ],
)
def test_exit_codes(after, code, said):
    process = started(lines=2, after=after)
    output, errors = process.communicate()
    assert (process.returncode, errors) == (code, said)
    assert output.count("\n") == 2
