"""Masks that clips bring for frame 0: bytes on the way, planes in [0, 1] for the system."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.geometry import Geometry
from vos_jax.systems.base import Clip, State, Visit
from vos_jax.systems.resolve import odds
from vos_jax.systems.rollout import given_of, rollout

LABELS = np.array([[[[0, 1], [2, 255]]]], np.uint8)


def clip(present=(True, True), given=None):
    return Clip(
        frames=jnp.zeros((1, 1, 2, 2, 3), jnp.uint8),
        labels=jnp.asarray(LABELS),
        slots=jnp.array([[True, True]]),
        present=jnp.array([[present]]),
        labelled=jnp.ones((1, 1), bool),
        valid=jnp.ones((1, 1, 2, 2), bool),
        given=given,
    )


def test_bytes_become_planes():
    planes = jnp.array([0, 51, 102, 255, 128, 1, 0, 0], jnp.uint8).reshape(1, 2, 2, 2)
    masks = given_of(clip(given=planes)).masks
    assert masks.dtype == jnp.float32
    np.testing.assert_allclose(masks, np.asarray(planes) / 255, atol=1e-7)


def test_without_them_the_labels_are_given():
    masks = given_of(clip()).masks
    np.testing.assert_array_equal(masks[..., 0], LABELS[0] == 1)
    np.testing.assert_array_equal(masks[..., 1], LABELS[0] == 2)


@pytest.mark.parametrize("given", [None, jnp.full((1, 2, 2, 2), 255, jnp.uint8)])
def test_absent_objects_are_given_as_empty_masks_too(given):
    absent = dataclasses.replace(clip((False, True)), given=given, slots=jnp.array([[False, True]]))
    assert given_of(absent).slots.tolist() == [[True, True]]


class Recorder:
    """Stands in for a system's verbs: keeps what is written, predicts sure objects."""

    def __init__(self):
        self.module, self.written = self, []

    @property
    def spec(self):
        return self

    def keyed(self, number):
        return self

    def clip_entries(self, writes):
        return writes

    def unchanged(self, size):
        return Geometry.unchanged(size)

    def prepare(self, frames, geometry):
        return frames.astype(jnp.float32)

    def encode(self, frames):
        return frames

    def init_state(self, batch, geometry, slots, memory):
        zeros = jnp.zeros((batch, slots), bool)
        return State(known=zeros, time=jnp.zeros(batch, jnp.int32))

    def read(self, state, features, given, view):
        return jnp.full((*features.shape[:3], state.known.shape[1]), 3.0), None

    def resolve(self, scores, known, given, geometry):
        return odds(scores, known, given, geometry)

    def write(self, state, features, trace, memory, given=None):
        self.written.append(np.asarray(memory[0]))
        return state if given is None else state.replace(known=state.known | given.slots)


SOFT = np.array([[0.2, 0.7], [0.6, 0.8]], np.float32)


def test_first_masks_are_stored_as_they_are_and_absent_objects_take_no_part():
    recorder = Recorder()
    planes = np.round(255 * np.stack([SOFT, SOFT[::-1]], axis=-1)).astype(np.uint8)
    frames = clip(given=jnp.asarray(planes[None])).replace(
        frames=jnp.zeros((1, 2, 2, 2, 3), jnp.uint8),
        labels=jnp.zeros((1, 2, 2, 2), jnp.uint8),
        valid=jnp.ones((1, 2, 2, 2), bool),
        slots=jnp.array([[True, False]]),
    )
    rollout(recorder, frames, (Visit(0, "given", None, read=False), Visit(1, "own")))
    first, second = recorder.written
    np.testing.assert_allclose(first[..., 1:], planes / 255, atol=1e-6)
    np.testing.assert_allclose(first[..., 0], np.clip(1 - planes.sum(-1) / 255, 0, 1), atol=1e-6)
    assert (second[..., 1] > 0.99).all() and (second[..., 2] == 0).all()
