"""The evaluate command on tiny sets, and on the recorded ones, as a user runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.result_sets import write_davis, write_results, write_youtube_vos

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests/parity/cases/metrics"


def evaluate(*arguments, status=0):
    """Runs the command in a process of its own; returns what it printed."""
    command = [sys.executable, "-m", "vos_jax.evaluate", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    return done.stdout if not status else done.stderr


@pytest.mark.parametrize(
    "case, dataset", [("semi_supervised", "davis_val"), ("unsupervised", "davis_unsupervised")]
)
def test_tables_have_the_official_text(tmp_path, case, dataset):
    results = tmp_path / "results"
    shutil.copytree(CASES / case / "pred", results)
    arguments = ["--dataset", dataset, "--results", results, "--processes", 1]
    evaluate(*arguments, "--data_root", CASES / case / "gt")
    for expected in (CASES / case).glob("expected_*.csv"):
        written = results / expected.name.removeprefix("expected_")
        assert written.read_text() == expected.read_text()


def test_davis_2017_by_two_processes(tmp_path):
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results", shift=0)
    printed = evaluate(
        *("--dataset", "davis_val", "--results", tmp_path / "results"),
        *("--data_root", tmp_path / "truth", "--processes", 2, "--scores_txt"),
    )
    lines = [line.split() for line in printed.splitlines()]
    assert ["b_1", "100.0", "100.0", "100.0"] in lines
    assert ["all", "objects", "100.0", "100.0", "100.0"] in lines
    assert (
        (tmp_path / "results/global_results-val.csv")
        .read_text()
        .endswith("\n1.000,1.000,1.000,0.000,1.000,1.000,0.000\n")
    )
    assert "GlobalMean: 1.000000" in (tmp_path / "results/scores.txt").read_text()


def test_a_rerun_computes_again(tmp_path):
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results", shift=0)
    arguments = ["--dataset", "davis_val", "--results", tmp_path / "results"]
    arguments += ["--data_root", tmp_path / "truth", "--processes", 1]
    first = evaluate(*arguments)
    write_results(tmp_path / "results", shift=4)
    assert evaluate(*arguments).split("\n")[:5] != first.split("\n")[:5]


def test_davis_2016_and_another_folder_of_masks(tmp_path):
    write_davis(tmp_path, 2016, masks="Mine", lengths=(4,))
    write_results(tmp_path / "results", shift=0, lengths=(4,))
    printed = evaluate(
        *("--dataset", "davis2016_val", "--annotations", "Mine", "--processes", 1),
        *("--data_root", tmp_path, "--results", tmp_path / "results"),
    )
    assert "b_1" in printed and "b_2" not in printed


def test_youtube_vos_groups(tmp_path):
    write_youtube_vos(tmp_path)
    shutil.copytree(tmp_path / "Annotations/v1", tmp_path / "upload/Annotations/v1")
    arguments = ["--dataset", "youtube_vos", "--data_root", tmp_path, "--processes", 1]
    arguments += ["--results", tmp_path / "upload"]
    header = "J_seen,J_unseen,F_seen,F_unseen,overall\n"
    assert header + "100.000,100.000,100.000,100.000,100.000" in evaluate(*arguments)
    assert header + "100.000,,100.000,,100.000" in evaluate(
        *arguments, "--train_meta", tmp_path / "meta.json"
    )
    assert header + "100.000,100.000" in evaluate(*arguments, "--unseen", "dog")
    assert "unicorn" in evaluate(*arguments, "--unseen", "unicorn", status=2)


def test_missing_sequences_stop_or_are_skipped(tmp_path):
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results")
    shutil.rmtree(tmp_path / "truth/Annotations/480p/a")
    arguments = ["--dataset", "davis_val", "--data_root", tmp_path / "truth", "--processes", 1]
    arguments += ["--results", tmp_path / "results"]
    assert "1 of 2 listed sequences: a" in evaluate(*arguments, status=2)
    assert "1 sequences scored" in evaluate(*arguments, "--skip_missing")


def test_a_table_that_cannot_be_written_is_named(tmp_path):
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results")
    (tmp_path / "results/global_results-val.csv").mkdir()
    arguments = ["--dataset", "davis_val", "--data_root", tmp_path / "truth", "--processes", 1]
    error = evaluate(*arguments, "--results", tmp_path / "results", status=2)
    assert "global_results-val.csv: cannot be written" in error


def test_help_teaches():
    printed = evaluate("--help")
    for word in ("davis2016_val", "global_results-<set>.csv", "--skip_missing", "examples:"):
        assert word in printed


def test_jax_is_not_imported():
    code = "import sys, vos_jax.evaluate; print([m for m in ('jax', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
