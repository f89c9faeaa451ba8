"""The infer command with the smallest space-time memory networks: protocols, bounded memory."""

import functools
import json
import zipfile

import jax
import numpy as np
import pytest

from tests.infer_calls import call, results, write_workdir
from tests.tiny_benchmarks import moving_blocks, write_davis, write_youtube_vos
from tests.unit.io.test_videos import write_images
from vos_jax import evaluate
from vos_jax.core.commands import run_command
from vos_jax.inference.loading import load_system
from vos_jax.inference.session import Session
from vos_jax.io.images import read_image, read_mask, write_mask
from vos_jax.systems import registry

MODEL = {
    "backbone": "small",
    "channels": 8,
    "key_channels": 8,
    "value_channels": 8,
    "decoder_channels": (8, 8),
    "min_dim": 0,
    "memory_every": 2,
}
SYSTEMS = ("mask_propagation", "stcn", "rde")

pytestmark = pytest.mark.usefixtures("private_cache")


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """A workdir per system, of random parameters."""
    folders, rng = {}, np.random.default_rng(0)
    for name in SYSTEMS:
        draw = functools.partial(registry.initialise, name, registry.build(name, **MODEL))
        shapes = jax.eval_shape(draw, jax.random.key(0))
        params = jax.tree.map(lambda x: 0.2 * rng.standard_normal(x.shape, np.float32), shapes)
        folders[name] = write_workdir(tmp_path_factory.mktemp(name), name, MODEL, params)
    return folders


@pytest.mark.parametrize("system", SYSTEMS)
def test_davis_2016_is_one_object_and_can_be_scored(workdirs, system, tmp_path, capsys):
    root, out = write_davis(tmp_path / "DAVIS", ("boat",), 2016, range(4)), tmp_path / "out"
    arguments = ("--dataset", "davis2016_val", "--data_root", root, "--output", out)
    assert call(workdirs[system], *arguments) == 0
    got = results(out)
    assert len(got) == 4 and set(np.unique(list(got.values()))) <= {0, 1}
    loaded = load_system(workdirs[system])
    masks = moving_blocks()[1] > 0
    np.testing.assert_array_equal(got["boat/00000.png"], masks[0])
    session = Session(loaded.system, loaded.params, masks.shape[1:])
    files = sorted((root / "JPEGImages" / "480p" / "boat").glob("*.jpg"))
    for t, file in enumerate(files):
        want = session.step(read_image(file), masks[0].astype(np.uint8) if t == 0 else None)
        np.testing.assert_array_equal(got[f"boat/{file.stem}.png"], want)
    scored = ["--dataset", "davis2016_val", "--data_root", str(root), "--results", str(out)]
    assert run_command(evaluate.main, scored) == 0
    assert "boat" in capsys.readouterr().out


@pytest.mark.parametrize("system", ["stcn", "mask_propagation"])
def test_youtube_vos_upload(workdirs, system, tmp_path, capsys):
    """All frames from the first mask on are followed, those listed are written and packed."""
    root = write_youtube_vos(tmp_path / "YT", annotated=(1, 5), listed=(1, 3, 5, 7), count=9)
    dataset = ("--dataset", "youtube_vos", "--data_root", root, "--all_frames")
    assert call(workdirs[system], *dataset, "--output", tmp_path / "all") == 0
    capsys.readouterr()
    packed = (*dataset, "--required_only", "--zip")
    assert call(workdirs[system], *packed, "--output", tmp_path / "few") == 0
    said = capsys.readouterr().out
    looked_at = {"stcn": 4, "mask_propagation": 7}[system]
    assert f"{looked_at} frames in" in said and f"to upload: {tmp_path / 'few.zip'}" in said
    everything, few = results(tmp_path / "all"), results(tmp_path / "few")
    assert sorted(everything) == [f"v1/{t:05d}.png" for t in range(1, 8)]
    assert sorted(few) == [f"v1/{t:05d}.png" for t in (1, 3, 5, 7)]
    for name, labels in few.items():
        np.testing.assert_array_equal(labels, everything[name])
    with zipfile.ZipFile(tmp_path / "few.zip") as archive:
        assert archive.namelist() == [f"Annotations/{name}" for name in sorted(few)]
    made_by = json.loads((tmp_path / "few.json").read_text())
    assert made_by["all_frames"] is True and made_by["required_only"] is True


def test_bounded_memory_says_so_once_and_changes_what_made_the_results(workdirs, tmp_path, capsys):
    root, out = write_davis(tmp_path / "DAVIS"), tmp_path / "out"
    arguments = ("--dataset", "davis_val", "--data_root", root, "--output", out)
    assert call(workdirs["mask_propagation"], *arguments, "--memory_frames", 3) == 0
    said = capsys.readouterr().out
    assert said.count("memory bounded to 3 frames") == 1
    assert json.loads((tmp_path / "out.json").read_text())["memory_frames"] == 3
    assert call(workdirs["mask_propagation"], *arguments) == 2
    said = capsys.readouterr()
    assert "holds results of another memory_frames" in said.err
    assert "memory bounded" not in said.out


def test_own_video_with_bounded_memory_and_another_size(workdirs, tmp_path, capsys):
    frames, labels = moving_blocks(6)
    write_images(tmp_path / "frames", frames, [f"{t}" for t in range(6)])
    write_mask(tmp_path / "first.png", labels[0])
    video = ("--video", tmp_path / "frames", "--masks", tmp_path / "first.png", "--no_overlay")
    sized = ("--min_image_dim", 48, "--memory_frames", 2, "--top_k", 1000)
    assert call(workdirs["stcn"], *video, "--output", tmp_path / "out", *sized) == 0
    assert capsys.readouterr().out.count("memory bounded to 2 frames") == 1
    loaded = load_system(workdirs["stcn"], None, {"top_k": 0}, 48)
    assert loaded.facts["model"]["min_dim"] == 48
    session = Session(loaded.system, loaded.params, labels.shape[1:], slots=2, memory=2)
    assert session.geometry.resized == (48, 72)
    for t, frame in enumerate(frames):
        want = session.step(frame, labels[0] if t == 0 else None)
        np.testing.assert_array_equal(read_mask(tmp_path / "out" / "masks" / f"{t}.png"), want)


@pytest.mark.parametrize(
    ("system", "arguments", "message"),
    [
        ("rde", ("--memory_frames", 9), "the memory of Rde has a fixed size of its own"),
        ("stcn", ("--memory_frames", 1), "a memory of 1 frames is too small for Stcn: give it 2"),
        ("mask_propagation", ("--memory_frames", 0), "too small for MaskPropagation"),
        ("stcn", ("--all_frames",), "leave out --all_frames"),
        ("stcn", ("--required_only",), "leave out --required_only"),
        ("stcn", ("--min_image_dim", 0), "--min_image_dim 0 does not suit stcn"),
    ],
)
def test_what_these_systems_refuse(workdirs, tmp_path, capsys, system, arguments, message):
    root = write_davis(tmp_path / "DAVIS", ("boat",))
    dataset = ("--dataset", "davis_val", "--data_root", root, "--output", tmp_path / "out")
    assert call(workdirs[system], *dataset, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--zip", "--all_frames", "--required_only"])
def test_flags_of_benchmarks_are_not_taken_with_a_video(capsys, flag):
    arguments = ("--video", "v.mp4", "--masks", "m.png", "--output", "out", flag)
    assert call("nowhere", *arguments) == 2
    assert "are for --dataset" in capsys.readouterr().err
