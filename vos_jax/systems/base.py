"""The one interface of all systems, on one page.

A prompted system is a Flax module with these verbs, all pure through `.apply`:

    spec                                                static facts of the configured system
    init_state(batch, geometry, slots, memory)          an empty state of fixed shapes
    encode(frames)                       -> features    stateless, any number of frames at once
    read(state, features, given, view)   -> scores, trace     never changes the state
    write(state, features, trace, memory, given) -> state     time moves on by one frame
    plan(step, micro)                    -> visits      static: what one training clip does
    losses(run, clip, step)              -> named scalars, "loss" is what is minimised

`spec.resolve` turns scores into masks (`systems/resolve.py`), and nothing else does. Built on
the verbs and written once: `step`, `skip`, `forget`, `grow` (below) and training's `rollout`.
A windowed system finds its instances without prompts: it has `spec`, `encode`, `read`, `plan`
and `losses`, its `read` takes no state.

Object slots, not object ids, are what the device sees: slot s is channel s of the planes and
label s + 1. `State.known` says which slots hold an object, per video. Dropout and stochastic
depth act exactly when a key is given to `Verbs`.
"""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Bool, Float, Int32, PyTree, UInt8

from vos_jax.core.geometry import Geometry, Size
from vos_jax.core.resize import pad, resize

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@struct.dataclass
class Given:
    """What somebody supplies on a frame: first masks, later objects, corrections.

    Attributes:
        masks: planes in [0, 1], one per slot; a set pixel wins over any prediction.
        slots: the slots these masks replace (they are cleared elsewhere) and that become or
            stay known. A video with none is treated as if nothing had been given.
        shown: the same planes at output size, where that differs from the network's.
    """

    masks: Float[Array, "b h w o"]
    slots: Bool[Array, "b o"]
    shown: Float[Array, "b H W o"] | None = None

    def placed(self, resized: Float[Array, "b h w o"], geometry: Geometry) -> "Given":
        """These masks at network size, from their planes at resized size."""
        return Given(masks=pad(resized, geometry), slots=self.slots, shown=self.masks)


@struct.dataclass
class Masks:
    """What `resolve` makes of scores.

    Attributes:
        memory: soft or hard planes at network size, background first; what `write` stores.
        labels: slot numbers (0 background) at output size; what the user gets.
        probabilities: at output size, background first; costs nothing unless it is used.
    """

    memory: Float[Array, "b h w o+1"]
    labels: UInt8[Array, "b H W"]
    probabilities: Float[Array, "b H W o+1"]


@struct.dataclass
class State:
    """Base of every system's state; the rest of its arrays are the system's own."""

    known: Bool[Array, "b o"]
    time: Int32[Array, " b"]


@struct.dataclass
class Clip:
    """A batch of training clips, as the data pipeline delivers them.

    Attributes:
        frames: RGB bytes at network size.
        labels: slot numbers, 0 background, 255 ignored.
        slots: which slots hold an object.
        present: whether an object is in a frame.
        labelled: whether a frame's labels may enter a loss.
        valid: False where a pixel holds no image (padding, or invented by a warp).
        given: planes of frame 0 in 255ths if they differ from its labels.
        categories: class of the object in each slot, where the data say it.
    """

    frames: UInt8[Array, "b t h w 3"]
    labels: UInt8[Array, "b t h w"]
    slots: Bool[Array, "b o"]
    present: Bool[Array, "b t o"]
    labelled: Bool[Array, "b t"]
    valid: Bool[Array, "b t h w"]
    given: UInt8[Array, "b h w o"] | None = None
    categories: Int32[Array, "b o"] | None = None


class Visit(NamedTuple):
    """One read, and perhaps one write, of a frame in training.

    Attributes:
        frame: index in the clip; None is the whole window (windowed systems).
        feed: what `write` stores: "given", "truth", "own" (the prediction), "own_cut" (without
            its gradient), or None for no write.
        view: which part of the memory is read; its meaning is the system's, None is all.
        read: False where a frame is only written.
    """

    frame: int | None
    feed: str | None = None
    view: Any = None
    read: bool = True


