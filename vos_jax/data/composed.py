"""Sources of clips composed of a frame sampler, an augmentation chain and a choice of objects.

Mask-Propagation, STCN, RDE, AOT, DeAOT and STEm-Seg differ in these three and in a few numbers.
"""

import functools
import logging

import cv2
import numpy as np

from vos_jax.core.errors import ConfigError
from vos_jax.core.labels import VOID
from vos_jax.data.augment import Sample
from vos_jax.data.classes import DROPPED, classes_of
from vos_jax.data.crops import object_areas
from vos_jax.data.frame_sampling import FrameSampler
from vos_jax.data.items import label_map, picture, usable_frames, video_objects
from vos_jax.data.objects import Chosen, ObjectChoice, ReferenceObjects
from vos_jax.data.operations import Chain
from vos_jax.data.perturbation import perturb_mask
from vos_jax.data.records import RecordSet

_log = logging.getLogger(__name__)


class ComposedClips:
    """Clips of annotated frames: every video of the set, or still as a video of one, is an item.

    Frames are drawn, decoded and augmented with their labels as stored; then the objects are
    chosen. Where the first frame shows none of those chosen, all this is repeated.
    """

    counts = None

    def __init__(
        self,
        records: RecordSet,
        chain: Chain,
        frames: FrameSampler,
        objects: ObjectChoice,
        *,
        attempts: int = 1,
        object_frames: int = 0,
        by_length: bool = False,
        longest_gap: int = 0,
        classes: str = "",
        perturb: tuple[float, ...] = (),
    ):
        """Looks up which videos have enough usable frames; the others are left out.

        Args:
            records: the prepared set.
            chain: augments the clips.
            frames: draws a video's frames.
            objects: chooses a clip's objects.
            attempts: how often a clip is made until its first frame shows a chosen object.
            object_frames: usable are frames with an object that is on at least so many frames
                of the video; 0 for all annotated frames.
            by_length: items are usable frames, so that a video's share of the samples is that of
                its length; each stands for its whole video.
            longest_gap: unusable frames in a row at which a video is cut in two; 0 never cuts.
            classes: rule of `data.classes` by which clips name their objects' classes, and
                objects without a class are background or void; "" does neither.
            perturb: range of the overlap below which masks that are given on frame 0 are
                perturbed, drawn per clip; () leaves them as they are.
        """
        self.times, self.scheduled = frames.count, frames.scheduled
        self.gives = objects.gives or bool(perturb)
        self._records, self._chain, self._sampler = records, chain, frames
        self._objects, self._attempts, self._perturb = objects, attempts, tuple(perturb)
        self._rule, counted = classes, None
        if classes:
            found = classes_of(classes, records.index.objects["category"])
            counted = (found != DROPPED) & (found != VOID)
        self._numbers = np.flatnonzero(usable_frames(records, object_frames, counted))
        video_of = records.index.frames["video"][self._numbers]
        parts = _parts(video_of, self._numbers, longest_gap)
        lengths = parts[:, 1] - parts[:, 0]
        long = np.flatnonzero(lengths >= frames.least)
        self._parts = np.repeat(parts[long], lengths[long] if by_length else 1, axis=0)
        videos = records.index.videos
        _log.info("%d of %d videos have %d usable frames", len(long), len(videos), frames.least)
        own = videos[video_of[self._parts[:, 0]]]
        self.sizes = np.stack([own[side] for side in ("height", "width")], axis=1)

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """Draws frames, augments them and chooses at most so many objects.

        Raises:
            ImageError, RecordError: a record cannot be read.
        """
        numbers = self._numbers[slice(*self._parts[item])]
        ids, areas, classes = self._video_objects(numbers)
        read = functools.cache(functools.partial(self._read, ids=ids, classes=classes))
        for _ in range(self._attempts):
            drawn = self._sampler.frames(areas, rng, progress)
            pairs = map(read, numbers[drawn].tolist())
            frames, labels, valid = self._chain(*zip(*pairs, strict=True), rng)
            chosen = self._objects.choose(labels, objects, rng)
            present = _present(chosen)
            if present[0].any():
                break
        return Sample(
            frames=frames,
            labels=chosen.labels,
            valid=valid,
            present=present,
            labelled=np.ones(self.times, bool),
            given=_perturbed(chosen, self._perturb, rng) if self._perturb else chosen.given,
            categories=_categories(chosen, classes, areas[drawn]) if self._rule else None,
        )

    def _video_objects(
        self, numbers: np.ndarray
    ) -> tuple[tuple[int, ...], np.ndarray, tuple[int, ...]]:
        """Ids, areas [t, o] and classes of a video's objects; those to ignore lie below."""
        ids, areas, categories = video_objects(self._records, numbers)
        if not self._rule:
            return tuple(ids), areas, ()
        classes = classes_of(self._rule, categories)
        order = np.argsort(classes != VOID, kind="stable")
        order = order[classes[order] != DROPPED]
        return (
            tuple(np.array(ids, np.int64)[order].tolist()),
            areas[:, order],
            tuple(classes[order].tolist()),
        )

    def _read(
        self, number: int, ids: tuple[int, ...], classes: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """A frame and its labels; with classes, objects are numbered in the order of `ids`."""
        frame = self._records[number]
        labels = label_map(frame, ids)
        if self._rule:
            own = np.arange(1, 1 + len(ids))
            table = np.zeros(VOID + 1, np.uint8)
            table[own if frame.mask is None else list(ids)] = np.where(
                np.equal(classes, VOID), VOID, own
            )
            table[VOID] = VOID
            labels = cv2.LUT(labels, table)
        return picture(frame), self._objects.prepare(labels)


def _parts(videos: np.ndarray, numbers: np.ndarray, longest_gap: int) -> np.ndarray:
    """Begin and end of each run of frames of one video without a long gap: int [n, 2]."""
    cuts = np.diff(videos) != 0
    if longest_gap:
        cuts |= np.diff(numbers) > longest_gap
    edges = [0, *(np.flatnonzero(cuts) + 1).tolist(), len(numbers)]
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _categories(chosen: Chosen, classes: tuple[int, ...], areas: np.ndarray) -> np.ndarray:
    """Classes of the chosen objects, int32 [o]; a copy has that of the only object there is.

    Args:
        chosen: numbers them in the order of `classes`.
        classes: of the video's objects.
        areas: of these objects on the clip's frames [t, o].
    """
    known = np.zeros(VOID + 1, np.int32)
    shown = areas.any(axis=0) & np.not_equal(classes, VOID)
    known[1 : 1 + len(classes)] = np.where(shown, classes, 0)
    found = known[list(chosen.numbers)]
    found = np.where(found > 0, found, known.max())
    return np.pad(found, (0, chosen.objects - len(found)))


class MergedClips:
    """Clips over which the objects of a second clip of the source are pasted (AOT, spec 12.2).

    Frame by frame, objects and void of the second clip cover the first one. The objects of both
    are then chosen anew on the merged first frame.
    """

    counts = None
    gives = False

    def __init__(self, source: ComposedClips, probability: float, min_area: int = 100):
        """Takes a source whose clips are all of one size.

        Args:
            source: makes both clips.
            probability: of merging; clips whose first frame shows no object are always merged.
            min_area: pixels an object must exceed on the merged first frame.

        Raises:
            ConfigError: the source gives masks of its own, or has a single item.
        """
        if source.gives or len(source.sizes) < 2:
            raise ConfigError("clips can only be merged where a source has two, and hard masks")
        self.times, self.sizes, self.scheduled = source.times, source.sizes, source.scheduled
        self._source, self._probability = source, probability
        self._objects = ReferenceObjects(min_area=min_area)

    def clip(
        self, item: int, objects: int, rng: np.random.Generator, progress: float = 0.0
    ) -> Sample:
        """Draws a clip, perhaps another one of another item, and merges them.

        Raises:
            ImageError, RecordError: a record cannot be read.
        """
        below = self._source.clip(item, objects, rng, progress)
        if rng.random() >= self._probability and below.present[0].any():
            return below
        other = int(rng.integers(len(self.sizes) - 1))
        above = self._source.clip(other + (other >= item), objects, rng, progress)
        covered = above.labels > 0
        renumbered = np.where(above.labels < VOID, above.labels + below.present.shape[1], VOID)
        labels = np.where(covered, renumbered.astype(np.uint8), below.labels)
        chosen = self._objects.choose(labels, objects, rng)
        for under, over, mask in zip(below.frames, above.frames, covered, strict=True):
            cv2.copyTo(over, mask.view(np.uint8), under)
        return Sample(
            frames=below.frames,
            labels=chosen.labels,
            valid=covered | below.valid,
            present=_present(chosen),
            labelled=below.labelled,
        )


def _present(chosen: Chosen) -> np.ndarray:
    return np.stack([object_areas(mask, chosen.objects) > 0 for mask in chosen.labels])


def _perturbed(chosen: Chosen, overlap: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Planes of frame 0, each with a full pixel perturbed on its own to one overlap."""
    planes = chosen.given
    if planes is None:
        own = chosen.labels[0][..., None] == np.arange(1, 1 + chosen.objects)
        planes = own.astype(np.uint8) * 255
    bound = rng.uniform(*overlap)
    planes = planes.copy()
    for number in range(planes.shape[-1]):
        if planes[..., number].max(initial=0) == 255:
            planes[..., number] = perturb_mask(planes[..., number], bound, rng)
    return planes
