"""Small sets of truth and results, written to disk for tests of scoring."""

import json
from pathlib import Path

import numpy as np

from vos_jax.io.images import write_mask

SHAPE = (48, 64)


def squares(*corners: tuple[int, int, int]) -> np.ndarray:
    """A label map of 12-pixel squares, each given as (id, row, column)."""
    labels = np.zeros(SHAPE, np.uint8)
    for object_id, y, x in corners:
        labels[y : y + 12, x : x + 12] = object_id
    return labels


def two_objects(t: int, shift: int = 0) -> np.ndarray:
    """Frame t of a video in which object 1 goes right and object 2 down."""
    return squares((1, 4, 2 + 2 * t + shift), (2, 20 + t, 40 + shift))


def write_video(folder: Path, name: str, frames: list[np.ndarray]) -> None:
    """Writes the masks of a video as <folder>/<name>/00000.png and so on."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for t, labels in enumerate(frames):
        write_mask(folder / name / f"{t:05d}.png", labels)


def write_davis(
    root: Path, year: int = 2017, masks: str = "Annotations", lengths: tuple[int, ...] = (6, 5)
) -> None:
    """Writes the truth of sequences `b`, `a`, ... in the layout of DAVIS, listed in that order."""
    names = ["b", "a", "c"][: len(lengths)]
    for name, length in zip(names, lengths, strict=True):
        frames = [two_objects(t) for t in range(length)]
        write_video(root / masks / "480p", name, frames)
    (root / "ImageSets" / str(year)).mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / str(year) / "val.txt").write_text("\n".join(names) + "\n")


def write_results(folder: Path, shift: int = 3, lengths: tuple[int, ...] = (6, 5)) -> None:
    """Writes results for `write_davis`, every object `shift` pixels to the right."""
    for name, length in zip(["b", "a", "c"], lengths, strict=False):
        write_video(folder, name, [two_objects(t, shift) for t in range(length)])


def write_youtube_vos(root: Path) -> None:
    """Writes a truth in the layout of YouTube-VOS: a dog and a kangaroo that comes late."""
    frames = [squares((1, 4, 4), *([(2, 30, 30)] if t > 1 else [])) for t in range(6)]
    write_video(root / "Annotations", "v1", frames)
    stems = [f"{t:05d}" for t in range(6)]
    objects = {
        "1": {"category": "dog", "frames": stems},
        "2": {"category": "kangaroo", "frames": stems[2:]},
    }
    (root / "meta.json").write_text(json.dumps({"videos": {"v1": {"objects": objects}}}))
