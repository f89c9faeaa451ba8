"""Benchmark runs on a toy: shared by devices, taken up again, stopped by errors."""

import json

import numpy as np
import pytest

from tests.tiny_benchmarks import write_davis
from tests.toy_systems import Toy, toy_params
from vos_jax.core.errors import ImageError, OutputError
from vos_jax.inference.benchmark_videos import benchmark_videos
from vos_jax.inference.benchmarks import BenchmarkRun
from vos_jax.io.images import read_mask

NAMES = ("a", "b", "c")
ON_DEVICES = """
import sys, threading
import jax
from tests.toy_systems import Toy, toy_params
from vos_jax.inference import benchmarks
from vos_jax.inference.benchmark_videos import benchmark_videos

used = set()
def noting(*arguments, **options):
    session = make(*arguments, **options)
    used.update(jax.tree.leaves(session._params)[0].devices())
    return session
make, benchmarks.session_for = benchmarks.session_for, noting
videos = benchmark_videos("davis_val", sys.argv[1])
run = benchmarks.BenchmarkRun(Toy(), toy_params(Toy()), sys.argv[2], made_by={})
print(run.run(videos).frames, len(used))
"""


def start(folder, **options):
    """A run of the toy."""
    system = Toy()
    options = {"made_by": {"step": 1}, "say": lambda line: None} | options
    return BenchmarkRun(system, toy_params(system), folder, **options)


def results(folder):
    """All masks under a folder of results."""
    return {str(path.relative_to(folder)): read_mask(path) for path in folder.glob("*/*.png")}


def test_devices_share_the_videos(tmp_path, run_python):
    root = write_davis(tmp_path / "DAVIS", NAMES)
    timing = start(tmp_path / "one").run(benchmark_videos("davis_val", root))
    assert timing.frames == 12 and timing.seconds > timing.waiting
    result = run_python("-c", ON_DEVICES, root, tmp_path / "three", devices=3)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "12 3"
    one, three = results(tmp_path / "one"), results(tmp_path / "three")
    assert len(one) == 12 and one.keys() == three.keys()
    for name, labels in one.items():
        np.testing.assert_array_equal(labels, three[name])


def test_broken_video_ends_the_run_and_others_stay(tmp_path):
    root = write_davis(tmp_path / "DAVIS", NAMES)
    broken = root / "JPEGImages" / "480p" / "b" / "00002.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    videos, out = benchmark_videos("davis_val", root), tmp_path / "out"
    with pytest.raises(ImageError, match="00002.jpg"):
        start(out).run(videos)
    run = start(out)
    assert [run.finished(video) for video in videos] == [True, False, False]


def test_results_know_what_made_them(tmp_path):
    start(tmp_path / "out")
    assert json.loads((tmp_path / "out.json").read_text()) == {"step": 1}
    start(tmp_path / "out")
    with pytest.raises(OutputError, match="results of another step"):
        start(tmp_path / "out", made_by={"step": 2})
    (tmp_path / "out.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be read"):
        start(tmp_path / "out")
