"""One video from a source of frames to whatever takes its masks, with the time it took."""

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import PyTree

from vos_jax.core.compilation import compilations
from vos_jax.core.geometry import Size
from vos_jax.core.labels import object_ids
from vos_jax.inference.augmentation import AugmentedSession, View
from vos_jax.inference.offline import prefetched, segment_offline
from vos_jax.inference.session import LEAST_ENTRIES, Session
from vos_jax.inference.user_masks import UserMasks
from vos_jax.systems.base import Segmenter, Spec

BOUNDED_ENTRIES = 100
"""Memory entries of a system whose memory grows, for a video of unknown length."""

log = logging.getLogger(__name__)

NamedFrame = tuple[str, np.ndarray | None]


@dataclasses.dataclass
class Timing:
    """Where the time of a video, or of several one after the other, went.

    Attributes:
        frames: done.
        seconds: all of it.
        waiting: seconds in which files were waited for, decoding and writing included.
        compiling: seconds spent compiling.
    """

    frames: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    compiling: float = 0.0

    def add(self, other: "Timing") -> None:
        """Counts another video in."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def rate(self) -> float:
        """Frames per second, everything included."""
        return self.frames / max(self.seconds, 1e-9)

    @property
    def rate_without_files(self) -> float:
        """Frames per second of computing, waits for files and compiling left out."""
        return self.frames / max(self.seconds - self.waiting - self.compiling, 1e-9)

    def line(self) -> str:
        """All of it in words."""
        return (
            f"{self.frames} frames in {self.seconds:.1f} s: {self.rate:.2f} frames/s with file "
            f"work and compiling ({self.compiling:.1f} s), {self.rate_without_files:.2f} without"
        )

    @contextlib.contextmanager
    def all_of_it(self) -> Iterator[None]:
        """Counts the time and the compilations inside the context."""
        begun = time.perf_counter()
        with compilations() as compiled:
            yield
        self.seconds += time.perf_counter() - begun
        self.compiling += compiled.seconds

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Counts the time inside the context as a wait for files."""
        begun = time.perf_counter()
        yield
        self.waiting += time.perf_counter() - begun


def session_for(
    system: Segmenter,
    params: PyTree,
    size: Size,
    masks: Mapping[int, np.ndarray],
    length: int | None,
    memory: int | None = None,
    views: Sequence[View] = (),
) -> Session | AugmentedSession:
    """A session with room for all that is known to come, so that nothing is compiled twice.

    Args:
        system: a configured prompted system.
        params: its parameters.
        size: (height, width) of the frames.
        masks: label maps that will be given, by frame number.
        length: number of frames, None if unknown.
        memory: most entries of a growing memory; None keeps all, or 100 where the length is
            unknown.
        views: of test-time augmentation, if there are any.
    """
    if system.spec.entries(1, 1) is not None:
        if length is not None:
            needed = rounded_entries(system.spec.entries(length, len(masks)))
            memory = needed if memory is None else min(memory, needed)
        elif memory is None:
            memory = BOUNDED_ENTRIES
            log.warning("video of unknown length: at most %d frames are remembered", memory)
    objects = {i for labels in masks.values() for i in object_ids(labels)}
    room = {"slots": max(1, len(objects)), "memory": memory}
    if views:
        return AugmentedSession(views, params, size, **room)
    return Session(system, params, size, **room)


def rounded_entries(entries: int) -> int:
    """The next of 2, 3, 4, 6, 8, 12, 16, ...: few sizes, so that few programs are compiled."""
    entries = max(entries, LEAST_ENTRIES)
    power = 1 << (entries - 1).bit_length()
    return power // 4 * 3 if entries <= power // 4 * 3 else power


def frames_needed(
    spec: Spec, length: int, given: Collection[int], wanted: Collection[int]
) -> frozenset[int]:
    """The frames that must be looked at for the results of some.

    Args:
        spec: of the system.
        length: number of frames.
        given: frames with masks.
        wanted: frames whose results are wanted.

    Returns:
        Numbers of frames: those wanted, those given and those remembered, if the system is
        skippable; else all.
    """
    if not spec.skippable:
        return frozenset(range(length))
    needed, last = set(wanted), 0
    for number in range(max(wanted, default=-1) + 1):
        if number in given or number - last >= spec.memory_every:
            needed.add(number)
            last = number
    return frozenset(needed)


def segment_to(
    sink: Callable[[str, np.ndarray, np.ndarray], object],
    session: Session | AugmentedSession,
    frames: Iterable[NamedFrame],
    masks: Mapping[int, UserMasks],
    timing: Timing,
    encode_batch: int = 1,
) -> None:
    """Segments a video; frames are decoded ahead in a thread.

    Args:
        sink: called with name, frame and labels of every frame in order; should not block.
        session: at the video's beginning.
        frames: name and pixels of each; without pixels it is skipped, and the sink not called.
        masks: what is given, by number of the frame.
        timing: frames and waits are counted there.
        encode_batch: see `segment_offline`.
    """
    held: collections.deque[NamedFrame] = collections.deque()

    def arriving(source: Iterator[NamedFrame]) -> Iterator[np.ndarray]:
        while True:
            with timing.waits():
                item = next(source, None)
            if item is None:
                return
            if item[1] is not None:
                held.append(item)
            yield item[1]

    with contextlib.closing(prefetched(frames)) as source:
        results = segment_offline(session, arriving(source), masks, encode_batch=encode_batch)
        for labels in results:
            with timing.waits():
                sink(*held.popleft(), labels)
            timing.frames += 1
