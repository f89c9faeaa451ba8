"""From the dense maps of a window to clusters of pixels, and from clusters to tracks of a video.

Clustering is one compiled program over a fixed number of points; linking is a small assignment
problem per window, on the host. Both agree with sabarim/STEm-Seg (inference/clusterers.py,
inference/online_chainer.py).
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int32
from scipy.optimize import linear_sum_assignment

BACKGROUND, OUTLIER = 0, -1
"""What maps of labels hold where there is no instance, and where foreground joined none."""

BANDWIDTH = 10.0
"""Times the exponential of a raw bandwidth: an inverse variance."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """How foreground points are clustered.

    Attributes:
        min_seediness: below it no point is the seed of a cluster.
        primary: probability above which a point joins the cluster of a seed.
        secondary: probability above which a point left over joins a cluster.
        secondary_to: which cluster that is: the "farthest" (as released) or the "nearest".
        max_clusters: rounds at most, so clusters at most.
        free_stds: standard deviations of the last dimensions, which have no bandwidth.
    """

    min_seediness: float = 0.8
    primary: float = 0.5
    secondary: float = 0.3
    secondary_to: str = "farthest"
    max_clusters: int = 20
    free_stds: tuple[float, ...] = ()


@struct.dataclass
class Clusters:
    """What `cluster` finds.

    Attributes:
        labels: cluster of each point, counted from 1; 0 background, -1 in no cluster.
        centres: embedding of each cluster's seed, zeros from `found` on.
        stds: standard deviation of each cluster.
        found: how many there are.
    """

    labels: Int32[Array, " n"]
    centres: Float[Array, "k e"]
    stds: Float[Array, "k e"]
    found: Int32[Array, ""]


@functools.partial(jax.jit, static_argnames="rules")
def cluster(
    embedding: Float[Array, "n e"],
    bandwidth: Float[Array, "n v"],
    seediness: Float[Array, " n"],
    foreground: Bool[Array, " n"],
    rules: Rules,
) -> Clusters:
    """Clusters foreground points, one seed after the other.

    Each round the unlabelled point of highest seediness takes every unlabelled point x with
    exp(-d/2) above `primary`, d = sqrt(sum b (x - seed)^2): the root is the released code's. At
    the end, points that were unlabelled when the last round began join their farthest (or
    nearest) cluster if exp(-d/2) is above `secondary` there.

    Args:
        embedding: coordinates of each point.
        bandwidth: activated inverse variances of the first v dimensions.
        seediness: of each point.
        foreground: which points take part.
        rules: the settings.
    """
    free = jnp.asarray(rules.free_stds, embedding.dtype) ** -2
    free = jnp.broadcast_to(free, (len(embedding), len(rules.free_stds)))
    bandwidth = jnp.concatenate([bandwidth, free], axis=1)
    one_round = functools.partial(_round, embedding, bandwidth, seediness, foreground, rules)
    begin = _Rounds(
        seeds=jnp.full(rules.max_clusters, -1),
        done=jnp.int32(0),
        going=jnp.bool_(True),
        labels=jnp.where(foreground, OUTLIER, BACKGROUND),
        left=jnp.zeros_like(foreground),
        other=jnp.zeros(len(embedding), jnp.int32),
        distance=jnp.full(len(embedding), -1.0 if _farthest(rules) else jnp.inf, embedding.dtype),
    )
    end = jax.lax.while_loop(
        lambda rounds: rounds.going & (rounds.done < rules.max_clusters), one_round, begin
    )
    joins = end.left & (end.done > 0) & (jnp.exp(-0.5 * end.distance) > rules.secondary)
    is_cluster = (end.seeds >= 0)[:, None]
    return Clusters(
        jnp.where(joins, end.other, end.labels),
        jnp.where(is_cluster, embedding[end.seeds], 0),
        jnp.where(is_cluster, bandwidth[end.seeds] ** -0.5, 0),
        end.done,
    )


@struct.dataclass
class _Rounds:
    """Where clustering stands.

    Attributes:
        seeds: point that began each cluster, -1 where none did.
        done: clusters there are.
        going: whether the last round found a seed.
        labels: as of `Clusters`.
        left: points that were unlabelled when the last round began.
        other: the farthest (or nearest) cluster of each point.
        distance: to it.
    """

    seeds: Int32[Array, " k"]
    done: Int32[Array, ""]
    going: Bool[Array, ""]
    labels: Int32[Array, " n"]
    left: Bool[Array, " n"]
    other: Int32[Array, " n"]
    distance: Float[Array, " n"]


def _round(embedding, bandwidth, seediness, foreground, rules: Rules, before: _Rounds) -> _Rounds:
    left = foreground & (before.labels == OUTLIER)
    seed = jnp.argmax(jnp.where(left, seediness, -jnp.inf))
    found = left[seed] & (seediness[seed] >= rules.min_seediness)
    distance = jnp.sqrt(((embedding - embedding[seed]) ** 2 * bandwidth[seed]).sum(1))
    joins = found & left & (jnp.exp(-0.5 * distance) > rules.primary)
    beyond = distance > before.distance if _farthest(rules) else distance < before.distance
    number = before.done + found
    return _Rounds(
        seeds=before.seeds.at[before.done].set(jnp.where(found, seed, -1)),
        done=number,
        going=found,
        labels=jnp.where(joins, number, before.labels),
        left=left,
        other=jnp.where(found & beyond, number, before.other),
        distance=jnp.where(found & beyond, distance, before.distance),
    )


def _farthest(rules: Rules) -> bool:
    return rules.secondary_to == "farthest"


def class_sums(
    labels: Int32[Array, "t n"], logits: Float[Array, "t n c"], clusters: int
) -> Float[Array, "t k c"]:
    """The logits summed over the points of each cluster, frame by frame; clusters count from 1."""

    def of_frame(frame):
        chosen = frame[0][:, None] == jnp.arange(1, clusters + 1)
        return chosen.astype(frame[1].dtype).T @ frame[1]

    return jax.lax.map(of_frame, (labels, logits))


def match(tracks: np.ndarray, labels: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Pairs tracks with the clusters of a window by the points they share.

    Args:
        tracks: track of each point; 0 and -1 stand for none.
        labels: cluster of each point, likewise.

    Returns:
        The pairs (track, cluster) of the assignment with the highest sum of IoUs, however small
        an IoU is, and 1 - IoU of each pair.
    """
    names, rows = np.unique(tracks, return_inverse=True)
    others, columns = np.unique(labels, return_inverse=True)
    pairs = rows.ravel() * len(others) + columns.ravel()
    shared = np.bincount(pairs, minlength=len(names) * len(others)).reshape(len(names), -1)
    union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
    cost = (1 - shared / np.maximum(union, 1))[names > BACKGROUND][:, others > BACKGROUND]
    names, others = names[names > BACKGROUND], others[others > BACKGROUND]
    chosen = linear_sum_assignment(cost)
    return [(int(names[i]), int(others[j])) for i, j in zip(*chosen, strict=True)], cost[chosen]


