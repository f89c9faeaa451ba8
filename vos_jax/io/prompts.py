"""Masks that a person gives for a video: which frame each belongs to, and its object ids."""

import logging
import os
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import MaskError, MissingInputError
from vos_jax.io.images import read_mask
from vos_jax.io.layouts import files_by_stem
from vos_jax.io.videos import Video

NEARLY = 4
"""Pixels by which the sides of a mask may differ from the frame's and still be its mask."""

log = logging.getLogger(__name__)


def read_prompts(source: str | os.PathLike, video: Video) -> dict[int, np.ndarray]:
    """Reads masks for any frames of a video.

    Args:
        source: one PNG, which belongs to the first frame, or a folder of PNGs. Each of these is
            called like its frame or, as a whole number, like the frame's number: that in the
            frame's name where names are numbers, else counted from 0.
        video: what the masks belong to.

    Returns:
        Label maps by frame number, uint8 [h, w] of object ids, 255 void, of the video's size.

    Raises:
        MissingInputError: no such file or folder, or no PNG in it.
        MaskError: a mask cannot be read, has another size, or belongs to no frame.
    """
    path = Path(source)
    if not path.is_dir():
        return {0: _read(path, video.size)}
    files = files_by_stem(path, (".png",))
    if not files:
        raise MissingInputError(f"{path}: no PNG mask in it; name the folder of masks")
    return {_frame_of(file, video): _read(file, video.size) for file in files.values()}


def fit_mask(labels: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """Brings a mask to its frame's size if it is off by at most four pixels, and says so.

    Raises:
        MaskError: the sizes have nothing to do with each other.
    """
    if labels.shape == tuple(size):
        return labels
    what = f"{name}: the mask is {labels.shape[1]}x{labels.shape[0]}, its frame {size[1]}x{size[0]}"
    if max(abs(a - b) for a, b in zip(labels.shape, size, strict=True)) > NEARLY:
        raise MaskError(f"{what}; resize the mask with nearest neighbour, or take the right one")
    log.warning("%s; resized with nearest neighbour", what)
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _read(path: Path, size: tuple[int, int]) -> np.ndarray:
    return fit_mask(read_mask(path, binary=True, prompt=True), size, str(path))


def _frame_of(path: Path, video: Video) -> int:
    """The number of the frame that a mask file is called after."""
    names, stem = video.names, path.stem
    if names is not None and stem in names:
        return names.index(stem)
    if stem.isdecimal():
        number = int(stem)
        if names is not None and all(name.isdecimal() for name in names):
            numbers = [int(name) for name in names]
            if number in numbers:
                return numbers.index(number)
        elif video.length is None or number < video.length:
            return number
    raise MaskError(
        f"{path}: no frame is called {stem!r}; call each mask like its frame or its number"
    )
