"""Our evaluator against a stand-in for vos-benchmark with known answers."""

import json

import pytest

from tests.result_sets import write_davis, write_results
from vos_jax.benchmarking.evaluation import EvaluationBenchmark, benchmark_evaluation
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.io.named_sets import list_sequences
from vos_jax.metrics.statistics import row_statistics
from vos_jax.scoring import score_sequences

STAND_IN = """
import json, os, pathlib
def benchmark(truths, results, strict, processes, verbose):
    assert os.environ["OMP_NUM_THREADS"] == "1" and processes == 1 and strict is verbose is False
    for folder in (*truths, *results):
        assert sorted(e.name for e in os.scandir(folder) if e.is_dir()) == ["a", "b"]
    pathlib.Path(results[0], "results.csv").touch()
    objects = json.loads({answers!r})
    return None, None, None, [{{name: (o["J"], o["F"]) for name, o in objects.items()}}]
"""


@pytest.fixture
def folders(tmp_path):
    """Truth and results of two sequences."""
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results")
    return tmp_path / "truth", tmp_path / "results"


def stand_in(folder, truth, results, error=0.0, leave_out=None):
    """Writes a package vos_benchmark that knows the scores, up to an error in one of them."""
    sequences = list_sequences("davis_val", truth, images=False)
    videos = score_sequences(sequences, results, "semi_supervised", processes=1)
    answers = {
        name: {
            m: {str(s.number): 100 * row_statistics(getattr(s, m.lower())).mean for s in video}
            for m in "JF"
        }
        for name, video in videos.items()
    }
    answers["a"]["F"]["2"] += 100 * error
    if leave_out:
        del answers["a"]["J"][leave_out], answers["a"]["F"][leave_out]
    (folder / "vos_benchmark").mkdir(parents=True)
    text = STAND_IN.format(answers=json.dumps(answers))
    (folder / "vos_benchmark/benchmark.py").write_text(text)
    return folder


@pytest.mark.parametrize("error", [0.0, 0.25])
def test_difference_and_times_of_both(tmp_path, folders, error):
    official = stand_in(tmp_path / "official", *folders, error=error)
    found = benchmark_evaluation(official, *folders, repeats=1, processes=1)
    assert found.largest_difference == pytest.approx(error, abs=1e-12)
    assert found.objects == 4 and len(found.ours) == len(found.official) == 1
    assert found.ours[0] > 0.05 and found.official[0] > 0.05
    assert 0 < found.j_mean < 1 and 0 < found.f_mean < 1
    assert sorted(path.name for path in folders[1].iterdir()) == ["a", "b"]


def test_an_object_that_only_one_scored_is_named(tmp_path, folders):
    official = stand_in(tmp_path / "official", *folders, leave_out="2")
    with pytest.raises(ConfigError, match="a_2"):
        benchmark_evaluation(official, *folders, repeats=1, processes=1)


def test_a_path_without_vos_benchmark(tmp_path, folders):
    with pytest.raises(MissingInputError, match="clone"):
        benchmark_evaluation(tmp_path / "nowhere", *folders)


def test_a_program_that_fails_says_why(tmp_path, folders):
    (tmp_path / "official/vos_benchmark").mkdir(parents=True)
    broken = tmp_path / "official/vos_benchmark/benchmark.py"
    broken.write_text("raise ImportError('no module named skimage')")
    with pytest.raises(ConfigError, match="no module named skimage"):
        benchmark_evaluation(tmp_path / "official", *folders, repeats=1, processes=1)


def test_share_of_the_medians():
    found = EvaluationBenchmark((2.0, 1.0, 9.0), (8.0, 4.0, 5.0), 0.0, 2, 0.5, 0.25)
    assert found.share == 2.0 / 5.0
    assert "share 0.400" in found.lines()[-1] and "median   2.00" in found.lines()[0]
