"""STEm-Seg's losses: what they must not depend on, and where they are nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.labels import VOID
from vos_jax.systems.base import Clip
from vos_jax.systems.vishv.losses import clip_losses, embedding_losses, semantic_losses
from vos_jax.systems.vishv.maps import DenseMaps
from vos_jax.systems.vishv.targets import instance_targets

STDS = (0.3,)
SIZE = (2, 4, 6)


def maps():
    """Embedding of three dimensions, bandwidth of two, seediness."""
    rng, shape = np.random.default_rng(0), (2, *SIZE)
    embedding, bandwidth = rng.normal(size=(*shape, 3)), rng.normal(size=(*shape, 2)) / 9
    return tuple(x.astype(np.float32) for x in (embedding, bandwidth, rng.uniform(size=shape)))


def masks(slots=(0, 1, 2)):
    """Three instances of a column each, background beside them, in some of four slots."""
    columns = np.arange(3)[:, None, None, None] == np.arange(SIZE[2])
    placed = np.zeros((2, 4, *SIZE), bool)
    placed[:, list(slots)] = np.broadcast_to(columns, (3, *SIZE))
    return placed


NOTHING = np.zeros((2, *SIZE), bool)


@jax.jit
def graded(parts, masks, ignored):
    """Losses and the gradients of their sum: one program for all tests."""

    def objective(parts):
        losses = embedding_losses(*parts, masks, ignored, STDS)
        return losses["embedding"], losses

    return jax.grad(objective, has_aux=True)(parts)[::-1]


def losses(parts, masks, ignored=NOTHING):
    return graded(parts, masks, ignored)[0]


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)


def test_slots_are_alike_and_an_unused_one_adds_nothing():
    same(losses(maps(), masks()), losses(maps(), masks(slots=(3, 0, 1))))


def test_gradients_are_finite_beside_empty_slots():
    _, gradients = graded(maps(), masks(), NOTHING)
    assert all(np.isfinite(each).all() and np.any(each) for each in gradients)


def test_a_clip_without_instances_counts_only_in_the_batch_of_the_smoothness():
    """Its twin is counted twice instead: as many instances in each clip, as much smoothness."""
    parts = [np.stack([each[0]] * 2) for each in maps()]
    alone, twice = masks(), masks()
    alone[1] = False
    one, both = losses(parts, alone), losses(parts, twice)
    assert 2 * one["smoothness"] == pytest.approx(both["smoothness"])
    assert one["lovasz"] == pytest.approx(both["lovasz"])
    assert one["seediness"] * (3 + 1) == pytest.approx(both["seediness"] * (6 + 1) / 2)


def test_no_instance_at_all_is_no_loss_and_no_gradient():
    found, gradients = graded(maps(), np.zeros_like(masks()), NOTHING)
    assert found["embedding"] == 0 and not any(np.any(each) for each in gradients)


def test_a_clip_without_background_has_no_background_loss():
    everywhere = np.zeros_like(masks())
    everywhere[:, 0] = True
    seediness = losses(maps(), everywhere)["seediness"]
    assert np.isfinite(seediness) and seediness > 0


def test_ignored_background_may_be_seeded():
    embedding, bandwidth, seediness = maps()
    stray = seediness.copy()
    stray[..., -1] = 0.9
    ignored = NOTHING.copy()
    ignored[..., -1] = True
    kept = [losses((embedding, bandwidth, each), masks(), ignored) for each in (stray, seediness)]
    same(*kept)
    assert losses((embedding, bandwidth, stray), masks())["seediness"] > kept[0]["seediness"]


def test_instances_apart_and_tight_have_a_hinge_of_nothing():
    """Probability 1 inside and 0 outside leaves neither hinge nor, where seeded so, seediness."""
    numbers = (masks() * np.arange(1, 5)[:, None, None, None]).sum(axis=1)
    embedding = np.stack([numbers * 10.0] * 3, axis=-1).astype(np.float32)
    parts = embedding, np.zeros((2, *SIZE, 2), np.float32), (numbers > 0).astype(np.float32)
    found = losses(parts, masks())
    assert {name: float(value) for name, value in found.items()} == dict.fromkeys(found, 0)


def test_ignored_pixels_count_for_the_classes_but_not_for_foreground():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(2, *SIZE, 4)))
    classes = jnp.asarray(rng.integers(0, 3, (2, *SIZE)))
    ignored = NOTHING.copy()
    ignored[:, 0] = True
    changed = logits.at[:, 0].add(jnp.array([1.0, 0, 0, 2.0]))
    before, after = (semantic_losses(x, classes, ignored) for x in (logits, changed))
    assert before["foreground"] == after["foreground"] and before["semantic"] != after["semantic"]
    assert semantic_losses(logits, classes, ~NOTHING)["foreground"] == 0


def test_the_loss_is_the_sum_of_what_the_maps_have():
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 3, (2, *SIZE)), np.ones((1, 1, 4, 4))).astype(np.uint8)
    clip = Clip(
        frames=jnp.zeros((*labels.shape, 3), jnp.uint8),
        labels=jnp.asarray(labels),
        slots=jnp.ones((2, 3), bool),
        present=jnp.ones((2, 2, 3), bool),
        labelled=jnp.ones((2, 2), bool),
        valid=jnp.ones(labels.shape, bool),
        categories=jnp.array([[1, 2, 0]] * 2),
    )
    dense = DenseMaps(*maps(), semantic=rng.normal(size=(2, *SIZE, 4)), appearance=None)
    found = jax.jit(clip_losses, static_argnums=2)(dense, clip, STDS)
    parts = [float(found[name]) for name in ("embedding", "foreground", "semantic")]
    assert min(parts) > 0 and found["loss"] == pytest.approx(sum(parts))


def test_a_target_pixel_needs_the_four_pixels_around_its_centre():
    labels = np.zeros((1, 1, 8, 12), np.uint8)
    labels[..., 1:3, 1:3] = 1
    labels[..., 1:3, 5:7] = [[2, 2], [2, 1]]
    labels[..., 4:, :] = VOID
    labels[..., 5, 9] = 2
    found, ignored = instance_targets(jnp.asarray(labels), 3)
    assert found.sum() == 1 and found[0, 0, 0, 0, 0]
    np.testing.assert_array_equal(ignored[0, 0], [[False] * 3, [True, True, False]])
