"""HODOR's training plans: what is read from what, and which objects a prediction can hold."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from vos_jax.core.errors import ConfigError
from vos_jax.systems.base import Visit

START = Visit(0, "given", None, read=False)


def training_plan(frames: int, odd: bool, cycles: str, cut: bool) -> tuple[Visit, ...]:
    """The visits of one clip; memory entries are numbered in the order of the writes.

    Args:
        frames: of the clip, 1 to 3; the first is the reference.
        odd: the version of the last cycle that reads two frames at once.
        cycles: "full": forward and back to the reference (the published training); "short":
            forward only, each frame read from all before it.
        cut: whether stored predictions pass no gradient.

    Returns:
        The plan; six predictions for a full cycle of three frames.
    """
    if cycles not in ("full", "short") or not 1 <= frames <= 3:
        raise ConfigError(
            f"model.cycles={cycles!r}, model.clip_frames={frames}: cycles must be 'full' or"
            " 'short' and clips have 1 to 3 frames"
        )
    own = "own_cut" if cut else "own"
    visits = [START, Visit(0, None, (0,))]
    if cycles == "short":
        for frame in range(1, frames):
            feed = own if frame < frames - 1 else None
            visits.append(Visit(frame, feed, tuple(range(frame))))
    elif frames == 2:
        visits += [Visit(1, own, (0,)), Visit(0, None, (1,)), Visit(0, None, (0, 1))]
    elif frames == 3:
        both, back = ((0, 1), (3, 2)) if odd else ((1,), (3,))
        visits += [Visit(1, own, (0,)), Visit(0, None, (1,))]
        visits += [Visit(2, own, both), Visit(1, own, (2,)), Visit(0, None, back)]
    return tuple(visits)


def alive_objects(
    plan: tuple[Visit, ...], present: Bool[Array, "b t o"]
) -> list[Bool[Array, "b o"] | None]:
    """Per visit, the objects that its chain of source frames could still show.

    An object is alive in a prediction if each step that led to it had the object in one of its
    source frames. None where a visit reads nothing.
    """
    entries: list[tuple[int, Array]] = []
    alive = []
    for visit in plan:
        flags = jnp.ones_like(present[:, 0])
        if visit.read:
            sources = [entries[number] for number in visit.view]
            seen = jnp.stack([present[:, frame] for frame, _ in sources]).any(0)
            flags = jnp.stack([flag for _, flag in sources]).all(0) & seen
        if visit.feed is not None:
            entries.append((visit.frame, flags))
        alive.append(flags if visit.read else None)
    return alive
