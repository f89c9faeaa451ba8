"""Benchmark runs on a toy: shared by devices, taken up again, stopped by errors."""

import json
import zipfile

import numpy as np
import pytest

from tests.tiny_benchmarks import write_davis, write_youtube_vos
from tests.toy_systems import Toy, toy_params
from vos_jax.core.errors import ImageError, MissingInputError, OutputError
from vos_jax.inference.augmentation import scaled_views
from vos_jax.inference.benchmark_videos import benchmark_videos, listed_only
from vos_jax.inference.benchmarks import BenchmarkRun
from vos_jax.inference.upload import write_upload
from vos_jax.io.images import read_mask

NAMES = ("a", "b", "c")
ON_DEVICES = """
import sys, threading
import jax
from tests.toy_systems import Toy, toy_params
from vos_jax.inference import benchmarks
from vos_jax.inference.augmentation import scaled_views
from vos_jax.inference.benchmark_videos import benchmark_videos

used = set()
def noting(*arguments, **options):
    session = make(*arguments, **options)
    for each in getattr(session, "_sessions", [session]):
        used.update(jax.tree.leaves(each._params)[0].devices())
    return session
make, benchmarks.session_for = benchmarks.session_for, noting
videos = benchmark_videos("davis_val", sys.argv[1])
for name, views in (("one_view", ()), ("two_views", scaled_views(Toy(), (1.0,), True))):
    folder, options = sys.argv[2] + name, {"made_by": {}, "views": views}
    run = benchmarks.BenchmarkRun(Toy(), toy_params(Toy()), folder, **options)
    used.clear()
    print(run.run(videos).frames, len(used))
"""


def start(folder, system=None, **options):
    """A run of the toy."""
    system = system or Toy()
    options = {"made_by": {"step": 1}, "say": lambda line: None} | options
    return BenchmarkRun(system, toy_params(system), folder, **options)


def results(folder):
    """All masks under a folder of results."""
    return {str(path.relative_to(folder)): read_mask(path) for path in folder.glob("*/*.png")}


def test_devices_share_the_videos(tmp_path, run_python):
    """With one view of each video and with two."""
    root = write_davis(tmp_path / "DAVIS", NAMES)
    result = run_python("-c", ON_DEVICES, root, tmp_path / "three_", devices=3)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines().count("12 3") == 2
    for name, views in (("one_view", ()), ("two_views", scaled_views(Toy(), (1.0,), True))):
        timing = start(tmp_path / name, views=views).run(benchmark_videos("davis_val", root))
        assert timing.frames == 12 and timing.seconds > timing.waiting
        one, three = results(tmp_path / name), results(tmp_path / f"three_{name}")
        assert len(one) == 12 and one.keys() == three.keys()
        for file, labels in one.items():
            np.testing.assert_array_equal(labels, three[file])


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


def youtube(tmp_path):
    """Nine frames; every second of the seven from the first mask on is listed."""
    return write_youtube_vos(tmp_path / "YT", annotated=(1, 5), listed=(1, 3, 5, 7), count=9)


@pytest.mark.parametrize("every", [1, 4])
def test_required_frames_alone_are_written_and_are_the_same(tmp_path, every):
    """Also of a system that skips: it remembers frames 1 and 5, and looks at 3 and 7 besides."""
    system = Toy(every=every)
    videos = benchmark_videos("youtube_vos", youtube(tmp_path), all_frames=True)
    timing = start(tmp_path / "all", system, dataset="youtube_vos").run(videos)
    assert timing.frames == 7
    run = start(tmp_path / "few", system, dataset="youtube_vos")
    assert run.run(listed_only(videos)).frames == (7 if every == 1 else 4)
    everything, few = results(tmp_path / "all"), results(tmp_path / "few")
    assert sorted(few) == [f"v1/{t:05d}.png" for t in (1, 3, 5, 7)]
    assert sorted(everything) == [f"v1/{t:05d}.png" for t in range(1, 8)]
    for name, labels in few.items():
        np.testing.assert_array_equal(labels, everything[name])
    assert run.finished(listed_only(videos)[0]) and not run.finished(videos[0])


@pytest.mark.parametrize("all_written", [True, False])
def test_upload_for_youtube_vos_holds_the_listed_frames(tmp_path, all_written):
    videos = benchmark_videos("youtube_vos", youtube(tmp_path), all_frames=True)
    chosen = videos if all_written else listed_only(videos)
    start(tmp_path / "out", dataset="youtube_vos").run(chosen)
    path = write_upload(tmp_path / "out", chosen, "youtube_vos")
    assert path == tmp_path / "out.zip"
    with zipfile.ZipFile(path) as archive:
        names = [f"Annotations/v1/{t:05d}.png" for t in (1, 3, 5, 7)]
        assert archive.namelist() == names
        for name in names:
            there = tmp_path / "out" / name.removeprefix("Annotations/")
            assert archive.read(name) == there.read_bytes()
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*.partial"))


def test_upload_for_davis_holds_every_frame(tmp_path):
    videos = benchmark_videos("davis_val", write_davis(tmp_path / "DAVIS", NAMES))
    start(tmp_path / "out").run(videos)
    with zipfile.ZipFile(write_upload(tmp_path / "out", videos, "davis_val")) as archive:
        assert archive.namelist() == [f"{name}/{t:05d}.png" for name in NAMES for t in range(4)]


def test_upload_is_complete_or_not_made(tmp_path):
    videos = benchmark_videos("davis_val", write_davis(tmp_path / "DAVIS", NAMES))
    start(tmp_path / "out").run(videos)
    (tmp_path / "out" / "b" / "00002.png").unlink()
    with pytest.raises(MissingInputError, match="out/b: 3 of 4 results are there"):
        write_upload(tmp_path / "out", videos, "davis_val")
    tube = benchmark_videos("youtube_vos", youtube(tmp_path))
    with pytest.raises(MissingInputError, match="v1/00001.png: no such result"):
        write_upload(tmp_path / "out", tube, "youtube_vos")
    assert not (tmp_path / "out.zip").exists()
