"""The driver of systems that find instances themselves, window after window of a video.

Streaming is exact: what is known of a frame is averaged over all windows that hold it, and the
last window of a video ends with its last frame, so a window is clustered once a window's length
of frames has come after it. What is kept does not grow with the video, but for a few numbers per
track.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int32, PyTree, UInt8

from vos_jax.core.errors import ConfigError, VideoError
from vos_jax.core.geometry import Geometry, Size
from vos_jax.core.resize import resize
from vos_jax.systems.base import Segmenter, Spec, Verbs
from vos_jax.systems.tracks import BANDWIDTH, Rules, TrackBook, class_sums, cluster
from vos_jax.systems.variables import inference_variables

AT_ONCE = 2**18
"""Pixels of the frames that are encoded together, if they are more than one."""


@struct.dataclass
class Points:
    """What clustering needs of a window.

    Attributes:
        embedding: of each pixel.
        bandwidth: inverse variances.
        seediness: in [0, 1].
    """

    embedding: Float[Array, "t y x e"]
    bandwidth: Float[Array, "t y x v"]
    seediness: Float[Array, "t y x"]


def windows(length: int, size: int, overlap: int) -> list[tuple[int, ...]]:
    """The frames of every window of a video.

    A window begins every `size - overlap` frames; if the last of them does not end with the
    video, one more does. A video shorter than a window is one window that begins with repeats of
    frame 0.

    Args:
        length: of the video, in frames.
        size: of a window.
        overlap: frames that neighbouring windows share.
    """
    if length < size:
        return [(0,) * (size - length) + tuple(range(length))]
    starts = list(range(0, length - size + 1, size - overlap))
    if starts[-1] + size < length:
        starts.append(length - size)
    return [tuple(range(start, start + size)) for start in starts]


@functools.partial(jax.jit, static_argnames=("system", "geometry"))
def encode_frames(
    variables: PyTree, frames: UInt8[Array, "n h w 3"], *, system: Segmenter, geometry: Geometry
) -> tuple[PyTree, ...]:
    """The features of some frames, apart."""
    found = Verbs(system, variables).encode(system.spec.prepare(frames, geometry))
    return tuple(jax.tree.map(lambda x, n=n: x[n : n + 1], found) for n in range(len(frames)))


@functools.partial(jax.jit, static_argnames="system")
def read_window(
    variables: PyTree, features: Sequence[PyTree], *, system: Segmenter
) -> tuple[Points, tuple[Float[Array, "y x *c"], ...]]:
    """Reads a window of encoded frames.

    Returns:
        Points, and per frame what is averaged over windows: semantic logits, or else seediness.
    """
    window = jax.tree.map(lambda *frames: jnp.stack(frames, axis=1), *features)
    maps, _ = Verbs(system, variables).read(None, window)
    points = Points(maps.embedding[0], BANDWIDTH * jnp.exp(maps.bandwidth[0]), maps.seediness[0])
    return points, tuple(points.seediness if maps.semantic is None else maps.semantic[0])


@functools.partial(jax.jit, static_argnames=("system", "geometry"))
def cluster_window(
    points: Points,
    sums: Sequence[Float[Array, "y x *c"]],
    counts: Int32[Array, " t"],
    valid: Bool[Array, " t"],
    *,
    system: Segmenter,
    geometry: Geometry,
) -> tuple[Int32[Array, "t Y X"], Float[Array, "t k c"] | None]:
    """Clusters the foreground of a window.

    Args:
        points: of the window.
        sums: per frame, what `read_window` gave of it, over all windows that hold it.
        counts: how many these are.
        valid: False for frames that only fill the window up.
        system: its settings are the rules.
        geometry: of the video.

    Returns:
        The cluster of each pixel, counted from 1 (0 background, -1 in none), and per frame the
        logits of the classes summed over the pixels of each cluster, if there are classes.
    """
    logits = jnp.stack(sums)
    logits = logits / counts.reshape(-1, *[1] * (logits.ndim - 1)).astype(logits.dtype)
    if system.full_size:
        points, logits = _full_size(points, logits, geometry.network)
    foreground = _foreground(logits, system.foreground) & valid[:, None, None]
    rules = Rules(**{each.name: getattr(system, each.name) for each in dataclasses.fields(Rules)})
    maps = (points.embedding, points.bandwidth)
    flat = (map_.reshape(-1, map_.shape[-1]) for map_ in maps)
    found = cluster(*flat, points.seediness.ravel(), foreground.ravel(), rules)
    labels = found.labels.reshape(foreground.shape)
    if logits.ndim == 3 or logits.shape[-1] <= 2:
        return labels, None
    frames = len(labels)
    classes = logits[..., 1:-1].reshape(frames, labels[0].size, -1)
    return labels, class_sums(labels.reshape(frames, -1), classes, rules.max_clusters)


def _full_size(points: Points, logits: Array, size: Size) -> tuple[Points, Array]:
    flat = (points.seediness[..., None], logits.reshape(*logits.shape[:3], -1))
    seediness, enlarged = (resize(x, size) for x in flat)
    points = Points(
        resize(points.embedding, size), resize(points.bandwidth, size), seediness[..., 0]
    )
    return points, enlarged.reshape(*enlarged.shape[:3], *logits.shape[3:])


def _foreground(mean: Float[Array, "t y x *c"], least: float) -> Bool[Array, "t y x"]:
    """Where the mean seediness or the last mean logit says that there is something.

    Two logits alone, of background and foreground, are held against each other.
    """
    if mean.ndim == 3:
        return mean > least
    against = mean[..., 0] if mean.shape[-1] == 2 else 0
    return jax.nn.sigmoid(mean[..., -1] - against) > 0.5


class WindowStream:
    """One video, frame after frame.

    Args:
        system: a configured windowed system.
        params: its parameters; the stream computes where they lie.
        frame_size: (height, width) of the frames.

    Attributes:
        geometry: sizes of the video.
        book: the tracks so far.

    Raises:
        ConfigError: the system takes prompts, or its windows do not overlap.
    """

    def __init__(self, system: Segmenter, params: PyTree, frame_size: Size):
        """Allocates nothing until the first frame."""
        spec = system.spec
        if spec.prompted:
            raise ConfigError(f"{type(system).__name__} finds nothing itself: it needs masks")
        if not 0 < spec.overlap < spec.window:
            raise ConfigError(
                f"overlap={spec.overlap}: windows of {spec.window} frames can share 1 to "
                f"{spec.window - 1} of them"
            )
        self._system, self._params, self._spec = system, params, spec
        self.geometry: Geometry = spec.geometry(tuple(frame_size))
        self.book = TrackBook()
        self._seen = 0
        self._at_once = _encoded_at_once(spec, self.geometry)
        self._waiting: list[np.ndarray] = []
        self._features: dict[int, PyTree] = {}
        self._pending: collections.deque[tuple[tuple[int, ...], Points]] = collections.deque()
        self._sums: dict[int, Any] = {}
        self._counts: collections.Counter[int] = collections.Counter()

    @functools.cached_property
    def _variables(self) -> PyTree:
        options = {"system": self._system, "geometry": self.geometry, "frames": self._at_once}
        return inference_variables(self._params, **options)

    def encode(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[PyTree]:
        """The features of frames, some of which are encoded at once, the last of them repeated."""
        features = []
        for start in range(0, len(frames), self._at_once):
            some = np.stack(frames[start : start + self._at_once])
            some = np.pad(some, ((0, self._at_once - len(some)), *((0, 0),) * 3), mode="edge")
            options = {"system": self._system, "geometry": self.geometry}
            features += encode_frames(self._variables, some, **options)
        return features[: len(frames)]

    def read(self, features: Sequence[PyTree]) -> tuple[Points, tuple[Array, ...]]:
        """See `read_window`."""
        return read_window(self._variables, features, system=self._system)

    def push(self, frame: UInt8[np.ndarray, "h w 3"]) -> dict[int, np.ndarray]:
        """Takes the next frame in.

        Returns:
            The track ids of the frames that are settled now, int [y, x] by their number: 0
            background, -1 foreground of no track; on the grid of the network's maps.

        Raises:
            VideoError: the frame has another size than the video.
        """
        if frame.shape[:2] != self.geometry.frame:
            raise VideoError(
                f"frame {self._seen} is {frame.shape[1]}x{frame.shape[0]}, the video "
                f"{self.geometry.frame[1]}x{self.geometry.frame[0]}"
            )
        size = self._spec.window
        self._waiting.append(frame)
        self._seen += 1
        if len(self._waiting) == self._at_once:
            self._encode()
        if self._seen >= size and (self._seen - size) % (size - self._spec.overlap) == 0:
            self._read(tuple(range(self._seen - size, self._seen)))
        return self._settle(self._seen - size)

    def finish(self) -> dict[int, np.ndarray]:
        """Ends the video; returns the frames that were not settled.

        Raises:
            VideoError: there was no frame.
        """
        if not self._seen:
            raise VideoError("the video has no frame")
        self._encode()
        last = windows(self._seen, self._spec.window, self._spec.overlap)[-1]
        if not self._pending or self._pending[-1][0] != last:
            self._read(last)
        return self._settle(self._seen)

    def _encode(self) -> None:
        first, frames = self._seen - len(self._waiting), self._waiting
        self._features |= enumerate(self.encode(frames), first)
        self._waiting = []
        for number in range(first - self._spec.window, self._seen - self._spec.window):
            self._features.pop(number, None)

    def _read(self, window: tuple[int, ...]) -> None:
        points, averaged = self.read([self._features[frame] for frame in window])
        self._pending.append((window, points))
        valid = _last_of_each(window) if averaged[0].ndim == 2 else np.ones(len(window), bool)
        for place in np.flatnonzero(valid):
            frame = window[place]
            self._sums[frame] = self._sums.get(frame, 0) + averaged[place]
            self._counts[frame] += 1

    def _settle(self, end: int) -> dict[int, np.ndarray]:
        """Clusters and links the windows all of whose frames come before `end`."""
        settled = {}
        while self._pending and self._pending[0][0][-1] < end:
            window, points = self._pending.popleft()
            valid = _last_of_each(window)
            labels, sums = cluster_window(
                points,
                [self._sums[frame] for frame in window],
                np.array([self._counts[frame] for frame in window]),
                valid,
                system=self._system,
                geometry=self.geometry,
            )
            frames = [frame for frame, real in zip(window, valid, strict=True) if real]
            sums = None if sums is None else np.asarray(sums)[valid]
            settled |= self.book.add(frames, np.asarray(labels)[valid], sums)
            begin = self._pending[0][0][0] if self._pending else end
            for frame in [frame for frame in self._sums if frame < begin]:
                del self._sums[frame], self._counts[frame]
        return settled


def segment_windows(
    stream: WindowStream, frames: Iterable[np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Runs a video through a stream.

    Args:
        stream: at the video's beginning; its `book` is complete at the end.
        frames: uint8 [h, w, 3] RGB each.

    Yields:
        Number and track ids of every frame in order, as `WindowStream.push` returns them.
    """
    for frame in frames:
        yield from stream.push(frame).items()
    yield from stream.finish().items()


def _encoded_at_once(spec: Spec, geometry: Geometry) -> int:
    """How many frames are encoded together: a power of 2 that divides the steps of the windows.

    Small ones go together, since the network's parameters have to come from memory for each batch.
    """
    most = max(AT_ONCE // int(np.prod(geometry.network)), 1)
    divides = math.gcd(spec.window, spec.overlap)
    return max(n for n in (1, 2, 4) if n <= most and divides % n == 0)


def _last_of_each(window: tuple[int, ...]) -> np.ndarray:
    """Which places of a window hold the last occurrence of their frame."""
    return np.append(np.diff(window) > 0, True)
