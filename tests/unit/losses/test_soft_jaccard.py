"""One minus the soft intersection over union: classes one by one, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.losses.region import soft_jaccard

RNG = np.random.default_rng(0)
PROBABILITIES = jax.nn.softmax(jnp.asarray(RNG.normal(size=(2, 4, 6, 5)), jnp.float32))
LABELS = RNG.integers(0, 3, (2, 4, 6))
LABELS[1] = np.where(LABELS[1] == 2, 4, LABELS[1])
WEIGHTS = jnp.asarray(RNG.random((2, 4, 6)) < 0.8, jnp.float32)
TARGETS = jax.nn.one_hot(LABELS, 5)


def by_hand(sample, weights=WEIGHTS):
    counted = np.asarray(weights)[sample] > 0
    found = np.asarray(PROBABILITIES, np.float64)[sample][counted]
    losses = []
    for number in range(5):
        truth = LABELS[sample][counted] == number
        if truth.any():
            p = found[:, number]
            both, extra, missed = (p * truth).sum(), (p * ~truth).sum(), ((1 - p) * truth).sum()
            losses.append(1 - both / (both + extra + missed + 1e-6))
    return np.mean(losses)


def test_is_the_mean_over_the_classes_that_occur():
    losses = soft_jaccard(PROBABILITIES, TARGETS, WEIGHTS)
    np.testing.assert_allclose(losses, [by_hand(0), by_hand(1)], rtol=1e-6)


def test_pixels_that_do_not_count_change_nothing():
    other = jnp.where(WEIGHTS[..., None] > 0, PROBABILITIES, PROBABILITIES[..., ::-1])
    np.testing.assert_allclose(
        soft_jaccard(other, TARGETS, WEIGHTS), soft_jaccard(PROBABILITIES, TARGETS, WEIGHTS)
    )


@pytest.mark.parametrize("counts, loss", [(1.0, 0.0), (0.0, 0.0)])
def test_a_perfect_and_an_empty_prediction_cost_nothing(counts, loss):
    weights = jnp.full_like(WEIGHTS, counts)
    np.testing.assert_allclose(soft_jaccard(TARGETS, TARGETS, weights), loss, atol=1e-6)
    gradient = jax.grad(lambda x: soft_jaccard(x, TARGETS, weights).sum())(PROBABILITIES)
    assert np.isfinite(gradient).all()
