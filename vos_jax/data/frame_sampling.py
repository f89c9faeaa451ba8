"""Which frames of a video make up a clip."""

import numpy as np


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
