"""Which frames of a video make up a clip.

A sampler sees of a video only the area of every object on every usable frame, read from the
index, and returns positions among these frames, the first of which the clip starts from.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vos_jax.core.errors import ConfigError


class FrameSampler(Protocol):
    """Settings of a rule.

    Attributes:
        count: frames of a clip.
        least: usable frames a video must have.
        scheduled: whether the rule depends on how far training has come.
    """

    count: int
    least: int
    scheduled: bool

    def frames(self, areas: np.ndarray, rng: np.random.Generator, progress: float) -> list[int]:
        """Draws `count` frames.

        Args:
            areas: pixels of the objects on the usable frames, in order of time [t, o].
            rng: every random choice comes from it.
            progress: share of the training that is done, in [0, 1).
        """


@dataclass(frozen=True)
class Repeat:
    """The first frame over and over: a still image as a clip."""

    count: int = 3
    least = 1
    scheduled = False

    def frames(self, areas: np.ndarray, rng: np.random.Generator, progress: float) -> list[int]:
        """Draws nothing."""
        return [0] * self.count


@dataclass(frozen=True)
class Jumps:
    """Frames at random distances up to a jump that changes during training.

    Three frames are Mask-Propagation's (spec 8.6) and STCN's rule. Frames may coincide, as they
    are capped near the end of the video.

    Attributes:
        count: frames of a clip.
        jumps: largest jumps, one after the other.
        fractions: of the training from which each applies, ascending from 0; the last one is
            0.8 for BL30K.
        divisor: of the jumps, rounded down; 5 for YouTube-VOS, which labels every fifth frame.
        reverse: probability of running backwards.
    """

    count: int = 3
    jumps: tuple[int, ...] = (5, 10, 15, 20, 25, 5)
    fractions: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.9)
    divisor: int = 1
    reverse: float = 0.5
    least = 3
    scheduled = True

    def __post_init__(self):
        """Refuses schedules that do not fit together."""
        fractions = list(self.fractions)
        ascending = fractions[:1] == [0] and fractions == sorted(set(fractions))
        if not ascending or len(fractions) != len(self.jumps):
            raise ConfigError(
                "jumps and fractions must be as many, fractions ascending from 0, not "
                f"{self.jumps} and {self.fractions}"
            )
        if min(self.jumps) < self.divisor or self.divisor < 1:
            raise ConfigError(f"divisor {self.divisor} leaves nothing of the jumps {self.jumps}")

    def frames(self, areas: np.ndarray, rng: np.random.Generator, progress: float) -> list[int]:
        """Draws the start, each step to the next frame, then the direction."""
        length, jump = len(areas), self.jump(progress)
        reach = min(length, jump)
        drawn = [int(rng.integers(self._starts(length, jump)))]
        for number in range(1, self.count):
            step = 1 + int(rng.integers(reach + 1))
            drawn.append(min(drawn[-1] + step, length - reach // number, length - 1))
        return drawn[::-1] if rng.random() < self.reverse else drawn

    def jump(self, progress: float) -> int:
        """The largest jump at a point of the training."""
        return self.jumps[np.searchsorted(self.fractions, progress, "right") - 1] // self.divisor

    def _starts(self, length: int, jump: int) -> int:
        """How many frames can be the first, from frame 0 on."""
        return length - min(length, jump) + 1


@dataclass(frozen=True)
class LongJumps(Jumps):
    """RDE's rule for five frames (spec 10.1): only the start is drawn differently.

    The original can draw a start behind a short video's end, and then draws again; here the
    start is drawn among the frames there are.
    """

    count: int = 5

    def _starts(self, length: int, jump: int) -> int:
        reach = min(length, jump)
        return min(length, max(jump // 2 + 1, length - self.count * reach + 1))


@dataclass(frozen=True)
class ReflectedGaps:
    """AOT's rule (spec 12.3): gaps after a reference, turning round at the video's end.

    The video runs backwards with probability 1/2. Gaps and reference are drawn until the later
    frames show only objects of the reference, or the draws are used up.

    Attributes:
        count: frames of a clip.
        max_gap: largest gap (YouTube-VOS 3, DAVIS 12).
        min_foreground: pixels that the objects of the reference frame must exceed together.
        references: how often such a frame is looked for before the first one is taken.
        draws: how often gaps and reference are drawn at most.
    """

    count: int = 5
    max_gap: int = 3
    min_foreground: int = 200
    references: int = 20
    draws: int = 5
    least = 2
    scheduled = False

    def frames(self, areas: np.ndarray, rng: np.random.Generator, progress: float) -> list[int]:
        """Draws the direction, then gaps and reference until objects agree."""
        order = np.arange(len(areas))
        if rng.random() < 0.5:
            order = order[::-1]
        for _ in range(self.draws):
            gaps = rng.integers(1, self.max_gap + 1, self.count - 1)
            reference = self._reference(areas[order].sum(axis=1), rng)
            drawn = order[_reflected(np.cumsum([reference, *gaps]), len(order))]
            present = areas[drawn] > 0
            if not (present.any(axis=0) & ~present[0]).any():
                break
        return drawn.tolist()

    def _reference(self, foreground: np.ndarray, rng: np.random.Generator) -> int:
        for position in rng.integers(len(foreground), size=self.references).tolist():
            if foreground[position] > self.min_foreground:
                return position
        return 0


def _reflected(positions: np.ndarray, length: int) -> np.ndarray:
    """Positions on a walk that turns round at both ends of so many frames (more than one)."""
    period = 2 * (length - 1)
    return (length - 1) - np.abs(positions % period - (length - 1))


@dataclass(frozen=True)
class EvenlySpaced:
    """STEm-Seg's rule (spec 10): frames evenly spaced over a span with a random start.

    Attributes:
        count: frames of a clip.
        span: range of the distance from the first to the last frame, both ends included; a
            video needs two frames more than the largest.
    """

    count: int = 8
    span: tuple[int, int] = (8, 8)
    scheduled = False

    def __post_init__(self):
        """Refuses spans in which frames would coincide."""
        if not self.count - 1 <= self.span[0] <= self.span[1]:
            raise ConfigError(f"span {self.span} does not hold {self.count} different frames")

    @property
    def least(self) -> int:
        """Usable frames a video must have."""
        return self.span[1] + 2

    def frames(self, areas: np.ndarray, rng: np.random.Generator, progress: float) -> list[int]:
        """Draws span and start; positions in between are rounded half to even."""
        span = int(rng.integers(self.span[0], self.span[1] + 1))
        start = int(rng.integers(len(areas) - span))
        return np.rint(np.linspace(start, start + span, self.count)).astype(int).tolist()


SAMPLERS = {
    "repeat": Repeat,
    "jumps": Jumps,
    "long_jumps": LongJumps,
    "reflected_gaps": ReflectedGaps,
    "evenly_spaced": EvenlySpaced,
}
"""Samplers by the name a configuration gives."""


def later_frames(
    rng: np.random.Generator, reference: int, length: int, others: int, max_gap: int
) -> list[int]:
    """Draws distinct later frames in order (dense video, spec 14.2).

    Args:
        rng: draws the frames.
        reference: number of the reference frame.
        length: frames of the video.
        others: how many to draw; at least as many must follow the reference.
        max_gap: they lie in [reference + 1, min(length, reference + max_gap)).
    """
    candidates = np.arange(reference + 1, min(length, reference + max_gap))
    return sorted(rng.choice(candidates, others, replace=False).tolist())


def neighbours(
    rng: np.random.Generator, reference: int, length: int, others: int, max_gap: int
) -> list[int]:
    """Draws distinct frames, in random order, all before or all after the reference (spec 14.2).

    Args:
        rng: draws the side, where both have enough frames, and the frames.
        reference: number of the reference frame.
        length: frames of the video.
        others: how many to draw; at least as many must lie on one side of the reference.
        max_gap: farthest distance from the reference, at least `others`.
    """
    earlier = np.arange(max(0, reference - max_gap), reference)
    later = np.arange(reference + 1, min(length, reference + max_gap + 1))
    sides = [side for side in (earlier, later) if len(side) >= others]
    return rng.choice(sides[rng.integers(len(sides))], others, replace=False).tolist()