@dataclasses.dataclass(frozen=True)
class Spec(abc.ABC):
    """Static facts of a configured system; hashable.

    Attributes:
        prompted: False for windowed systems, which find instances themselves.
        window: frames a windowed system reads at once (1 for prompted systems).
        overlap: frames that neighbouring windows share.
        group: slots per identity bank (AOT: 10), None where slots are independent.
        skippable: whether frames that are not memory may be skipped.
        memory_every: where skippable, frames between two that are memory.
        slot_step: the numbers of slots a session allocates are multiples of this.
        align_corners: whether score maps are enlarged corner to corner.
    """

    prompted: bool = True
    window: int = 1
    overlap: int = 0
    group: int | None = None
    skippable: bool = False
    memory_every: int = 1
    slot_step: int = 1
    align_corners: bool = False

    @abc.abstractmethod
    def geometry(self, frame_size: Size) -> Geometry:
        """The sizes a video of this frame size takes on its way through the network."""

    def unchanged(self, size: Size) -> Geometry:
        """The sizes of frames that already have network size, as in training."""
        return Geometry.unchanged(size, self.align_corners)

    @abc.abstractmethod
    def resolve(self, scores, known, given: Given | None, geometry: Geometry) -> Masks:
        """One of the policies of `systems/resolve.py`."""

    @abc.abstractmethod
    def entries(self, frames: int, given_frames: int) -> int | None:
        """Memory entries a faithful run over a video needs; None where the number is constant."""

    def clip_entries(self, writes: int) -> int:
        """Memory entries a training clip needs in which so many frames are written."""
        return writes

    def prepare(
        self, frames: UInt8[Array, "n h w 3"], geometry: Geometry
    ) -> Float[Array, "n H W 3"]:
        """Frames as the network wants them: resized, normalised, zero-padded, in this order."""
        frames = resize(frames.astype(jnp.float32), geometry.resized)
        frames = (frames - jnp.asarray(IMAGENET_MEAN)) / jnp.asarray(IMAGENET_STD)
        return pad(frames, geometry)

    def place(self, given: Given, geometry: Geometry) -> Given:
        """Given planes of output size brought to network size, hard, by the nearest pixel."""
        return given.placed(resize(given.masks, geometry.resized, "nearest"), geometry)


class Segmenter(nn.Module):
    """Base of the systems: a Flax module whose methods are the verbs of this page."""

    @property
    def untrained(self) -> tuple[str, ...]:
        """File-name patterns of parameters that no gradient of the losses reaches."""
        return ()

    def primed(self, params: PyTree, clip: Clip) -> PyTree:
        """The parameters before the first update, where they depend on the first clips."""
        return params

    def initialise(self, frames: UInt8[Array, "b h w 3"]):
        """Touches every parameter: gives one object on the frames, stores it and reads it back."""
        geometry = self.spec.unchanged(frames.shape[1:3])
        features = self.encode(self.spec.prepare(frames, geometry))
        slots = self.spec.group or 1
        state = self.init_state(frames.shape[0], geometry, slots, 2)
        planes = jnp.zeros((*frames.shape[:3], slots)).at[:, : frames.shape[1] // 2, :, 0].set(1)
        known = jnp.zeros((frames.shape[0], slots), bool).at[:, 0].set(True)
        given = Given(masks=planes, slots=known)
        masks = self.spec.resolve(None, state.known, given, geometry)
        state = self.write(state, features, None, masks.memory, given)
        return self.read(state, features)


@dataclasses.dataclass(frozen=True)
class Verbs:
    """A system's verbs as plain functions of arrays.

    Attributes:
        module: the system.
        variables: its Flax variables.
        key: if given, dropout and stochastic depth draw from it.
    """

    module: Segmenter
    variables: PyTree
    key: Any = None

    def __getattr__(self, verb: str):
        """The verb of that name, bound to the variables and the key."""
        rngs = None if self.key is None else {"dropout": self.key}

        def call(*args, **kwargs):
            return self.module.apply(self.variables, *args, rngs=rngs, method=verb, **kwargs)

        return call

    def keyed(self, number: int | Int32[Array, ""]) -> "Verbs":
        """The same verbs with a key of their own, derived from this one's."""
        if self.key is None:
            return self
        return dataclasses.replace(self, key=jax.random.fold_in(self.key, number))


def advance(verbs: Verbs, state, features, geometry: Geometry, given: Given | None = None):
    """Reads, resolves and writes one frame whose features are known.

    Args:
        verbs: the system.
        state: the memory so far; it is not needed afterwards, so it may be donated.
        features: of this frame.
        geometry: of the video.
        given: planes at output size, or None.

    Returns:
        The new state and the frame's `Masks`.
    """
    spec = verbs.module.spec
    prompt = None if given is None else spec.place(given, geometry)
    scores, trace = verbs.read(state, features, prompt)
    masks = spec.resolve(scores, state.known, prompt, geometry)
    return verbs.write(state, features, trace, masks.memory, prompt), masks


def step(
    verbs: Verbs,
    state,
    frame: UInt8[Array, "b h w 3"],
    geometry: Geometry,
    given: Given | None = None,
):
    """One frame of a video: encode, read, resolve, write. Returns the new state and `Masks`."""
    features = verbs.encode(verbs.module.spec.prepare(frame, geometry))
    return advance(verbs, state, features, geometry, given)


def skip(state: State, frames: int = 1) -> State:
    """The state after frames that were not looked at (only where `spec.skippable`)."""
    return state.replace(time=state.time + frames)


def forget(state: State, slots: Bool[Array, "b o"]) -> State:
    """The state in which these slots hold no object any more."""
    return state.replace(known=state.known & ~slots)


def grow(state, bigger):
    """Copies a state into a bigger empty one: every old array is a prefix of the new one."""
    return jax.tree.map(
        lambda old, new: new.at[tuple(slice(0, n) for n in old.shape)].set(old), state, bigger
    )
