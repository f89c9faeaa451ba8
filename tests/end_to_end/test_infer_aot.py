"""The infer command with AOT: a converted file, resolutions, YouTube-VOS, views, devices."""

import gzip
import json
import zipfile

import cv2
import numpy as np
import pytest

from tests.infer_calls import call, results, write_workdir
from tests.invariants.interface_checks import run
from tests.parity.seeded_weights import seeded_tensor
from tests.pth_writer import write_state_dict
from tests.tiny_aot import SHARED, aot_case
from tests.tiny_benchmarks import SIZE, moving_blocks, write_davis, write_youtube_vos
from tests.unit.io.test_videos import write_images
from tests.unit.systems.aot.test_aot_weights import LISTINGS
from vos_jax import convert
from vos_jax.core.commands import run_command
from vos_jax.inference.augmentation import AugmentedSession, scaled_views
from vos_jax.inference.loading import load_system
from vos_jax.inference.session import Session
from vos_jax.io.images import read_image, read_mask, write_mask

pytestmark = pytest.mark.usefixtures("private_cache")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A workdir of the tiny AOT whose masks are lively."""
    folder = tmp_path_factory.mktemp("aot")
    return write_workdir(folder, "aot", SHARED, aot_case("aott").params)


def test_a_converted_file_segments_a_video(tmp_path, capsys):
    rows = json.loads(gzip.decompress(LISTINGS.read_bytes()))["variants"]["aott"]["tensors"]
    tensors = {f"module.{row[0]}": seeded_tensor(row[0], row[1]) for row in rows}
    path = write_state_dict(tmp_path / "AOTT.pth", tensors, "state_dict")
    arguments = ["--system", "aot", "--what", "aott", "--checkpoint", path]
    converting = [*arguments, "--workdir", tmp_path / "W"]
    assert run_command(convert.main, [*map(str, converting)]) == 0
    assert f"{len(tensors)} tensors read" in capsys.readouterr().out
    frames, labels = moving_blocks(3)
    write_images(tmp_path / "frames", frames, ["0", "1", "2"])
    write_mask(tmp_path / "first.png", labels[0])
    video = ("--video", tmp_path / "frames", "--masks", tmp_path / "first.png")
    assert call(tmp_path / "W", *video, "--output", tmp_path / "out") == 0
    loaded = load_system(tmp_path / "W")
    want = run(Session(loaded.system, loaded.params, SIZE, slots=2), frames, {0: labels[0]})
    got = [read_mask(tmp_path / "out" / "masks" / f"{t}.png") for t in range(3)]
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(got[0], labels[0])
    assert (tmp_path / "out" / "overlay.mp4").stat().st_size > 0


def full_resolution(root, names):
    """A DAVIS folder whose frames and masks lie in Full-Resolution, four times as large."""
    write_davis(root, names)
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p").rename(root / kind / "Full-Resolution")
    for path in root.glob("*/Full-Resolution/*/*"):
        if path.suffix == ".png":
            write_mask(path, read_mask(path).repeat(4, 0).repeat(4, 1))
        else:
            cv2.imwrite(str(path), cv2.imread(str(path)).repeat(4, 0).repeat(4, 1))
    (root / "ImageSets" / "2017" / "val.txt").rename(root / "ImageSets" / "2017" / "test-dev.txt")
    return root


def test_davis_testdev_of_full_resolution_in_views(workdir, tmp_path):
    """Larger and mirrored frames, within a limit, are averaged; 32 rows stand for the 480."""
    root, out = full_resolution(tmp_path / "DAVIS", ("boat",)), tmp_path / "out"
    dataset = ("--dataset", "davis_testdev", "--data_root", root, "--output", out, "--zip")
    sized = ("--max_resolution", 30, "--output_height", SIZE[0], "--scales", "1.3", "--flip")
    assert call(workdir, *dataset, "--resolution", "Full-Resolution", *sized) == 0

    loaded = load_system(workdir, changes={"max_resolution": 30, "output_height": SIZE[0]})
    views = scaled_views(loaded.system, (1.3,), flip=True)
    assert [view.system.spec.geometry((128, 192)).network for view in views] == [(33, 65)] * 2
    session = AugmentedSession(views, loaded.params, (128, 192), slots=2)
    files = sorted((root / "JPEGImages" / "Full-Resolution" / "boat").glob("*.jpg"))
    labels = read_mask(root / "Annotations" / "Full-Resolution" / "boat" / "00000.png")
    want = run(session, [read_image(file) for file in files], {0: labels})
    got = [read_mask(out / "boat" / f"{t:05d}.png") for t in range(4)]
    np.testing.assert_array_equal(got, want)
    assert got[0].shape == SIZE and set(np.unique(got[0])) == {0, 2, 9}
    note = json.loads((tmp_path / "out.json").read_text())
    assert note["resolution"] == "Full-Resolution" and note["model"]["max_resolution"] == 30
    assert note["scales"] == "1.3" and note["flip"] is True
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == [f"boat/{t:05d}.png" for t in range(4)]


def test_results_of_another_height_are_for_benchmarks(workdir, tmp_path, capsys):
    write_images(tmp_path / "frames", moving_blocks(2)[0], ["0", "1"])
    write_mask(tmp_path / "first.png", moving_blocks()[1][0])
    video = ("--video", tmp_path / "frames", "--masks", tmp_path / "first.png")
    assert call(workdir, *video, "--output", tmp_path / "out", "--output_height", 480) == 2
    assert "--output_height is for benchmarks" in capsys.readouterr().err


def test_youtube_vos_at_six_frames_a_second_and_all_of_them(workdir, tmp_path, capsys):
    """Six a second are those listed; of all frames the listed ones are packed, and all apart."""
    root = write_youtube_vos(tmp_path / "YT", annotated=(1, 5), listed=(1, 3, 5, 7), count=9)
    dataset = ("--dataset", "youtube_vos", "--data_root", root, "--zip")
    assert call(workdir, *dataset, "--output", tmp_path / "six") == 0
    assert call(workdir, *dataset, "--all_frames", "--output", tmp_path / "all") == 0
    six, everything = results(tmp_path / "six"), results(tmp_path / "all")
    listed = [f"v1/{t:05d}.png" for t in (1, 3, 5, 7)]
    assert sorted(six) == listed and len(everything) == 7
    np.testing.assert_array_equal(six[listed[0]], everything[listed[0]])
    for name in ("six", "all"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert archive.namelist() == [f"Annotations/{each}" for each in listed]
    with zipfile.ZipFile(tmp_path / "all_dense.zip") as archive:
        assert archive.namelist() == [f"Annotations/{each}" for each in sorted(everything)]
    assert f"all frames: {tmp_path / 'all_dense.zip'}" in capsys.readouterr().out
