"""Videos on disk as one iterable of RGB frames: a video file, a folder of images, or a glob."""

import abc
import collections
import glob
import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import MissingInputError, VideoError
from vos_jax.io.images import read_image
from vos_jax.io.layouts import IMAGE_SUFFIXES

DEFAULT_FPS = 24.0
"""Frames per second of an overlay where the source does not say (DAVIS)."""

log = logging.getLogger(__name__)


class Video(abc.ABC):
    """Frames in order, each uint8 [h, w, 3] RGB; may be iterated several times.

    Attributes:
        size: (height, width) of every frame.
        fps: frames per second.
        names: of the frames without suffix, or None where frames only have numbers.
        length: number of frames, None where only decoding tells.
    """

    size: tuple[int, int]
    fps: float = DEFAULT_FPS
    names: tuple[str, ...] | None = None
    length: int | None = None

    @abc.abstractmethod
    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames from the first on.

        Raises:
            VideoError: a frame has another size than the first.
            ImageError: an image of a folder cannot be decoded.
        """

    def name(self, number: int) -> str:
        """Name of a frame's results: its own, else its number in five digits."""
        return f"{number:05d}" if self.names is None else self.names[number]


def open_video(source: str | os.PathLike) -> Video:
    """Opens a video file, a folder of JPEG or PNG frames, a glob of such, or a single image.

    Images are ordered by name, runs of digits by their value.

    Raises:
        MissingInputError: there is no such file or folder.
        VideoError: no frame in it, or it cannot be decoded.
        ImageError: the first image cannot be decoded.
    """
    path = Path(source)
    if path.is_dir():
        return ImageVideo(tuple(path.iterdir()), str(path))
    if path.is_file():
        is_image = path.suffix.lower() in IMAGE_SUFFIXES
        return ImageVideo((path,), str(path)) if is_image else FileVideo(path)
    if glob.has_magic(str(source)):
        return ImageVideo(tuple(map(Path, glob.glob(str(source)))), str(source))
    raise MissingInputError(f"{source}: no such video file or folder; check the path")


class ImageVideo(Video):
    """Images as the frames of a video.

    Args:
        paths: files in any order; those that are no images, and hidden ones, are left out.
        source: what the user named, for errors.
    """

    def __init__(self, paths: tuple[Path, ...], source: str):
        """Sorts the images and decodes the first."""
        images = [p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."]
        if not images:
            raise VideoError(f"{source}: no JPEG or PNG image in it; name the folder of frames")
        self._images = tuple(sorted(images, key=lambda path: _natural(path.stem)))
        self.names = tuple(path.stem for path in self._images)
        self.length = len(images)
        name, count = collections.Counter(self.names).most_common(1)[0]
        if count > 1:
            raise VideoError(f"{source}: {count} images are called {name!r}; keep one of them")
        self.size = read_image(self._images[0]).shape[:2]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decodes one image after the other."""
        for path in self._images:
            yield _same_size(read_image(path), self.size, str(path))


class FileVideo(Video):
    """A video file in any container that OpenCV's FFmpeg reads.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        """Decodes the first frame, which is the only proof that there is one."""
        self._path = path
        capture = self._open()
        try:
            found, frame = capture.read()
            if not found:
                raise VideoError(f"{path}: holds no frame that can be decoded; export it again")
            rate, declared = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            capture.release()
        self.size = frame.shape[:2]
        self.fps = rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_FPS
        self._declared = int(declared)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decodes one frame after the other."""
        capture = self._open()
        number = 0
        try:
            while True:
                found, frame = capture.read()
                if not found:
                    break
                frame = _same_size(frame, self.size, f"{self._path}: frame {number}")
                number += 1
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()
        if number < self._declared:
            log.warning(
                "%s: %d of %d declared frames decoded; the file may be cut off",
                self._path,
                number,
                self._declared,
            )

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise VideoError(f"{self._path}: is no video, or is cut off; export it again as mp4")
        return capture


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _same_size(frame: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    if frame.shape[:2] != size:
        raise VideoError(
            f"{name}: is {frame.shape[1]}x{frame.shape[0]}, the first frame {size[1]}x{size[0]}; "
            "all frames of a video must have one size"
        )
    return frame
