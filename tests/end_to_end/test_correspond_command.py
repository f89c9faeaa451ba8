"""python -m vos_jax.correspond on a workdir, as a user runs it."""

import cv2
import numpy as np
import pytest

from tests.patch_matching import moved, noise
from tests.tiny_hodor import FAST
from tests.tiny_mask_propagation import untrained_workdir

SIZE = (72, 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workdir, two pictures and a mask."""
    folder = tmp_path_factory.mktemp("correspond")
    untrained_workdir(folder / "w")
    cv2.imwrite(str(folder / "a.png"), noise(SIZE))
    cv2.imwrite(str(folder / "b.png"), moved(noise(SIZE), 16, 16))
    mask = np.zeros(SIZE, np.uint8)
    mask[20:40, 30:60] = 255
    cv2.imwrite(str(folder / "m.png"), mask)
    return folder


@pytest.fixture
def correspond(run_python, folder):
    def call(*flags):
        pictures = ("--source", folder / "a.png", "--target", folder / "b.png")
        words = ("-m", "vos_jax.correspond", "--workdir", folder / "w", *pictures, *flags)
        return run_python(*words, env=FAST)

    return call


@pytest.mark.parametrize("mark", ["point", "mask"])
def test_heat_maps_and_overlays_are_written(correspond, folder, mark):
    out = folder / f"out_{mark}"
    value = "40,30" if mark == "point" else folder / "m.png"
    done = correspond(f"--{mark}", value, "--top_k", "5", "--output", out)
    assert done.returncode == 0, done.stderr
    assert f"written: {out}" in done.stdout
    maps = [np.load(out / f"heat_map_{read}.npy") for read in ("all", "top_5")]
    for read, heat in zip(("all", "top_5"), maps, strict=True):
        assert heat.shape == SIZE
        assert np.isfinite(heat).all() and 0 <= heat.min() <= heat.max() <= 1
        assert cv2.imread(str(out / f"heat_map_{read}.png")).shape == (*SIZE, 3)
        assert cv2.imread(str(out / f"overlay_{read}.png")).shape == (72, 200, 3)
    assert np.abs(maps[0] - maps[1]).max() > 0.05


def test_a_point_outside_ends_with_one_line(correspond, folder):
    done = correspond("--point", "100,10", "--output", folder / "no")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the point 100,10 lies outside")
    assert done.stderr.count("\n") == 1
    assert not (folder / "no").exists()


def test_help_shows_how_it_is_used(run_python):
    done = run_python("-m", "vos_jax.correspond", "--help")
    assert done.returncode == 0
    for flag in ("--point", "--mask", "--top_k", "--short_side", "--serve", "--port"):
        assert flag in done.stdout
