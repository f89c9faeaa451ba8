"""Sources of training clips: still images and videos of a prepared set, by item number.

A source knows from the index alone what its items are (`counts`, `sizes`) and makes the clip
of one item with `clip(item, objects, rng)`, of `times` frames.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from vos_jax.core.errors import ConfigError, ImageError
from vos_jax.data.augment import Sample, StillAugmentation, VideoAugmentation
from vos_jax.data.planes import object_planes
from vos_jax.data.records import Frame, Objects, RecordSet
from vos_jax.data.sampling import later_frames
from vos_jax.io.images import decode_image

Augmentation = StillAugmentation | VideoAugmentation


class ClipSource(Protocol):
    """What the pipeline asks of a source.

    Attributes:
        times: frames of a clip.
        counts: int [n], objects that can be drawn from each item.
        sizes: int [n, 2], height and width of each item's frames.
    """

    times: int
    counts: np.ndarray
    sizes: np.ndarray

    def clip(self, item: int, objects: int, rng: np.random.Generator) -> Sample:
        """The clip of an item with so many of its objects, drawn at random."""


class StillClips:
    """Clips made of single annotated images: every annotated frame of the set is an item."""

    def __init__(
        self,
        records: RecordSet,
        augmentation: StillAugmentation,
        *,
        min_area: float = 2000,
        min_side: float = 20,
    ):
        """Looks up which objects are large enough.

        Args:
            records: the prepared set.
            augmentation: makes the clips.
            min_area: an object's area must exceed it, pixels.
            min_side: the smaller side of its box must exceed it, pixels.
        """
        self.times = 1 + augmentation.others
        self._records, self._augmentation = records, augmentation
        self._eligible = _eligible(records, min_area, min_side)
        annotated = np.flatnonzero(records.index.frames["annotated"])
        counts = _objects_per_frame(records, self._eligible)[annotated]
        self._frames = annotated[counts > 0]
        self.counts = counts[counts > 0]
        self.sizes = _sizes(records, self._frames)

    def clip(self, item: int, objects: int, rng: np.random.Generator) -> Sample:
        """Draws objects and augments.

        Raises:
            ImageError, RecordError: the record cannot be read.
        """
        number = int(self._frames[item])
        ids = _draw_objects(self._records, self._eligible, number, objects, rng)
        frame = self._records[number]
        labels = object_labels(frame, ids)
        return self._augmentation(_image(frame), labels, objects, rng)


class VideoClips:
    """Clips of densely annotated videos: an item is a reference frame, later frames are drawn.

    The objects are those of the reference frame that are large enough there; they keep their
    labels on the later frames however small they get (HODOR's code deletes small ones there,
    so that they become background).
    """

    def __init__(
        self,
        records: RecordSet,
        augmentation: VideoAugmentation,
        *,
        others: int = 2,
        max_gap: int = 8,
        min_area: float = 2000,
        min_side: float = 20,
    ):
        """Looks up which frames can be a reference.

        Args:
            records: the prepared set.
            augmentation: varies the clips.
            others: frames after the reference frame.
            max_gap: they lie less than this behind it (YouTube-VOS 8, DAVIS 16).
            min_area: an object's area on the reference must exceed it, pixels.
            min_side: the smaller side of its box must exceed it, pixels.

        Raises:
            ConfigError: so many frames do not fit into the gap.
        """
        if max_gap <= others:
            raise ConfigError(f"max_gap {max_gap} leaves no room for {others} later frames")
        self.times = 1 + others
        self._records, self._augmentation, self._max_gap = records, augmentation, max_gap
        self._eligible = _eligible(records, min_area, min_side)
        frames, videos = records.index.frames, records.index.videos
        lengths, firsts = (videos[field][frames["video"]] for field in ("frames", "first_frame"))
        times = np.arange(len(frames)) - firsts.astype(np.int64)
        counts = _objects_per_frame(records, self._eligible)
        usable = (times < lengths.astype(np.int64) - others - 1) & frames["annotated"]
        self._frames = np.flatnonzero(usable & (counts > 0))
        self.counts = counts[self._frames]
        self.sizes = _sizes(records, self._frames)

    def clip(self, item: int, objects: int, rng: np.random.Generator) -> Sample:
        """Draws later frames and objects, and augments.

        Raises:
            ImageError, RecordError: a record cannot be read.
        """
        number = int(self._frames[item])
        video = self._records.index.videos[self._records.index.frames["video"][number]]
        first = int(video["first_frame"])
        ids = _draw_objects(self._records, self._eligible, number, objects, rng)
        later = later_frames(
            rng, number - first, int(video["frames"]), self.times - 1, self._max_gap
        )
        frames = [self._records[number], *(self._records[first + t] for t in later)]
        sample = self._augmentation(
            [_image(frame) for frame in frames],
            [object_labels(frame, ids) for frame in frames],
            objects,
            rng,
        )
        sample.labelled[:] = [frame.annotated for frame in frames]
        return sample


def object_labels(frame: Frame, ids: Sequence[int]) -> np.ndarray:
    """The labels of some objects of a frame, numbered 1.. in the order of `ids`.

    Where objects overlap, the later one is on top. An object that is not on the frame, and
    void, leave background.

    Returns:
        uint8 [h, w].

    Raises:
        RecordError: a mask cannot be decoded.
    """
    rows = {identity: row for row, identity in enumerate(frame.objects.ids.tolist())}
    found = [(number, rows[i]) for number, i in enumerate(ids, start=1) if i in rows]
    labels = np.zeros((frame.height, frame.width), np.uint8)
    chosen = _only(frame, [row for _, row in found])
    for (number, _), plane in zip(found, object_planes(chosen), strict=True):
        labels[plane] = number
    return labels


def _only(frame: Frame, rows: list[int]) -> Frame:
    """The frame with some of its objects, so that no other mask is decoded."""
    objects = frame.objects
    rles = tuple(objects.rles[row] for row in rows) if objects.rles else ()
    return replace(frame, objects=Objects(ids=objects.ids[rows], rles=rles))


def _image(frame: Frame) -> np.ndarray:
    image = decode_image(frame.image, _name(frame))
    if image.shape[:2] != (frame.height, frame.width):
        raise ImageError(
            f"{_name(frame)}: the image is {image.shape[1]}x{image.shape[0]}, its masks "
            f"{frame.width}x{frame.height}; prepare the data set again"
        )
    return image


def _name(frame: Frame) -> str:
    return f"{frame.video}/{frame.name}"


def _eligible(records: RecordSet, min_area: float, min_side: float) -> np.ndarray:
    """Which rows of the index's objects may be drawn: bool [n]. Crowd regions may not."""
    objects = records.index.objects
    large = (objects["area"] > min_area) & (objects["box"][:, 2:].min(axis=1) > min_side)
    return large & ~objects["crowd"]


def _objects_per_frame(records: RecordSet, eligible: np.ndarray) -> np.ndarray:
    frames = records.index.frames
    before = np.concatenate([[0], np.cumsum(eligible)])
    first = frames["first_object"].astype(np.int64)
    return before[first + frames["objects"]] - before[first]


def _draw_objects(
    records: RecordSet,
    eligible: np.ndarray,
    number: int,
    objects: int,
    rng: np.random.Generator,
) -> list[int]:
    """Ids of some eligible objects of a frame, in the order of the index."""
    row = records.index.frames[number]
    rows = np.arange(row["objects"]) + int(row["first_object"])
    chosen = np.sort(rng.choice(rows[eligible[rows]], objects, replace=False))
    return records.index.objects["id"][chosen].tolist()


def _sizes(records: RecordSet, frames: np.ndarray) -> np.ndarray:
    videos = records.index.videos[records.index.frames["video"][frames]]
    return np.stack([videos["height"], videos["width"]], axis=-1).astype(np.int64)
