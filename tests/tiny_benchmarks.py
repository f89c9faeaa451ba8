"""Benchmark folders of a few tiny frames."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from vos_jax.io.images import write_mask

SIZE = (32, 48)


def moving_blocks(count: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two coloured blocks over noise, uint8 [t, h, w, 3], and their labels 2 and 9."""
    frames = np.random.default_rng(seed).integers(0, 60, (count, *SIZE, 3)).astype(np.uint8)
    labels = np.zeros((count, *SIZE), np.uint8)
    for t in range(count):
        labels[t, 2:18, 2 + t : 18 + t] = 2
        labels[t, 12:30, 26:44] = 9
    frames[labels == 2] = (220, 40, 40)
    frames[labels == 9] = (40, 220, 40)
    return frames, labels


def write_video(
    images: Path, masks: Path, annotated, seed: int = 0, grey: bool = False, count: int = 4
) -> None:
    """JPEG frames, and the masks of the annotated ones."""
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    frames, labels = moving_blocks(count, seed)
    for t, frame in enumerate(frames):
        cv2.imwrite(str(images / f"{t:05d}.jpg"), frame[..., ::-1])
    for t in annotated:
        if grey:
            cv2.imwrite(str(masks / f"{t:05d}.png"), 255 * (labels[t] > 0).astype(np.uint8))
        else:
            write_mask(masks / f"{t:05d}.png", labels[t])


def write_davis(root: Path, names=("boat", "cat"), year: int = 2017, annotated=(0,)) -> Path:
    """A DAVIS folder with these validation sequences."""
    lists = root / "ImageSets" / str(year)
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(names) + "\n")
    for seed, name in enumerate(names):
        folders = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        write_video(*folders, annotated, seed, grey=year == 2016)
    return root


def write_youtube_vos(root: Path, annotated=(0, 2), listed=range(4), count: int = 4) -> Path:
    """A YouTube-VOS folder with one validation video; all its frames are in `all_frames`.

    Args:
        root: of the data set.
        annotated: frames with masks.
        listed: frames that meta.json lists and that the folder of the split has.
        count: frames of the video.
    """
    valid = root / "valid"
    every = root / "all_frames" / "valid_all_frames" / "JPEGImages" / "v1"
    write_video(every, valid / "Annotations" / "v1", annotated, count=count)
    (valid / "JPEGImages" / "v1").mkdir(parents=True)
    frames = [f"{t:05d}" for t in listed]
    for name in frames:
        shutil.copy(every / f"{name}.jpg", valid / "JPEGImages" / "v1")
    objects = {str(i): {"category": "block", "frames": frames} for i in (2, 9)}
    (valid / "meta.json").write_text(json.dumps({"videos": {"v1": {"objects": objects}}}))
    return root
