"""What people might hand the correspondence command by mistake: one line, exit code 2."""

import builtins

import cv2
import numpy as np
import pytest

from tests.patch_matching import PatchMatcher, noise
from tests.toy_systems import Toy
from vos_jax import correspond
from vos_jax.core.commands import run_command
from vos_jax.correspondence import server
from vos_jax.inference.loading import Loaded
from vos_jax.io.images import write_mask

SIZE = (64, 96)
TWO = ("--source", "a.png", "--target", "b.png")
POINT = ("--point", "5,5")
OUT = ("--output", "out")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of pictures; returns its exit code and the lines of error."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("a", SIZE), ("b", SIZE), ("wide", (64, 112)), ("tall", (96, 64))):
        cv2.imwrite(f"{name}.png", noise(size))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(cv2.imencode(".jpg", noise(SIZE))[1].tobytes()[:500])
    (tmp_path / "file").write_text("")
    write_mask("empty.png", np.zeros(SIZE, np.uint8))
    write_mask("void.png", np.full(SIZE, 255, np.uint8) * (np.arange(96) > 50).astype(np.uint8))
    write_mask("other.png", np.ones((96, 64), np.uint8))
    write_mask("mask.png", np.ones(SIZE, np.uint8))
    monkeypatch.setattr(correspond, "enable_cache", lambda: None)

    def call(*flags, system=None, workdir="w"):
        if system is not None:
            loaded = Loaded(system, {}, {"system": "stand-in", "model": {}, "step": 0})
            monkeypatch.setattr(correspond, "load_system", lambda workdir, step: loaded)
        code = run_command(correspond.main, ["--workdir", workdir, *flags])
        return code, capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize(
    "flags, text",
    [
        ((), "--source, --target and --output are needed"),
        ((*TWO, *POINT), "--output are needed"),
        (("--source", "a.png", *POINT, *OUT), "--target and --output are needed"),
        ((*TWO, *OUT), "either --point x,y or --mask m.png"),
        ((*TWO, *OUT, *POINT, "--mask", "mask.png"), "and not both"),
        ((*TWO, *OUT, "--point", "5"), "--point 5: must be x,y"),
        ((*TWO, *OUT, "--point", "5,6,7"), "must be x,y"),
        ((*TWO, *OUT, "--point", "five,six"), "must be x,y"),
        ((*TWO, *OUT, *POINT, "--top_k", "0"), "--top_k 0: must be 1 or more"),
        ((*TWO, "--serve", *POINT), "--serve takes no --point"),
        ((*TWO, "--serve", "--mask", "mask.png"), "--serve takes no"),
        ((*TWO, "--serve", *OUT), "--serve takes no"),
        (("--source", "gone.png", "--target", "b.png", *OUT, *POINT), "gone.png: no such file"),
        (
            ("--source", "a.png", "--target", "text.png", *OUT, *POINT),
            "text.png: cannot be decoded",
        ),
        (
            ("--source", "cut.jpg", "--target", "b.png", *OUT, *POINT),
            "cut.jpg: cannot be decoded",
        ),
        (("--source", ".", "--target", "b.png", *OUT, *POINT), "cannot be read"),
        (("--source", "gone.png", "--serve"), "gone.png: no such file"),
        ((*TWO, *OUT, "--point", "96,5"), "the point 96,5 lies outside the source picture, 96x64"),
        ((*TWO, *OUT, "--point=-1,5"), "lies outside"),
        ((*TWO, *OUT, "--point", "nan,5"), "lies outside"),
        ((*TWO, *OUT, "--mask", "gone.png"), "gone.png: no such file"),
        ((*TWO, *OUT, "--mask", "text.png"), "text.png: cannot be decoded as a mask"),
        ((*TWO, *OUT, "--mask", "a.png"), "a.png: is an RGB image with the colour"),
        ((*TWO, *OUT, "--mask", "other.png"), "other.png: the mask is 64x96, its frame 96x64"),
        ((*TWO, *OUT, *POINT), "w/config.json: no such file"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(run, flags, text):
    code, lines = run(*flags)
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert text in lines[0]


@pytest.mark.parametrize(
    "flags, text",
    [
        ((*TWO, *OUT, "--mask", "empty.png"), "the mask is empty"),
        ((*TWO, *OUT, "--mask", "void.png"), "the mask is empty"),
        (("--source", "a.png", "--target", "wide.png", *OUT, *POINT), "must have the same size"),
        (("--source", "a.png", "--target", "tall.png", *OUT, *POINT), "--short_side"),
        ((*TWO, *OUT, *POINT, "--sigma", "-1"), "0 or more"),
        ((*TWO, *OUT, *POINT, "--short_side", "-1"), "short side of -1 pixels cannot be"),
        ((*TWO, "--serve", "--port", "0", "--short_side", "-1"), "short side of -1 pixels"),
        (
            (
                "--source",
                "a.png",
                "--target",
                "wide.png",
                "--serve",
                "--port",
                "0",
                "--short_side",
                "0",
            ),
            "must have the same size",
        ),
        ((*TWO, "--output", "file/out", *POINT), "file/out: cannot be made"),
        ((*TWO, "--serve", "--port", "70000"), "port 70000 cannot be used"),
        ((*TWO, "--serve", "--port", "0", "--sigma", "-1"), "0 or more"),
    ],
)
def test_what_is_refused_afterwards(run, flags, text):
    code, lines = run(*flags, system=PatchMatcher())
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert text in lines[0]


@pytest.mark.parametrize("flags", [(*TWO, *OUT, *POINT), ("--serve", "--port", "0")])
def test_a_system_without_pixels_in_its_memory_is_refused(run, flags, monkeypatch):
    monkeypatch.setattr(server, "serve", lambda app, listening: None)
    code, lines = run(*flags, system=Toy())
    assert (code, len(lines)) == (2, 1)
    assert "keeps no memory of pixels" in lines[0]


def test_a_port_in_use_is_refused(run):
    with server.listen(0) as listening:
        port = str(listening.getsockname()[1])
        code, lines = run(*TWO, "--serve", "--port", port, system=PatchMatcher())
    assert (code, len(lines)) == (2, 1)
    assert f"port {port} is in use; choose another --port" in lines[0]


def test_a_page_without_its_packages_is_refused_with_the_remedy(run, monkeypatch):
    """Files are written without the packages that only the page needs."""
    plain = builtins.__import__

    def imported(name, globals=None, locals=None, fromlist=(), level=0):
        if "server" in (fromlist or ()):
            raise ModuleNotFoundError("No module named 'flask'", name="flask")
        return plain(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", imported)
    assert run(*TWO, *OUT, *POINT, system=PatchMatcher())[0] == 0
    code, lines = run(*TWO, "--serve", system=PatchMatcher())
    assert (code, len(lines)) == (2, 1)
    assert "--serve needs flask: pip install 'vos_jax[demo]'" in lines[0]


def test_results_that_cannot_be_written_are_named(run, tmp_path):
    (tmp_path / "out/heat_map_all.npy").mkdir(parents=True)
    code, lines = run(*TWO, *OUT, *POINT, system=PatchMatcher())
    assert (code, len(lines)) == (2, 1)
    assert "out: cannot be written to" in lines[0]
