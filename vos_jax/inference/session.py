"""What a user holds: a video being segmented, frame by frame, with object ids of the user's own.

    session = Session(system, params, frame_size=(480, 854))
    labels = session.step(first_frame, first_masks)     # uint8 [h, w] of object ids
    for frame in more_frames:
        labels = session.step(frame)

Masks may come with any frame: unknown ids are new objects, known ones corrections.
"""

import copy
import functools
import logging
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vos_jax.core.errors import CapacityError, ConfigError, VideoError
from vos_jax.core.geometry import Geometry, Size
from vos_jax.core.labels import VOID, SlotMap
from vos_jax.inference import saved
from vos_jax.inference.steps import empty_state, given_step, plain_step, several_steps
from vos_jax.inference.user_masks import UserMasks, label_map
from vos_jax.systems.base import Segmenter, forget, grow, skip
from vos_jax.systems.variables import inference_variables

MOST_SLOTS = VOID - 1
FEW_SLOTS, SLOT_STEP = 6, 4
FIRST_ENTRIES, FIRST_FRAMES = 8, 1000
"""Memory entries of a growing bank at first, if the session is not told a number: fewer where a
video of so many frames needs fewer."""
LEAST_ENTRIES = 2
"""Entries any growing memory needs: for a video's first frame and a later one."""

log = logging.getLogger(__name__)


def check_memory(system: Segmenter, entries: int) -> None:
    """Looks whether a system can do with so many memory entries.

    Raises:
        ConfigError: its memory has a fixed size, or there is no room for a video's first frame
            and a later one.
    """
    least = system.spec.entries(1, 1)
    if least is None:
        raise ConfigError(f"the memory of {type(system).__name__} has a fixed size of its own")
    if entries < max(least, LEAST_ENTRIES):
        raise ConfigError(
            f"a memory of {entries} frames is too small for {type(system).__name__}: give it "
            f"{max(least, LEAST_ENTRIES)} or more, for the first frame and later ones"
        )


class Pending:
    """Frames that the device may still be computing.

    Attributes:
        shown: the device's array, slot labels or probabilities.
        table: object id by slot label.
        given: slot by object id, of the ids given on the frame.
        known: which slots hold an object after the frame; None where nothing was given.
    """

    def __init__(self, shown, table: np.ndarray, given: dict[int, int], known=None):
        """Keeps the arrays; nothing waits yet."""
        self.shown = shown
        self.table = table
        self.given = given
        self.known = known

    def labels(self) -> np.ndarray:
        """Waits, and returns object ids: uint8 [n, h, w], one map per submitted frame."""
        return self.table[np.asarray(self.shown)]

    def refused(self) -> tuple[int, ...]:
        """Waits, and returns the given ids that the system could not take in (too small)."""
        if self.known is None:
            return ()
        known = np.asarray(self.known)[0]
        return tuple(i for i, slot in self.given.items() if not known[slot])


