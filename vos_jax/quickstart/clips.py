"""The held-out clips with three answers each: the truth, the first mask copied, the model's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos_jax.core.errors import OutputError
from vos_jax.io.images import read_image, read_mask, write_mask
from vos_jax.io.layouts import Sequence, davis

SPLIT = "val"


@dataclass(frozen=True)
class Clip:
    """A held-out clip with everything to be shown of it.

    Attributes:
        name: of the video.
        frames: uint8 [t, h, w, 3], RGB.
        answers: object ids, uint8 [t, h, w], by whose they are.
    """

    name: str
    frames: np.ndarray
    answers: dict[str, np.ndarray]


def held_out(root: Path) -> list[Sequence]:
    """The held-out videos of a set in DAVIS layout."""
    return davis(root, 2017, SPLIT)


def copy_first_masks(root: Path, output: Path) -> None:
    """Answers every frame of every held-out video with the mask of its first frame.

    Raises:
        OutputError: the folder cannot be written.
    """
    for video in held_out(root):
        first = read_mask(video.annotations[0])
        folder = output / video.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
        for stem in video.stems:
            write_mask(folder / f"{stem}.png", first)


def read_clip(video: Sequence, results: dict[str, Path]) -> Clip:
    """Reads a video, its truth, and results kept as <folder>/<video>/<frame>.png.

    Args:
        video: of `held_out`.
        results: folders by the name of who made them.
    """
    answers = {"truth": np.stack([read_mask(path) for path in video.annotations])}
    for name, folder in results.items():
        masks = [read_mask(folder / video.name / f"{stem}.png") for stem in video.stems]
        answers[name] = np.stack(masks)
    return Clip(video.name, np.stack([read_image(path) for path in video.frames]), answers)