@dataclasses.dataclass
class Track:
    """What is counted of a track.

    Attributes:
        first: frame on which it appears.
        last: frame on which it is seen last.
        points: its pixels on all frames, at the size of clustering.
        logits: of each class, summed over these; 0 if there are no classes.
    """

    first: int
    last: int
    points: int = 0
    logits: np.ndarray | float = 0.0


class TrackBook:
    """The tracks of a video, window after window.

    Attributes:
        tracks: by id, in the order of their appearance, ascending within a frame.
    """

    def __init__(self):
        """No window yet."""
        self.tracks: dict[int, Track] = {}
        self._next = 1
        self._recent: dict[int, np.ndarray] = {}

    def _link(self, frames: Sequence[int], labels: np.ndarray) -> np.ndarray:
        """Gives the clusters of the next window the ids of the tracks they go on with.

        Args:
            frames: distinct numbers of the window's frames, ascending.
            labels: clusters of each of them, int [t, y, x].

        Returns:
            Track id by cluster, int [k + 2]; places 0 and -1 stay 0 and -1.
        """
        ids = np.arange(labels.max(initial=0) + 2) + (self._next - 1)
        ids[0], ids[-1] = BACKGROUND, OUTLIER
        shared = [place for place, frame in enumerate(frames) if frame in self._recent]
        if shared:
            known = np.stack([self._recent[frames[place]] for place in shared])
            for track, number in match(known, labels[shared])[0]:
                ids[number] = track
        return ids

    def add(
        self, frames: Sequence[int], labels: np.ndarray, sums: np.ndarray | None = None
    ) -> dict[int, np.ndarray]:
        """Links a window and writes those of its frames that no window before it held.

        Args:
            frames: as in `_link`.
            labels: as in `_link`.
            sums: class logits by frame and cluster, float [t, k, c], if there are classes.

        Returns:
            The track ids of the new frames, int [y, x] by frame number.
        """
        ids = self._link(frames, labels)
        new = {}
        for place, frame in enumerate(frames):
            if frame not in self._recent:
                new[frame] = ids[labels[place]]
                self._count(frame, labels[place], ids, None if sums is None else sums[place])
        self._recent = {frame: (self._recent | new)[frame] for frame in frames}
        self._next = max(self._next, 1 + max(self.tracks, default=0))
        return new

    def _count(self, frame: int, labels: np.ndarray, ids: np.ndarray, sums) -> None:
        numbers, points = np.unique(labels, return_counts=True)
        seen = {int(ids[n]): (n, p) for n, p in zip(numbers, points, strict=True) if n > BACKGROUND}
        for track in sorted(seen):
            number, count = seen[track]
            entry = self.tracks.setdefault(track, Track(frame, frame))
            entry.last = frame
            entry.points += int(count)
            if sums is not None:
                entry.logits = entry.logits + sums[number - 1]

    def longest(self, most: int) -> list[int]:
        """Ids of the tracks that live longest, longest first; ties in order of appearance."""
        return sorted(self.tracks, key=lambda i: self.tracks[i].first - self.tracks[i].last)[:most]
