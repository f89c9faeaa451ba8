"""Test-time augmentation: several views of a video, each a session of its own, averaged.

    views = [View(system), View(system, flip=True), View(build("aot", **larger), flip=True)]
    session = AugmentedSession(views, params, frame_size)

A view's scale is in its system's size settings. Each view sees its own frames and prompts and
remembers its own masks; only what the user gets is averaged.
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
from vos_jax.inference.session import Session
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

    def step(self, frame: np.ndarray, masks: UserMasks | None = None) -> np.ndarray:
        """Segments the next frame; arguments, result and errors are those of `Session.step`."""
        first = self._sessions[0]
        if len(self._sessions) == 1 and self._flips[0]:
            return _flipped(first.step(_flipped(frame), _flipped(masks)))
        if len(self._sessions) == 1:
            return first.step(frame, masks)
        labels, _ = label_map(masks, first.geometry.output, first.time)
        pendings = [
            session.submit(_flipped(frame), _flipped(masks))
            if flip
            else session.submit(frame, masks)
            for session, flip in zip(self._sessions, self._flips, strict=True)
        ]
        pending = pendings[0]
        slots = pending.shown.shape[-1] - 1
        to_slots, replaced = np.zeros(256, np.uint8), np.zeros((1, slots), bool)
        for object_id, slot in pending.given.items():
            to_slots[object_id], replaced[0, slot] = slot + 1, True
        planes = tuple(each.shown for each in pendings)
        merged = _merge(planes, to_slots[labels][None], replaced, self._flips)
        return pending.table[np.asarray(merged)[0]]


def _flipped(masks):
    if isinstance(masks, Mapping):
        return {object_id: _flipped(plane) for object_id, plane in masks.items()}
    return None if masks is None else np.ascontiguousarray(np.asarray(masks)[:, ::-1])


@functools.partial(jax.jit, static_argnames="flips")
def _merge(
    planes: tuple[Float[Array, "b h w o+1"], ...],
    given: UInt8[Array, "b h w"],
    slots: Bool[Array, "b o"],
    flips: tuple[bool, ...],
) -> UInt8[Array, "b h w"]:
    upright = [x[:, :, ::-1] if flip else x for x, flip in zip(planes, flips, strict=True)]
    mean = sum(upright) / len(upright)
    pasted = paste(mean, slot_planes(given, slots.shape[-1]), slots)
    return jnp.argmax(pasted, axis=-1).astype(jnp.uint8)
