"""Sources of training clips: still images and videos of a prepared set, by item number.

A source knows from the index alone what its items are (`counts`, `sizes`) and makes the clip
of one item with `clip(item, objects, rng)`, of `times` frames.
"""

import logging
from typing import Protocol

import numpy as np

from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import Sample, StillAugmentation, VideoAugmentation
from vos_jax.data.frame_sampling import later_frames, neighbours
from vos_jax.data.items import (
    draw_objects,
    eligible_objects,
    frame_sizes,
    object_labels,
    objects_per_frame,
    picture,
    video_of,
)
from vos_jax.data.records import RecordSet

_log = logging.getLogger(__name__)

REFERENCES = ("middle", "last")


class ClipSource(Protocol):
    """What the pipeline asks of a source.

    Attributes:
        times: frames of a clip.
        counts: int [n], objects that can be drawn from each item; the samples are balanced
            over them. None where the source itself decides how many it takes.
        scheduled: whether clips depend on how far training has come.
        gives: whether clips bring masks of their own for frame 0.
        sizes: int [n, 2], height and width of each item's frames.
    """

    times: int
    counts: np.ndarray | None
    sizes: np.ndarray
    scheduled: bool
    gives: bool

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """The clip of an item with so many of its objects, drawn at random.

        Without `counts`, `objects` is the largest number allowed. `progress` is the share of the
        training that is done, in [0, 1).
        """


class StillClips:
    """Clips made of single annotated images: every annotated frame of the set is an item."""

    scheduled = False
    gives = False

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
        self._eligible = eligible_objects(records, min_area, min_side)
        annotated = np.flatnonzero(records.index.frames["annotated"])
        counts = objects_per_frame(records, self._eligible)[annotated]
        self._frames = annotated[counts > 0]
        self.counts = counts[counts > 0]
        self.sizes = frame_sizes(records, self._frames)

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """Draws objects and augments.

        Raises:
            ImageError, RecordError: the record cannot be read.
        """
        number = int(self._frames[item])
        ids = draw_objects(self._records, self._eligible, number, objects, rng)
        frame = self._records[number]
        labels = object_labels(frame, ids)
        return self._augmentation(picture(frame), labels, objects, rng)


class VideoClips:
    """Clips of densely annotated videos: an item is a reference frame, later frames are drawn.

    The objects are those of the reference frame that are large enough there; they keep their
    labels on the later frames however small they get (HODOR's code deletes small ones there,
    so that they become background).
    """

    scheduled = False
    gives = False

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
        self._eligible = eligible_objects(records, min_area, min_side)
        frames, videos = records.index.frames, records.index.videos
        lengths, firsts = (videos[field][frames["video"]] for field in ("frames", "first_frame"))
        times = np.arange(len(frames)) - firsts.astype(np.int64)
        counts = objects_per_frame(records, self._eligible)
        usable = (times < lengths.astype(np.int64) - others - 1) & frames["annotated"]
        self._frames = np.flatnonzero(usable & (counts > 0))
        self.counts = counts[self._frames]
        self.sizes = frame_sizes(records, self._frames)

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """Draws later frames and objects, and augments.

        Raises:
            ImageError, RecordError: a record cannot be read.
        """
        number = int(self._frames[item])
        first, length = video_of(self._records, number)
        ids = draw_objects(self._records, self._eligible, number, objects, rng)
        later = later_frames(rng, number - first, length, self.times - 1, self._max_gap)
        frames = [self._records[number], *(self._records[first + t] for t in later)]
        sample = self._augmentation(
            [picture(frame) for frame in frames],
            [object_labels(frame, ids) for frame in frames],
            objects,
            rng,
        )
        sample.labelled[:] = [frame.annotated for frame in frames]
        return sample


class SparseVideoClips:
    """Clips of videos of which a single frame's labels are used: every video is an item.

    Frame 0 of a clip is the video's reference frame, the others lie on one side of it, in random
    order; they count as unlabelled, and their masks are never decoded. Any number of objects up
    to the slots is taken, so the samples are not balanced over it.
    """

    counts = None
    scheduled = False
    gives = False

    def __init__(
        self,
        records: RecordSet,
        augmentation: VideoAugmentation,
        *,
        others: int = 2,
        max_gap: int = 6,
        reference: str = "middle",
        min_area: float = 2000,
        min_side: float = 20,
    ):
        """Looks up every video's reference frame; videos without one are left out.

        Args:
            records: the prepared set.
            augmentation: varies the clips; HODOR draws the colour per frame here.
            others: frames besides the reference frame.
            max_gap: farthest distance from it, frames (YouTube-VOS 6, DAVIS 12).
            reference: which of the labelled frames with a large enough object it is: the one
                nearest the "middle" of the video, or the "last", as in the published code.
            min_area: an object's area on the reference must exceed it, pixels.
            min_side: the smaller side of its box must exceed it, pixels.

        Raises:
            ConfigError: an unknown reference, or so many frames do not fit into the gap.
        """
        if reference not in REFERENCES:
            raise ConfigError(f"reference is {reference!r}; known are {', '.join(REFERENCES)}")
        if max_gap < others:
            raise ConfigError(f"max_gap {max_gap} leaves no room for {others} other frames")
        self.times = 1 + others
        self._records, self._augmentation, self._max_gap = records, augmentation, max_gap
        self._eligible = eligible_objects(records, min_area, min_side)
        self._objects = objects_per_frame(records, self._eligible)
        self._frames = self._references(reference)
        self.sizes = frame_sizes(records, self._frames)

    def _references(self, which: str) -> np.ndarray:
        frames, videos = self._records.index.frames, self._records.index.videos
        numbers = np.flatnonzero(frames["annotated"] & (self._objects > 0))
        own = videos[frames["video"][numbers]]
        lengths, firsts = (own[field].astype(np.int64) for field in ("frames", "first_frame"))
        times = numbers - firsts
        distance = np.abs(2 * times - lengths) if which == "middle" else -times
        order = np.lexsort((distance, frames["video"][numbers]))
        _, nearest = np.unique(frames["video"][numbers][order], return_index=True)
        chosen = order[nearest]
        room = np.maximum(times, lengths - 1 - times)[chosen] >= self.times - 1
        _log.info("%d of %d videos have a reference frame and room", room.sum(), len(videos))
        return numbers[chosen[room]]

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """Draws the other frames and at most so many objects, and augments.

        Raises:
            ImageError, RecordError: a record cannot be read.
        """
        number = int(self._frames[item])
        first, length = video_of(self._records, number)
        drawn = min(objects, int(self._objects[number]))
        ids = draw_objects(self._records, self._eligible, number, drawn, rng)
        others = neighbours(rng, number - first, length, self.times - 1, self._max_gap)
        reference = self._records[number]
        frames = [reference, *(self._records[first + t] for t in others)]
        labels = object_labels(reference, ids)
        unlabelled = [np.zeros_like(labels) for _ in others]
        sample = self._augmentation(
            [picture(frame) for frame in frames], [labels, *unlabelled], drawn, rng
        )
        sample.present[:] = True
        sample.labelled[1:] = False
        return sample
