"""Whole videos: decoding, computing and writing overlap, and frames may be encoded together."""

import collections
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from vos_jax.inference.session import Pending, Session
from vos_jax.inference.user_masks import UserMasks

DECODED_AHEAD = 4


def segment_stream(
    session: Session, frames: Iterable[np.ndarray], masks: Mapping[int, UserMasks] | None = None
) -> Iterator[np.ndarray]:
    """Segments frames one by one; a frame is submitted before the one before it is waited for.

    Args:
        session: the video.
        frames: uint8 [h, w, 3] RGB each.
        masks: what is given, by number of the frame counted from 0.

    Yields:
        Per frame, uint8 [h, w] of object ids.
    """
    return segment_offline(session, frames, masks, encode_batch=1)


def segment_offline(
    session: Session,
    frames: Iterable[np.ndarray],
    masks: Mapping[int, UserMasks] | None = None,
    *,
    encode_batch: int = 4,
) -> Iterator[np.ndarray]:
    """As `segment_stream`, with several frames per call of the encoder.

    Runs of `encode_batch` frames without masks are encoded at once and scanned; frames with
    masks, and those left over before them or at the end, go one by one, so that there are at
    most three compiled programs.

    Args:
        session: the video.
        frames: uint8 [h, w, 3] RGB each, or None for a frame to be skipped.
        masks: what is given, by number of the frame counted from 0.
        encode_batch: frames encoded at once.

    Yields:
        Per frame that was not skipped, uint8 [h, w] of object ids.
    """
    in_flight: collections.deque[Pending] = collections.deque()
    for pending in _submissions(session, frames, masks or {}, encode_batch):
        in_flight.append(pending)
        if len(in_flight) > 1:
            yield from _arrived(session, in_flight.popleft())
    while in_flight:
        yield from _arrived(session, in_flight.popleft())


def _submissions(session: Session, frames, masks, encode_batch: int) -> Iterator[Pending]:
    waiting: list[np.ndarray] = []
    for number, frame in enumerate(frames):
        given = masks.get(number)
        if frame is None:
            yield from map(session.submit, waiting)
            waiting = []
            session.skip()
            continue
        if given is None and encode_batch > 1:
            waiting.append(frame)
            if len(waiting) == encode_batch:
                yield session.submit_several(np.stack(waiting))
                waiting = []
            continue
        yield from map(session.submit, waiting)
        waiting = []
        yield session.submit(frame, given)
    yield from map(session.submit, waiting)


def _arrived(session: Session, pending: Pending) -> Iterator[np.ndarray]:
    labels = pending.labels()
    session.report(pending)
    yield from labels


def prefetched(frames: Iterable[np.ndarray], ahead: int = DECODED_AHEAD) -> Iterator[np.ndarray]:
    """The same items, made by a thread that runs some of them ahead.

    An error of the source is raised where its item would have come. Closing the iterator ends
    the thread.
    """
    items: queue.Queue = queue.Queue(ahead)
    closed = threading.Event()

    def put(item) -> None:
        while not closed.is_set():
            try:
                return items.put(item, timeout=0.1)
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for frame in frames:
                put((frame, None))
                if closed.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            frame, error = items.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield frame
    finally:
        closed.set()
        thread.join()
