"""The infer command on tiny clips, with a tiny HODOR of random weights."""

import json

import jax
import numpy as np
import pytest

from tests.infer_calls import call, write_workdir
from tests.tiny_benchmarks import SIZE, moving_blocks, write_davis
from tests.unit.io.test_videos import write_images, write_mp4
from vos_jax import infer
from vos_jax.checkpoints.store import save_settings
from vos_jax.inference.loading import load_system
from vos_jax.inference.session import Session
from vos_jax.io.images import read_mask, write_mask
from vos_jax.io.videos import open_video
from vos_jax.systems import registry

MODEL = {
    "backbone": "small",
    "channels": 32,
    "heads": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn": 16,
    "decoder_ffn": 16,
    "deformable": False,
    "min_dim": 32,
    "max_dim": 64,
    "temporal_window": 2,
}

pytestmark = pytest.mark.usefixtures("private_cache")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A workdir as training leaves it."""
    folder = tmp_path_factory.mktemp("workdir")
    system = registry.build("hodor", **MODEL)
    params = registry.initialise("hodor", system, jax.random.key(0))
    return write_workdir(folder, "hodor", MODEL, params, step=5)


def expected(workdir, frames, prompts):
    """What a session of the same system gives."""
    loaded = load_system(workdir)
    session = Session(loaded.system, loaded.params, SIZE, slots=2)
    return [session.step(frame, prompts.get(t)) for t, frame in enumerate(frames)]


def test_own_video_with_masks_on_several_frames(workdir, tmp_path, capsys):
    frames, labels = moving_blocks()
    write_images(tmp_path / "frames", frames, ["a1", "a2", "a9", "a10"])
    (tmp_path / "masks").mkdir()
    first, later = np.where(labels[0] == 2, 2, 0), np.where(labels[2] == 9, 9, 0)
    write_mask(tmp_path / "masks" / "a1.png", first.astype(np.uint8))
    write_mask(tmp_path / "masks" / "a9.png", later.astype(np.uint8))
    out = tmp_path / "out"
    arguments = ("--video", tmp_path / "frames", "--masks", tmp_path / "masks", "--output", out)
    assert call(workdir, *arguments) == 0
    said = capsys.readouterr().out
    assert "frames/s" in said and str(out / "overlay.mp4") in said
    want = expected(workdir, frames, {0: first, 2: later})
    files = [out / "masks" / f"{name}.png" for name in ("a1", "a2", "a9", "a10")]
    np.testing.assert_array_equal([read_mask(file) for file in files], want)
    assert len(list(open_video(out / "overlay.mp4"))) == 4
    codes = json.loads((out / "masks.json").read_text())
    assert [f["name"] for f in codes["frames"]] == ["a1", "a2", "a9", "a10"]
    listed = [{item["id"] for item in f["objects"]} for f in codes["frames"]]
    assert listed == [set(np.unique(w)) - {0} for w in want]
    assert 9 not in listed[1] and 9 in listed[2]


def test_mp4_with_first_mask_and_changed_settings(workdir, tmp_path):
    frames, labels = moving_blocks()
    write_mp4(tmp_path / "clip.mp4", frames)
    write_mask(tmp_path / "first.png", labels[0])
    arguments = ("--video", tmp_path / "clip.mp4", "--masks", tmp_path / "first.png")
    out = tmp_path / "out"
    changed = ("--temporal_window", 1, "--min_image_dim", 64, "--no_overlay", "--step", 5)
    assert call(workdir, *arguments, "--output", out, *changed, "--encode_batch", 2) == 0
    assert sorted(p.name for p in out.iterdir()) == ["masks", "masks.json"]
    assert sorted(p.name for p in (out / "masks").iterdir()) == [f"{t:05d}.png" for t in range(4)]
    assert set(np.unique(read_mask(out / "masks" / "00000.png"))) == {0, 2, 9}


def test_benchmark_folder_and_rerun(workdir, tmp_path, capsys):
    root, out = write_davis(tmp_path / "DAVIS"), tmp_path / "results"
    arguments = ("--dataset", "davis_val", "--data_root", root, "--output", out)
    assert call(workdir, *arguments) == 0
    assert "min left" in capsys.readouterr().out
    video = open_video(root / "JPEGImages" / "480p" / "cat")
    want = expected(workdir, list(video), {0: moving_blocks()[1][0]})
    got = [read_mask(out / "cat" / f"{t:05d}.png") for t in range(4)]
    np.testing.assert_array_equal(got, want)
    (out / "boat" / "00002.png").unlink()
    untouched = (out / "cat" / "00000.png").stat().st_mtime_ns
    assert call(workdir, *arguments) == 0
    said = capsys.readouterr().out
    assert "1 of 2 videos are done already" in said and "boat:" in said and "cat:" not in said
    assert (out / "boat" / "00002.png").is_file()
    assert (out / "cat" / "00000.png").stat().st_mtime_ns == untouched


def test_results_of_other_settings_are_not_mixed(workdir, tmp_path, capsys):
    root, out = write_davis(tmp_path / "DAVIS", ("boat",)), tmp_path / "results"
    arguments = ("--dataset", "davis_val", "--data_root", root, "--output", out)
    assert call(workdir, *arguments) == 0
    assert call(workdir, *arguments, "--temporal_window=1") == 2
    assert "holds results of another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--video", "nowhere.mp4", "--masks", "m.png", "--output", "out"), "no such video file"),
        (("--video", "nowhere.mp4", "--output", "o"), "needs --masks"),
        (("--dataset", "davis_val", "--data_root", "nowhere"), "nowhere: no such folder"),
        (("--dataset", "davis_val", "--temporal_windows", "3"), "no setting 'temporal_windows'"),
        (("--dataset", "davis_val", "stray"), "unexpected argument 'stray'"),
        (("--dataset", "davis_val", "--encode_batch", "0"), "--encode_batch 0"),
        (("--dataset", "davis_val", "--step", "7"), "7"),
    ],
)
def test_errors_of_the_user(workdir, capsys, arguments, message):
    assert call(workdir, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1


def test_missing_and_partial_workdirs(tmp_path, capsys):
    assert call(tmp_path, "--dataset", "davis_val") == 2
    assert "config.json" in capsys.readouterr().err
    save_settings(tmp_path, {"system": "hodor", "model": MODEL, "partial": True})
    assert call(tmp_path, "--dataset", "davis_val") == 2
    assert "initialisation" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as end:
        infer.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for flag in ("--dataset", "--video", "--masks", "--temporal_window 7", "examples:"):
        assert flag in said
