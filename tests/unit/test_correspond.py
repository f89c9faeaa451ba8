"""The command's files and flags, with a stand-in for the network."""

import re

import cv2
import numpy as np
import pytest

from tests.patch_matching import PatchMatcher, moved, noise
from vos_jax import correspond
from vos_jax.correspondence import server
from vos_jax.correspondence.affinity import correspondence, enlarge
from vos_jax.correspondence.marks import mask_map, point_map
from vos_jax.correspondence.pictures import overlay
from vos_jax.inference.loading import Loaded
from vos_jax.io.images import read_image, write_mask

SIZE = (90, 140)
SYSTEM = PatchMatcher(1.0)
PICTURES = noise(SIZE), moved(noise(SIZE), 16, 32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with pictures, where every workdir holds the stand-in."""
    loaded = Loaded(SYSTEM, {}, {"system": "stand-in", "model": {}, "step": 7})
    monkeypatch.setattr(correspond, "load_system", lambda workdir, step: loaded)
    monkeypatch.setattr(correspond, "enable_cache", lambda: None)
    for name, pixels in zip(("a.png", "b.png"), PICTURES, strict=True):
        cv2.imwrite(str(tmp_path / name), pixels[..., ::-1])
    labels = np.zeros(SIZE, np.uint8)
    labels[20:50, 30:80], labels[60:70, 10:90], labels[0:5] = 1, 2, 255
    write_mask(tmp_path / "m.png", labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*flags, target="b.png"):
    given = ["--workdir", "w", "--source", "a.png", "--target", target, *flags]
    return correspond.main([*given, "--output", "deep/out"])


@pytest.mark.parametrize(
    "flags, top_k, sigma",
    [
        ((), 50, 0.0),
        (("--top_k", "3"), 3, 0.0),
        (("--top_k", "3", "--sigma", "1.5"), 3, 1.5),
    ],
)
def test_both_reads_of_a_point_are_written(folder, flags, top_k, sigma):
    assert run("--point", "40,50", *flags) == 0
    names = {
        f"{kind}_{read}" for kind in ("heat_map", "overlay") for read in ("all", f"top_{top_k}")
    }
    written = {path.name for path in (folder / "deep/out").iterdir()}
    assert written == {f"{name}.png" for name in names} | {
        f"{name}.npy" for name in names if name.startswith("heat_map")
    }
    for read, k in (("all", 0), (f"top_{top_k}", top_k)):
        found = correspondence(SYSTEM, {}, *PICTURES, k, sigma)
        weights = point_map(40, 50, found.source)
        heat = found.heat_map(weights)
        np.testing.assert_allclose(np.load(f"deep/out/heat_map_{read}.npy"), heat, atol=1e-5)
        grey = cv2.imread(f"deep/out/heat_map_{read}.png", cv2.IMREAD_UNCHANGED)
        assert grey.shape == SIZE
        assert np.abs(grey - 255 * heat).max() <= 0.51
        drawn = read_image(f"deep/out/overlay_{read}.png").astype(int)
        assert drawn.shape == (90, 280, 3)
        left = overlay(PICTURES[0], enlarge(weights, found.source))
        assert np.abs(drawn[:, :140] - left).max() <= 1
        assert np.abs(drawn[:, 140:] - overlay(PICTURES[1], heat)).max() <= 1


def test_the_strongest_place_is_printed(folder, capsys):
    run("--point", "40,50")
    line = capsys.readouterr().out.splitlines()[0]
    x, y = re.fullmatch(r"all: strongest at (\d+),(\d+) of 140x90 pixels", line).groups()
    assert abs(int(x) - 72) <= 16 and abs(int(y) - 66) <= 16


def test_a_point_among_nobodys_best_is_said_so(folder, capsys):
    cv2.imwrite("flat.png", np.full((*SIZE, 3), 128, np.uint8))
    for point in ("8,8", "40,50"):
        run("--point", point, "--top_k", "1", target="flat.png")
    assert "top_1: among the best of no target cell" in capsys.readouterr().out


def test_all_objects_of_a_mask_are_looked_for_but_not_the_void(folder):
    run("--mask", "m.png")
    found = correspondence(SYSTEM, {}, *PICTURES)
    wanted = np.zeros(SIZE, bool)
    wanted[20:50, 30:80] = wanted[60:70, 10:90] = True
    heat = found.heat_map(mask_map(wanted, found.source))
    np.testing.assert_allclose(np.load("deep/out/heat_map_all.npy"), heat, atol=1e-5)


def test_a_mask_of_white_on_black_is_taken(folder):
    white = np.zeros(SIZE, np.uint8)
    white[20:50, 30:80] = 255
    cv2.imwrite("white.png", white)
    run("--mask", "white.png")
    found = correspondence(SYSTEM, {}, *PICTURES)
    heat = found.heat_map(mask_map(white, found.source))
    np.testing.assert_allclose(np.load("deep/out/heat_map_all.npy"), heat, atol=1e-5)


def test_pictures_of_other_sizes_are_fitted_when_asked(folder):
    large = PICTURES[1].repeat(2, axis=0).repeat(3, axis=1)
    cv2.imwrite("large.png", large[..., ::-1])
    assert run("--point", "139,89", "--short_side", "64", target="large.png") == 0
    assert np.load("deep/out/heat_map_all.npy").shape == (42, 99)
    assert read_image("deep/out/overlay_all.png").shape == (64, 99 + 99, 3)


class Served:
    """Takes what would be served, and answers no request."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(server, "serve", self)

    def __call__(self, app, listening):
        self.client, self.address = app.test_client(), server.address(listening)


@pytest.mark.parametrize("sides", [(), ("source",), ("target",), ("source", "target")])
def test_the_page_starts_with_the_pictures_there_are(folder, monkeypatch, capsys, sides):
    served, names = Served(monkeypatch), {"source": "a.png", "target": "b.png"}
    given = [word for side in sides for word in (f"--{side}", names[side])]
    flags = ["--workdir", "some/w", "--serve", "--port", "0", "--top_k", "4"]
    assert correspond.main([*flags, *given]) == 0
    state = served.client.get("/state").json
    assert {side: picture["name"] for side, picture in state["pictures"].items()} == {
        side: names[side] for side in sides
    }
    assert state["ready"] == (len(sides) == 2)
    assert state["title"] == "stand-in of some/w, step 7"
    assert state["top_k"] == 4
    assert f"open {served.address} " in capsys.readouterr().out


@pytest.mark.parametrize("flags, height", [((), 480), (("--short_side", "64"), 64)])
def test_the_page_reduces_large_pictures(folder, monkeypatch, flags, height):
    served = Served(monkeypatch)
    large = PICTURES[0].repeat(8, axis=0).repeat(8, axis=1)
    cv2.imwrite("large.png", large)
    both = ["--source", "large.png", "--target", "large.png"]
    correspond.main(["--workdir", "w", "--serve", "--port", "0", *both, *flags])
    shown = served.client.get("/state").json["pictures"]
    assert {picture["height"] for picture in shown.values()} == {height}
