"""Systems of a few lines that use every part of the interface: colours as object descriptors.

A memory entry holds, per slot and for the background, the mean embedded colour under its mask;
a pixel's score is its closeness to the nearest entry. Every given frame, and every `every`-th
after one, is kept in a bank of fixed capacity; when it is full the oldest frame that was not given
leaves.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from vos_jax.core.geometry import Geometry, pad_to_multiple
from vos_jax.systems import resolve
from vos_jax.systems.base import Segmenter, Spec, State, Visit

STRIDE = 4
FAR = -1e4
GROUP = 10
POLICIES = ("softmax", "odds", "labels")


@dataclasses.dataclass(frozen=True)
class ToySpec(Spec):
    """Sides become multiples of 8: enlarged for the policy `labels`, else padded."""

    policy: str = "odds"
    constant: bool = False

    def geometry(self, frame_size):
        network = pad_to_multiple(frame_size, 8)
        return Geometry(frame_size, network if self.policy == "labels" else frame_size, network)

    def resolve(self, scores, known, given, geometry):
        return getattr(resolve, self.policy)(scores, known, given, geometry)

    def entries(self, frames, given_frames):
        return None if self.constant else 1 + (frames - 1) // self.memory_every + given_frames


@struct.dataclass
class ToyState(State):
    """Descriptors of every entry, background first, which exist, and which entries stay."""

    colours: Any
    exists: Any
    stays: Any
    written: Any


class Toy(Segmenter):
    """Colour descriptors under one of the three resolve policies."""

    policy: str = "odds"
    every: int = 1
    channels: int = 4
    constant: bool = False

    @property
    def spec(self):
        grouped = {"group": GROUP, "slot_step": GROUP} if self.policy == "labels" else {}
        skippable = self.every > 1
        return ToySpec(
            policy=self.policy,
            memory_every=self.every,
            skippable=skippable,
            constant=self.constant,
            **grouped,
        )

    def setup(self):
        self.embed = nn.Dense(self.channels)

    def init_state(self, batch, geometry, slots, memory=None, late=True):
        entries = 4 if memory is None else memory
        return ToyState(
            known=jnp.zeros((batch, slots), bool),
            time=jnp.zeros((batch,), jnp.int32),
            colours=jnp.zeros((batch, entries, slots + 1, self.channels)),
            exists=jnp.zeros((batch, entries, slots + 1), bool),
            stays=jnp.zeros((batch, entries), bool),
            written=jnp.full((batch, entries), -1),
        )

    def encode(self, frames):
        return self.embed(pooled(frames))

    def describe(self, features, planes):
        weights = pooled(planes)
        total = weights.sum((1, 2))
        colours = jnp.einsum("byxo,byxc->boc", weights, features)
        return colours / jnp.maximum(total, 1e-6)[..., None], total > 0

    def read(self, state, features, given=None, view=None):
        colours, exists = state.colours, state.exists
        if view is not None:
            colours, exists = colours[:, list(view)], exists[:, list(view)]
        if given is not None:
            new, there = self.describe(features, with_background(given.masks))
            there = (there & jnp.pad(given.slots, [(0, 0), (1, 0)]))[:, None]
            colours = jnp.concatenate([colours, new[:, None]], axis=1)
            exists = jnp.concatenate([exists, there], axis=1)
        distance = jnp.square(features[:, None, :, :, None] - colours[:, :, None, None]).sum(-1)
        close = jnp.where(exists[:, :, None, None], -20.0 * distance, FAR)
        close = close.max(1)
        if self.policy == "odds":
            return close[..., 1:] - jnp.maximum(close[..., :1], -100.0), None
        if self.policy == "softmax":
            return jnp.concatenate([close[..., :1] - 1.0, close], axis=-1), None
        objects = close[..., 1:].reshape(*close.shape[:3], -1, GROUP)
        first = jnp.repeat(close[..., None, :1], objects.shape[-2], axis=-2)
        return jnp.concatenate([first, objects], axis=-1), None

    def write(self, state, features, trace, memory, given=None):
        slots = jnp.zeros_like(state.known) if given is None else given.slots
        known, prompted = state.known | slots, slots.any(-1)
        due = state.time - state.written.max(-1) >= self.every
        keep = (prompted | due) & known.any(-1)
        colours, exists = self.describe(features, memory)
        exists = exists & jnp.pad(known, [(0, 0), (1, 0)], constant_values=True)
        videos = jnp.arange(known.shape[0])
        place = jnp.where(state.stays, 10**6, state.written).argmin(-1)

        def put(old, new):
            chosen = keep.reshape(-1, *[1] * (new.ndim - 1))
            return old.at[videos, place].set(jnp.where(chosen, new, old[videos, place]))

        return ToyState(
            known=known,
            time=state.time + 1,
            colours=put(state.colours, colours),
            exists=put(state.exists, exists),
            stays=put(state.stays, prompted),
            written=put(state.written, state.time),
        )

    def plan(self, step, micro):
        return (
            Visit(0, "given", None, read=False),
            Visit(1, "own"),
            Visit(2, "own"),
            Visit(3, "own_cut"),
            Visit(4),
        )

    def losses(self, run, clip, step):
        read = [scores for scores in run.scores if scores is not None]
        return {"loss": toy_loss(read)}


def toy_loss(scores):
    """Some smooth function of the scores of all reads."""
    return jnp.square(1 + jnp.tanh(jnp.stack(scores) / 50)).mean()


def pooled(maps):
    """Means over squares of the stride."""
    b, h, w, c = maps.shape
    return maps.reshape(b, h // STRIDE, STRIDE, w // STRIDE, STRIDE, c).mean((2, 4))


def with_background(planes):
    """Planes with what they leave over in front."""
    return jnp.concatenate([1 - planes.max(-1, keepdims=True), planes], axis=-1)


def toy_params(system, key=0):
    """Random parameters."""
    frames = jnp.zeros((1, 16, 16, 3), jnp.uint8)
    return system.init(jax.random.key(key), frames, method="initialise")["params"]
