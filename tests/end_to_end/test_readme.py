"""The commands of README.md do what it says, on tiny data laid out as it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.moving_objects import make_videos, write_davis_layout
from tests import official_listings, pth_writer
from tests.parity.seeded_weights import seeded_tensor
from vos_jax.training.configuration import load_settings

ROOT = Path(__file__).resolve().parents[2]
TENSORS = json.loads((ROOT / "tests/fixtures/hodor/state_dict_keys.json").read_text())
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"<!-- run -->\n```(\w+)\n(.*?)```", README, re.S)


def redirected(config: str, folder: str, split: str) -> str:
    """Flags that give all sources of a config one prepared set, and train little on it."""
    sources = load_settings(ROOT / f"configs/{config}.py").data.sources
    settings = ["steps=1", "batch=2", "data.workers=0", "data.canvases=((64,64),)"]
    for name in sources:
        source = f"data.sources.{name}"
        settings += [f"{source}.folder={folder}", f"{source}.split={split}"]
        settings += [f"{source}.augmentation.size=64"]
    return " ".join(f"--config.{each}" for each in settings)


# What is made smaller, by a word of the command: a later flag wins over an earlier one.
SMALLER = {
    "data_prep.moving_objects": "--videos 4 --frames 5",
    "--classes": "--frames 12",
    "configs/small_vishv.py": "--config.steps=1 --config.batch=2 --config.model.clip_length=2 "
    "--config.model.overlap=1 --config.model.flow_steps=1 --config.data.canvases=((64,64),) "
    "--config.data.sources.videos.options.frames.count=2",
    "infer --workdir runs/small_vishv": "--min_image_dim 64 --min_seediness 0.3 --max_clusters 3",
    "configs/quickstart.py": "--config.steps=2 --config.batch=8 --config.data.workers=0",
    "configs/hodor_static.py": "--config.steps=1 --config.batch=2 --config.data.workers=0 "
    "--config.data.canvases=((64,96),) --config.data.pixels=6144 --config.model.cycles=short "
    "--config.model.encoder_layers=1 --config.model.decoder_layers=1",
    "configs/hodor_video_sparse.py": "--config.steps=1 --config.batch=2 --config.data.workers=0 "
    "--config.data.canvases=((96,128),) --config.data.short_side=96 --config.data.long_side=128 "
    "--config.model.cycles=short --config.model.encoder_layers=1 --config.model.decoder_layers=1 "
    "--config.data.sources.youtube_vos.options.min_area=100 "
    "--config.data.sources.davis.options.min_area=100 ",
    "512": "--min_image_dim 64",
    "runs/mask_propagation --dataset": "--min_image_dim 64",
    "configs/small_stcn_start.py": "--config.model.channels=16 "
    + redirected("small_stcn_start", "moving", "train"),
    "configs/small_stcn.py": "--config.model.channels=16 "
    + redirected("small_stcn", "moving", "train"),
    "configs/small_aot_start.py": "--config.model.channels=16 --config.model.ffn=64 "
    + redirected("small_aot_start", "moving", "train"),
    "configs/small_aot.py": "--config.model.channels=16 --config.model.ffn=64 "
    + redirected("small_aot", "moving", "train"),
    "configs/mask_propagation_stage0.py": "--config.init_from= --config.model.backbone=small "
    + redirected("mask_propagation_stage0", "moving", "train"),
    "configs/mask_propagation_stage2.py": "--config.model.backbone=small "
    + redirected("mask_propagation_stage2", "davis2017", "train"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder like a checkout with the data that README.md takes for granted."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("configs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    for split in ("train", "val"):
        write_davis_layout(make_videos(split, 1, 4, seed=1), folder / "data/DAVIS")
    write_youtube_vos(folder / "data/YouTube/train", folder / "data/DAVIS")
    write_coco(folder / "data/coco")
    pth_writer.write_state_dict(folder / "250000.pth", tensors("tensors"), "model")
    backbone = tensors("pretrained_backbone_file")
    pth_writer.write_state_dict(folder / "swin_tiny_pretrained.pth", backbone, "state_dict")
    for name, listing in (
        ("propagation_model.pth", official_listings.network("mask_propagation")),
        ("resnet50-19c8e357.pth", official_listings.resnet(50)),
    ):
        pth_writer.write_state_dict(folder / name, seeded(listing))
    return folder


def seeded(listing: dict) -> dict[str, np.ndarray]:
    """Tensors of official shapes under which a deep network stays finite."""
    return {
        name: np.asarray(seeded_tensor(name, shape, gain=0.5), dtype)
        for name, (shape, dtype) in listing.items()
    }


def write_youtube_vos(root: Path, davis: Path) -> None:
    """The training videos of a DAVIS folder as YouTube-VOS has them."""
    stems = [f"{t:05d}" for t in range(4)]
    objects = {"1": {"category": "thing", "frames": stems}}
    (root / "Annotations").mkdir(parents=True)
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(davis / kind / "480p/train_00000", root / kind / "train_00000")
    (root / "meta.json").write_text(json.dumps({"videos": {"train_00000": {"objects": objects}}}))


def tensors(kind: str) -> dict[str, np.ndarray]:
    """Official tensors, small so that a deep network stays finite."""
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, 49, entry["shape"])
        if entry["dtype"] == "int64"
        else 0.02 * rng.standard_normal(entry["shape"], np.float32)
        for name, entry in TENSORS[kind].items()
    }


def write_coco(root: Path) -> None:
    """Four photographs of noise with two squares each."""
    (root / "train2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    content = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "car"}]}
    for number in range(1, 5):
        name = f"{number:012d}.jpg"
        pixels = np.random.default_rng(number).integers(0, 256, (120, 180, 3), np.uint8)
        cv2.imwrite(str(root / "train2017" / name), pixels)
        content["images"].append({"id": number, "file_name": name, "height": 120, "width": 180})
        for side, x in ((60, 10), (70, 90)):
            square = [x, 20, x + side, 20, x + side, 20 + side, x, 20 + side]
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 3,
                    "segmentation": [square],
                    "area": side * side,
                    "bbox": [x, 20, side, side],
                    "iscrowd": 0,
                }
            )
    (root / "annotations/instances_train2017.json").write_text(json.dumps(content))


def smaller(command: str) -> str:
    """A command of README.md with the flags of `SMALLER` behind it."""
    added = [flags for word, flags in SMALLER.items() if word in command]
    return shlex.join([*command.split(), *" ".join(added).split()])


def commands(language: str, block: str) -> list[list[str]]:
    """The commands of a block, as arguments of a shell or of Python."""
    if language == "python":
        return [[sys.executable, "-c", block]]
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [["bash", "-c", smaller(line)] for line in lines]


def test_every_part_of_the_library_is_shown():
    shown = "".join(block for _, block in BLOCKS)
    for module in ("train", "infer", "evaluate", "convert", "correspond"):
        assert f"-m vos_jax.{module}" in shown
    assert "Session(" in shown


def test_readme_runs_from_top_to_bottom(folder):
    """One test, since each block needs what the blocks before it made."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for language, block in BLOCKS:
        for command in commands(language, block):
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    for made in (
        "out/val_00000/overlay.mp4",
        "out/val_00000/masks.json",
        "out/val_00000/masks/00004.png",
        "runs/small/results/davis_val/global_results-val.csv",
        "runs/hodor/results/davis_val/val_00000/00003.png",
        "davis2017.png",
        "runs/hodor_static/config.json",
        "runs/hodor_sparse/config.json",
        "runs/small_8/metrics.jsonl",
        "runs/mask_propagation/results/davis_val/val_00000/00003.png",
        "runs/mask_propagation_stage2/config.json",
        "runs/small_deaot/results/davis_val/val_00000/00003.png",
        "out/instances/results.json",
        "runs/small_vishv/results/ytvis19_val/global_results-valid.csv",
        "out/correspond",
    ):
        assert (folder / made).exists(), made


def test_named_files_and_folders_are_there():
    words = re.findall(r"`((?:vos_jax|scripts|configs|constraints)[\w./]*)`", README)
    assert len(words) >= 3
    assert [word for word in words if not (ROOT / word).exists()] == []
