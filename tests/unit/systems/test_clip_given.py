"""Masks that clips bring for frame 0: bytes on the way, planes in [0, 1] for the system."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.base import Clip
from vos_jax.systems.rollout import given_of

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
def test_slots_that_are_absent_are_not_given(given):
    made = given_of(dataclasses.replace(clip((False, True)), given=given))
    assert made.slots.tolist() == [[False, True]]
