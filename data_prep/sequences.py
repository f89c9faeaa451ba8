"""Videos in official folder layouts: a folder of images, and one of masks, for each video.

A planned video knows its folders and its length, not its files, so that a plan stays small
however many frames there are; the files are listed again when its shard is written.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data_prep.masks import MaskFrame
from vos_jax.core.errors import AnnotationError, MissingInputError
from vos_jax.io.layouts import Sequence, VideoFolder

SILENT_SECONDS = 3.0
"""Listing shows a progress bar when it takes longer than this."""


@dataclass(frozen=True)
class SequenceVideo:
    """A video of a layout; see `VideoSource`.

    Attributes:
        root: the data set's folder.
        folder: where its files lie.
        length: number of frames.
        kind: what the masks' values mean; see `data_prep.masks.read_labels`.
        categories: category by object id.
    """

    root: Path
    folder: VideoFolder
    length: int
    kind: str = "ids"
    categories: Mapping[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The video's name in its data set."""
        return self.folder.name

    def frames(self) -> Iterator[MaskFrame]:
        """The frames in order."""
        sequence = self.folder.sequence()
        images = self.folder.images.relative_to(self.root).as_posix()
        masks = self.folder.masks.relative_to(self.root).as_posix()
        for time, (image, mask) in enumerate(
            zip(sequence.frames, sequence.annotations, strict=True)
        ):
            yield MaskFrame(
                root=self.root,
                video=self.name,
                time=time,
                source=f"{images}/{image.name}",
                mask=None if mask is None else f"{masks}/{mask.name}",
                kind=self.kind,
                categories=self.categories,
            )


def folder_videos(
    root: str | Path,
    folders: Iterable[VideoFolder],
    *,
    kind: str = "ids",
    complete: bool = False,
    category_ids: Mapping[str, int] | None = None,
) -> list[SequenceVideo]:
    """Looks once into every video's folders, with a progress bar when that takes long.

    Args:
        root: the folder that all others lie in.
        folders: of the videos.
        kind: what the masks' values mean; see `data_prep.masks.read_labels`.
        complete: every frame must have a mask; where frames are listed, every one of those.
        category_ids: number of each category that `folders` name.

    Raises:
        MissingInputError: a frame or a mask is missing; names it.
    """
    videos = []
    for folder in tqdm(folders, "listing", unit="video", delay=SILENT_SECONDS, mininterval=1):
        sequence = folder.sequence()
        if complete:
            _check_masks(folder, sequence)
        categories = {i: category_ids[name] for i, name in folder.categories.items()}
        length = len(sequence.frames)
        videos.append(SequenceVideo(Path(root), folder, length, kind, categories))
    return videos


def _check_masks(folder: VideoFolder, sequence: Sequence) -> None:
    needed = set(sequence.listed or sequence.stems)
    pairs = zip(sequence.stems, sequence.annotations, strict=True)
    absent = [stem for stem, mask in pairs if mask is None and stem in needed]
    if absent:
        raise MissingInputError(
            f"{folder.masks / absent[0]}.png: not there, but {folder.images} has its frame "
            f"({len(absent)} such frames); unpack the masks again"
        )


def add_videos_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --videos."""
    parser.add_argument(
        "--videos",
        metavar="LIST",
        help="take these videos only: a text file with one name per line, or a JSON list",
    )


def read_names(path: str | Path | None) -> list[str] | None:
    """The names in a list of videos; None for no list.

    Raises:
        MissingInputError: there is no such file.
        AnnotationError: it is no list of names, or an empty one.
    """
    if path is None:
        return None
    try:
        text = Path(path).read_text()
        names = json.loads(text) if text.lstrip().startswith(("[", "{")) else text.split()
    except OSError as error:
        raise MissingInputError(f"{path}: {error.strerror}; check --videos") from error
    except ValueError as error:
        raise AnnotationError(f"{path} is neither text nor JSON: {error}") from error
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise AnnotationError(f"{path} holds no list of video names; give one name per line")
    return names
