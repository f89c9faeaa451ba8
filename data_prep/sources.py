"""What a data set module hands to the writer: videos whose frames are loaded one at a time."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vos_jax.core.errors import ImageError, MissingInputError
from vos_jax.data.frames import Frame
from vos_jax.io.images import decode_image


class FrameSource(Protocol):
    """A frame that has not been read yet. Picklable; its repr tells all that shapes its record.

    Attributes:
        source: path of the image relative to the source folder; names it in the report.
        inputs: the files that `load` reads.
    """

    source: str
    inputs: tuple[Path, ...]

    def load(self) -> Frame:
        """Reads and checks the frame; any `VosError` rejects it with its message as reason."""


class VideoSource(Protocol):
    """A video, or a still as a video of one frame. Picklable.

    Attributes:
        name: unique in its split.
        length: number of frames.
    """

    name: str
    length: int

    def frames(self) -> Iterable[FrameSource]:
        """The frames in order of time."""


@dataclass(frozen=True)
class ListedVideo:
    """A video, or a still, whose frames are known one by one; see `VideoSource`."""

    name: str
    frame_sources: tuple[FrameSource, ...]

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.frame_sources)

    def frames(self) -> Iterator[FrameSource]:
        """The frames in order."""
        return iter(self.frame_sources)


def require_folder(path: Path, what: str) -> Path:
    """The folder, if it is one.

    Raises:
        MissingInputError: it is not; `what` tells what it should be.
    """
    if not path.is_dir():
        raise MissingInputError(f"{path} is no folder: {what}")
    return path


def read_input(path: Path) -> bytes:
    """The bytes of an input file.

    Raises:
        MissingInputError: it is not there or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingInputError(f"{path}: {error.strerror}") from error


def image_frame(
    path: Path, video: str, time: int, source: str, expected: tuple[int, int] | None = None
) -> Frame:
    """A frame of unchanged image bytes on which nothing is annotated yet.

    Args:
        path: a JPEG or PNG.
        video: name of the video.
        time: position in the video.
        source: the path as it is to be stored.
        expected: (height, width) that the annotations state, or None.

    Raises:
        MissingInputError: the file is not there.
        ImageError: it cannot be decoded, or has another size than stated.
    """
    data = read_input(path)
    height, width = decode_image(data, str(path)).shape[:2]
    if expected not in (None, (height, width)):
        raise ImageError(
            f"{path} is {height}x{width} pixels (height x width) but its annotation says "
            f"{expected[0]}x{expected[1]}"
        )
    return Frame(video, Path(source).stem, time, source, data, height, width)


def fingerprint(settings: tuple, videos: Iterable[VideoSource]) -> str:
    """A digest of settings, sources, and size and modification time of their input files."""
    digest = hashlib.sha256(repr(settings).encode())
    for video in videos:
        digest.update(video.name.encode())
        for frame in video.frames():
            digest.update(repr(frame).encode())
            digest.update(repr([_stamp(path) for path in frame.inputs]).encode())
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
