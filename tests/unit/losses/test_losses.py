"""Losses against sums written out by hand, and what must not change them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.losses.classification import cross_entropy
from vos_jax.losses.region import dice

RNG = np.random.default_rng(0)


def sample(batch=2, size=(4, 5), objects=3):
    """Random probabilities, one-hot targets, full weights and slots."""
    p = jnp.asarray(RNG.uniform(size=(batch, *size, objects)), jnp.float32)
    t = jax.nn.one_hot(RNG.integers(-1, objects, (batch, *size)), objects)
    return p, t, jnp.ones((batch, *size)), jnp.ones((batch, objects))


def test_dice_pools_objects_and_pixels_of_a_sample():
    p, t, weights, slots = sample()
    expected = []
    for i in range(2):
        overlap = 2 * float((p[i] * t[i]).mean())
        total = float((p[i] + t[i]).mean())
        expected.append(1 - (overlap + 1e-6) / (total + 1e-6))
    np.testing.assert_allclose(dice(p, t, weights, slots), np.mean(expected), rtol=1e-5)


def test_dice_without_overlap_is_zero_and_silent():
    p, t, weights, slots = sample(batch=1)
    value, gradient = jax.value_and_grad(lambda q: dice(q, t * 0, weights, slots))(p)
    assert value == 0
    assert not np.any(gradient)


def test_dice_is_zero_for_a_perfect_prediction():
    _, t, weights, slots = sample()
    np.testing.assert_allclose(dice(t, t, weights, slots), 0, atol=1e-6)


def test_unused_slots_do_not_change_dice():
    p, t, weights, slots = sample()
    p_more = jnp.pad(p, [(0, 0)] * 3 + [(0, 2)], constant_values=0.7)
    t_more = jnp.pad(t, [(0, 0)] * 3 + [(0, 2)])
    slots_more = jnp.pad(slots, [(0, 0), (0, 2)])
    np.testing.assert_allclose(
        dice(p, t, weights, slots), dice(p_more, t_more, weights, slots_more), rtol=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_weightless_pixels_do_not_change_any_loss(seed):
    rng = np.random.default_rng(seed)
    p, t, _, slots = sample()
    weights = jnp.asarray(rng.integers(0, 2, (2, 4, 5)), jnp.float32)
    noise = p + (1 - weights[..., None])
    np.testing.assert_allclose(dice(p, t, weights, slots), dice(noise, t, weights, slots))
    labels = jnp.asarray(rng.integers(0, 3, (2, 4, 5)))
    np.testing.assert_allclose(
        cross_entropy(p, labels, weights), cross_entropy(noise, labels, weights), rtol=1e-6
    )


def test_cross_entropy_is_the_mean_negative_log_probability():
    logits = jnp.asarray(RNG.normal(size=(2, 3, 4, 5)), jnp.float32)
    labels = RNG.integers(0, 5, (2, 3, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    picked = np.take_along_axis(probabilities, labels[..., None], -1)
    ours = cross_entropy(logits, jnp.asarray(labels), jnp.ones((2, 3, 4)))
    np.testing.assert_allclose(ours, -np.log(picked).mean(), rtol=1e-5)


def test_cross_entropy_of_nothing_is_zero():
    logits = jnp.ones((1, 2, 2, 3))
    assert cross_entropy(logits, jnp.full((1, 2, 2), 255), jnp.zeros((1, 2, 2))) == 0