class Session:
    """One video being segmented.

    Args:
        system: a configured prompted system.
        params: its parameters; the session computes where they lie.
        frame_size: (height, width) of the frames.
        slots: places for objects to begin with; by default as many as the first masks need. More
            are made when they run out, at the price of one compilation.
        memory: entries of a memory that otherwise grows with the video: once they are full the
            system replaces old ones. None keeps everything (the memory doubles when it is full).
        soft: whether `submit` yields probabilities per slot instead of labels.

    Attributes:
        geometry: sizes of the video.
        refused: ids given on the last frame with masks that the system could not take in.
        time: frames seen.

    Raises:
        ConfigError: the system takes no prompts, or `check_memory` refuses the memory.
    """

    def __init__(
        self,
        system: Segmenter,
        params: PyTree,
        frame_size: Size,
        *,
        slots: int | None = None,
        memory: int | None = None,
        soft: bool = False,
    ):
        """Allocates nothing until the first frame."""
        if not system.spec.prompted:
            raise ConfigError(f"{type(system).__name__} finds objects itself and takes no masks")
        self._constant = system.spec.entries(1, 1) is None
        if memory is not None:
            check_memory(system, memory)
        self._system, self._params = system, params
        self._bounded = memory is not None
        self._memory = memory
        if not self._bounded and not self._constant:
            self._memory = min(FIRST_ENTRIES, system.spec.entries(FIRST_FRAMES, 1))
        self._soft = soft
        self.geometry: Geometry = system.spec.geometry(tuple(frame_size))
        self._slots = SlotMap(self._rounded(slots or 1))
        self._state: Any = None
        self._allocated = self.capacity
        self.time = 0
        self._prompts = 0
        self.refused: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the objects there are, in the order of their slots."""
        return tuple(self._slots.slots)

    @property
    def capacity(self) -> tuple[int, int | None]:
        """Slots and memory entries there is room for (None: a fixed memory)."""
        return self._slots.capacity, self._memory

    def step(self, frame: np.ndarray, masks: UserMasks | None = None) -> np.ndarray:
        """Segments the next frame.

        Args:
            frame: uint8 [h, w, 3] RGB.
            masks: label map of object ids (any of 1 to 254; 255 is void and ignored), or one
                binary mask per id, of which later ones win; None or nothing set for none.

        Returns:
            uint8 [h, w] of object ids, 0 background.

        Raises:
            VideoError: the frame has another size or type.
            MaskError: so has a mask.
            CapacityError: more than 254 objects (AOT: 250, in groups of ten).
        """
        pending = self.submit(frame, masks)
        labels = pending.labels()[0]
        self.report(pending)
        return labels

    def submit(self, frame: np.ndarray, masks: UserMasks | None = None) -> Pending:
        """As `step`, but does not wait for the device."""
        frames = self._checked(np.asarray(frame)[None])
        labels, ids = label_map(masks, self.geometry.frame, self.time)
        given = dict(zip(ids, self._take_slots(ids), strict=True))
        self._make_room(frames=1, prompts=bool(ids))
        if not ids:
            self._state, shown = plain_step(self._variables, self._state, frames, **self._static)
            return Pending(shown, self._table(), given)
        replaced = np.zeros((1, self._slots.capacity), bool)
        replaced[0, list(given.values())] = True
        self._state, shown, known = given_step(
            self._variables,
            self._state,
            frames,
            self._slots.to_slots(labels)[None],
            replaced,
            **self._static,
        )
        return Pending(shown, self._table(), given, known)

    def submit_several(self, frames: np.ndarray) -> Pending:
        """Submits consecutive frames without masks, uint8 [t, h, w, 3], encoded in one call."""
        frames = self._checked(np.asarray(frames))
        self._make_room(frames=len(frames), prompts=False)
        self._state, shown = several_steps(self._variables, self._state, frames, **self._static)
        return Pending(shown, self._table(), {})

    def skip(self, frames: int = 1) -> None:
        """Lets frames pass without looking at them; those that are memory must not be skipped.

        Raises:
            ConfigError: the system needs every frame.
        """
        if not self._system.spec.skippable:
            raise ConfigError(f"{type(self._system).__name__} needs every frame")
        self._make_room(frames, prompts=False)
        self._state = skip(self._state, frames)

    def report(self, pending: Pending) -> None:
        """After a frame with masks waits, sets `refused` and logs what could not be taken in."""
        if pending.known is None:
            return
        self.refused = pending.refused()
        if self.refused:
            log.warning("objects %s are too small to be followed", list(self.refused))

    def remove(self, object_id: int) -> None:
        """Forgets an object; its id may be given anew and then is another object.

        Raises:
            ConfigError: no object has this id.
        """
        slot = self._slots.remove(object_id)
        if self._state is not None:
            slots = np.arange(self._slots.capacity) == slot
            self._state = forget(self._state, jnp.asarray(slots)[None])

    def fork(self) -> "Session":
        """An independent copy that goes on from here."""
        other = copy.copy(self)
        other._slots = SlotMap(self._slots.capacity, self._slots.ids)
        other._state = jax.tree.map(jnp.copy, self._state)
        return other

    def save(self, path: str | os.PathLike) -> None:
        """Writes the session, parameters excepted, to one file.

        Raises:
            OutputError: it cannot be written.
        """
        facts = {
            "system": saved.fingerprint(self._system),
            "frame_size": list(self.geometry.frame),
            "slots": self._slots.capacity,
            "ids": list(self._slots.ids),
            "memory": self._memory,
            "bounded": self._bounded,
            "soft": self._soft,
            "time": self.time,
            "prompts": self._prompts,
        }
        saved.write(path, facts, jax.tree.leaves(self._state))

    @classmethod
    def restore(cls, path: str | os.PathLike, system: Segmenter, params: PyTree) -> "Session":
        """Reads a session that `save` wrote and goes on from there.

        Raises:
            MissingInputError: no such file.
            CheckpointError: the file is damaged or belongs to another system.
        """
        facts, leaves = saved.read(path, system)
        session = cls(system, params, tuple(facts["frame_size"]), soft=facts["soft"])
        session._slots = SlotMap(facts["slots"], tuple(facts["ids"]))
        session._memory, session._bounded = facts["memory"], facts["bounded"]
        session.time, session._prompts = facts["time"], facts["prompts"]
        if leaves:
            session._state = saved.unflatten(path, session._empty(), leaves)
            session._allocated = session.capacity
        return session

    @functools.cached_property
    def _variables(self) -> PyTree:
        return inference_variables(self._params, system=self._system, geometry=self.geometry)

    @property
    def _static(self) -> dict[str, Any]:
        return {"system": self._system, "geometry": self.geometry, "soft": self._soft}

    def _table(self) -> np.ndarray:
        return self._slots.to_ids(np.arange(256, dtype=np.uint8))

    def _checked(self, frames: np.ndarray) -> np.ndarray:
        wanted = (*self.geometry.frame, 3)
        if frames.shape[1:] != wanted or frames.dtype != np.uint8:
            raise VideoError(
                f"frame {self.time} is {frames.dtype} {list(frames.shape[1:])}, the session takes "
                f"uint8 {list(wanted)}; a video of another size needs a session of its own"
            )
        return frames

    def _take_slots(self, ids: list[int]) -> list[int]:
        needed = len(self._slots.ids) + len(set(ids) - set(self._slots.slots))
        most = self._rounded(MOST_SLOTS)
        if needed > most:
            raise CapacityError(
                f"{needed} objects since the video began, {most} is the most; begin a new session "
                "with the objects that are left"
            )
        if needed > self._slots.capacity:
            self._slots.grow(self._rounded(needed))
        return self._slots.add(ids)

    def _rounded(self, slots: int) -> int:
        step = self._system.spec.slot_step
        unit = max(step, SLOT_STEP) if slots > FEW_SLOTS else step
        return min(-(-slots // unit) * unit, MOST_SLOTS // step * step)

    def _make_room(self, frames: int, prompts: bool) -> None:
        """Counts the frames in, and allocates or enlarges the state where they need it."""
        self.time += frames
        self._prompts += prompts
        if not self._bounded and not self._constant:
            needed = self._system.spec.entries(self.time, self._prompts)
            while self._memory < needed:
                self._memory *= 2
        if self._state is None:
            self._state = self._empty()
        elif self._allocated != self.capacity:
            self._state = grow(self._state, self._empty())
        self._allocated = self.capacity

    def _empty(self):
        state = empty_state(
            system=self._system,
            geometry=self.geometry,
            batch=1,
            slots=self._slots.capacity,
            memory=self._memory,
        )
        param = jax.tree.leaves(self._params)[0]
        return jax.device_put(state, param.sharding) if isinstance(param, jax.Array) else state
