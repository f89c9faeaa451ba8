"""Test-time augmentation: several views of a video, each a session of its own, averaged.

    views = scaled_views(system, (1.0, 1.3), flip=True)
    session = AugmentedSession(views, params, frame_size)

Each view sees its own frames and prompts and remembers its own masks; only what the user gets is
averaged.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree, UInt8

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Size
from vos_jax.core.resize import resize
from vos_jax.inference.session import Pending, Session
from vos_jax.inference.steps import slot_planes
from vos_jax.inference.user_masks import UserMasks, label_map
from vos_jax.systems.base import Segmenter
from vos_jax.systems.resolve import paste


@dataclasses.dataclass(frozen=True)
class View:
    """One way to look at a video.

    Attributes:
        system: configured for the size of this view.
        flip: whether left and right are swapped.
    """

    system: Segmenter
    flip: bool = False


def scaled_views(system: Segmenter, scales: Sequence[float], flip: bool) -> tuple[View, ...]:
    """A view per scale, each followed by its mirror image if both sides are wanted.

    Raises:
        ConfigError: no scale, one that is not positive, or scales for a system of one size.
    """
    plain = tuple(scales) == (1.0,)
    if not scales or min(scales) <= 0:
        raise ConfigError("test-time augmentation needs scales above 0, such as 1.0,1.3")
    if not plain and not hasattr(system, "scale"):
        raise ConfigError(f"{type(system).__name__} sees frames in one size only: leave out scales")
    systems = [system] if plain else [system.clone(scale=scale) for scale in scales]
    sides = (False, True) if flip else (False,)
    return tuple(View(scaled, side) for scaled in systems for side in sides)


class AugmentedSession:
    """A video being segmented in several views at once; see `Session`.

    The probabilities of all views are averaged at output size, prompts pasted over them, and
    the largest taken. A single view's labels are taken as they are. Systems that weigh objects
    against each of several background channels (HODOR) weigh the average against their sum.

    Args:
        views: one or more, for the same parameters.
        params: parameters.
        frame_size: (height, width).
        slots: see `Session`.
        memory: see `Session`.

    Raises:
        ConfigError: no view.
    """

    def __init__(
        self,
        views: Sequence[View],
        params: PyTree,
        frame_size: Size,
        *,
        slots: int | None = None,
        memory: int | None = None,
    ):
        """Begins a session per view."""
        if not views:
            raise ConfigError("test-time augmentation needs at least one view")
        self._flips = tuple(view.flip for view in views)
        self._sessions = [
            Session(
                view.system, params, frame_size, slots=slots, memory=memory, soft=len(views) > 1
            )
            for view in views
        ]

    @property
    def refused(self) -> tuple[int, ...]:
        """See `Session`."""
        return self._sessions[0].refused

    def step(self, frame: np.ndarray, masks: UserMasks | None = None) -> np.ndarray:
        """Segments the next frame; arguments, result and errors are those of `Session.step`."""
        pending = self.submit(frame, masks)
        labels = pending.labels()[0]
        self.report(pending)
        return labels

    def submit(self, frame: np.ndarray, masks: UserMasks | None = None) -> Pending:
        """As `step`, but does not wait for the device."""
        first = self._sessions[0]
        labels, _ = label_map(masks, first.geometry.frame, first.time)
        pendings = [
            session.submit(_flipped(frame), _flipped(masks))
            if flip
            else session.submit(frame, masks)
            for session, flip in zip(self._sessions, self._flips, strict=True)
        ]
        pending, planes = pendings[0], tuple(each.shown for each in pendings)
        if len(planes) == 1:
            shown = planes[0][:, :, ::-1] if self._flips[0] else planes[0]
            return Pending(shown, pending.table, pending.given, pending.known)
        slots = planes[0].shape[-1] - 1
        to_slots, replaced = np.zeros(256, np.uint8), np.zeros((1, slots), bool)
        for object_id, slot in pending.given.items():
            to_slots[object_id], replaced[0, slot] = slot + 1, True
        merged = _merge(planes, to_slots[labels][None], replaced, self._flips)
        return Pending(merged, pending.table, pending.given, pending.known)

    def skip(self, frames: int = 1) -> None:
        """See `Session.skip`."""
        for session in self._sessions:
            session.skip(frames)

    def report(self, pending: Pending) -> None:
        """See `Session.report`."""
        self._sessions[0].report(pending)


def _flipped(masks):
    if isinstance(masks, Mapping):
        return {object_id: _flipped(plane) for object_id, plane in masks.items()}
    return None if masks is None else np.ascontiguousarray(np.asarray(masks)[:, ::-1])


@functools.partial(jax.jit, static_argnames="flips")
def _merge(
    planes: tuple[Float[Array, "b h w o+1"], ...],
    given: UInt8[Array, "b H W"],
    slots: Bool[Array, "b o"],
    flips: tuple[bool, ...],
) -> UInt8[Array, "b h w"]:
    upright = [x[:, :, ::-1] if flip else x for x, flip in zip(planes, flips, strict=True)]
    mean = sum(upright) / len(upright)
    given = resize(given[..., None], mean.shape[1:3], "nearest")[..., 0]
    pasted = paste(mean, slot_planes(given, slots.shape[-1]), slots)
    return jnp.argmax(pasted, axis=-1).astype(jnp.uint8)
