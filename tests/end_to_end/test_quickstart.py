"""scripts/quickstart from end to end, small, and once more."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--steps", "10", "--videos", "6", "--held_out", "2", "--seed", "1")


def quickstart(output: Path, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [ROOT / "scripts/quickstart", "--output", output, *flags],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    output = tmp_path_factory.mktemp("quickstart") / "out"
    return output, quickstart(output, *SMALL)


def test_everything_is_made(first):
    output, done = first
    assert done.returncode == 0, done.stdout + done.stderr
    assert "J&F of the trained model:" in done.stdout
    for name in ("overlay.mp4", "training_curve.png", "report.html", "workdir/config.json"):
        assert (output / name).stat().st_size > 0
    for folder in ("results", "copied"):
        assert len(list((output / folder).glob("val_0000?/*.png"))) == 20


def test_the_report_holds_both_scores(first):
    output, done = first
    page = (output / "report.html").read_text()
    for line in done.stdout.splitlines():
        if line.startswith("J&F of"):
            assert line.split()[-1] in page
    assert "--config configs/quickstart.py" in page


def test_steps_stand_in_the_journal_and_are_not_done_again(first):
    output, _ = first
    before = json.loads((output / "quickstart.json").read_text())
    checkpoint = (output / "workdir/metrics.jsonl").stat().st_mtime_ns
    done = quickstart(output, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("done before") == len(before["steps"]) - 1
    assert json.loads((output / "quickstart.json").read_text()) == before
    assert (output / "workdir/metrics.jsonl").stat().st_mtime_ns == checkpoint


def test_another_seed_needs_another_folder(first):
    done = quickstart(first[0], *SMALL[:-1], "2")
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert "choose another --output" in done.stderr
