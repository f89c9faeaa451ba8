"""Videos in official folder layouts, whose objects are drawn in one PNG per frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.sources import read_checked_image, read_input
from vos_jax.core.labels import VOID
from vos_jax.data.frames import Frame, Objects
from vos_jax.io.images import decode_mask, encode_mask
from vos_jax.io.layouts import Sequence

_PNG_COLOUR_TYPE_AT = 25
_PNG_PALETTE = 3


@dataclass(frozen=True)
class SequenceFrame:
    """One frame of a `SequenceVideo`; see `FrameSource`.

    Attributes:
        root: the folder that `source` is relative to.
        video: name of the video.
        time: position in the video.
        image: its file.
        mask: file of its mask, or None.
        single_object: everything but 0 in the mask is object 1.
    """

    root: Path
    video: str
    time: int
    image: Path
    mask: Path | None
    single_object: bool

    @property
    def source(self) -> str:
        """Path of the image relative to the root."""
        return self.image.relative_to(self.root).as_posix()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Image and mask."""
        return (self.image,) if self.mask is None else (self.image, self.mask)

    def load(self) -> Frame:
        """Checks and reads image and mask; a palette PNG is kept byte for byte."""
        data, pixels = read_checked_image(self.image, None)
        height, width = pixels.shape[:2]
        mask, objects = None, Objects()
        if self.mask is not None:
            mask = read_input(self.mask)
            labels = decode_mask(mask, str(self.mask), size=(height, width))
            if self.single_object:
                labels = (labels > 0).astype(np.uint8)
            if self.single_object or mask[_PNG_COLOUR_TYPE_AT] != _PNG_PALETTE:
                mask = encode_mask(labels)
            objects = label_objects(labels)
        return Frame(
            video=self.video,
            name=self.image.stem,
            time=self.time,
            source=self.source,
            image=data,
            height=height,
            width=width,
            annotated=mask is not None,
            mask=mask,
            objects=objects,
        )


@dataclass(frozen=True)
class SequenceVideo:
    """A video of a layout; see `VideoSource`.

    Attributes:
        root: the data set's folder.
        sequence: the files.
        single_object: as in `SequenceFrame`.
    """

    root: Path
    sequence: Sequence
    single_object: bool = False

    @property
    def name(self) -> str:
        """The video's name in its data set."""
        return self.sequence.name

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.sequence.frames)

    def frames(self) -> Iterator[SequenceFrame]:
        """The frames in order."""
        pairs = zip(self.sequence.frames, self.sequence.annotations, strict=True)
        for time, (image, mask) in enumerate(pairs):
            yield SequenceFrame(self.root, self.name, time, image, mask, self.single_object)


def label_objects(labels: np.ndarray) -> Objects:
    """The objects of a label map (uint8 [h, w]; 0 and 255 are none) with areas and boxes."""
    areas = np.bincount(labels.ravel(), minlength=VOID + 1)
    ids = np.flatnonzero(areas[:VOID])
    ids = ids[ids > 0]
    boxes = np.zeros((len(ids), 4), np.float32)
    for box, object_id in zip(boxes, ids, strict=True):
        rows = np.flatnonzero((labels == object_id).any(axis=1))
        columns = np.flatnonzero((labels == object_id).any(axis=0))
        box[:] = columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1
    return Objects(
        ids=ids,
        categories=np.zeros(len(ids), np.int64),
        areas=areas[ids].astype(np.float32),
        boxes=boxes,
        crowds=np.zeros(len(ids), bool),
    )
