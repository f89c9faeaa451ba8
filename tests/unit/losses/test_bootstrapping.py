"""Cross entropy of the hardest pixels: against a sort in NumPy; the warm-up of their share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.losses.classification import (
    bootstrapped_cross_entropy,
    cross_entropy,
    kept_fraction,
)

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(RNG.normal(size=(3, 5, 7, 4)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 4, (3, 5, 7)))
PIXELS = 35


def by_hand(kept, logits=LOGITS):
    """The definition in float64, and which pixels count."""
    shifted = np.asarray(logits, np.float64)
    picked = np.take_along_axis(shifted, np.asarray(LABELS)[..., None], -1)[..., 0]
    losses = (np.log(np.exp(shifted).sum(-1)) - picked).reshape(3, -1)
    count = max(int(PIXELS * kept), 1)
    order = np.argsort(-losses, axis=1)[:, :count]
    counted = np.zeros(losses.shape, bool)
    np.put_along_axis(counted, order, True, axis=1)
    return np.take_along_axis(losses, order, 1).mean(), counted.reshape(LABELS.shape)


@pytest.mark.parametrize("kept", [1.0, 0.97, 0.5, 0.15, 0.03, 0.001])
def test_is_the_mean_over_the_hardest_pixels_of_each_sample(kept):
    loss, gradient = jax.jit(jax.value_and_grad(bootstrapped_cross_entropy))(LOGITS, LABELS, kept)
    expected, counted = by_hand(kept)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.any(gradient != 0, axis=-1), counted)


def test_the_share_may_be_traced_and_all_pixels_are_plain_cross_entropy():
    values = jax.vmap(lambda kept: bootstrapped_cross_entropy(LOGITS, LABELS, kept))(
        jnp.array([1.0, 0.5])
    )
    plain = cross_entropy(LOGITS, LABELS, jnp.ones(LABELS.shape))
    np.testing.assert_allclose(values, [plain, by_hand(0.5)[0]], rtol=1e-6)


def test_gradient_is_that_of_the_mean_over_the_pixels_that_count():
    _, counted = by_hand(0.4)
    weights = jnp.asarray(counted, jnp.float32)
    gradient = jax.grad(bootstrapped_cross_entropy)(LOGITS, LABELS, jnp.float32(0.4))
    expected = jax.grad(cross_entropy)(LOGITS, LABELS, weights)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    "step, share",
    [(0, 1), (99, 1), (100, 1), (150, 0.8), (200, 0.6), (300, 0.2), (301, 0.2), (10**6, 0.2)],
)
def test_the_share_falls_linearly_between_its_two_updates(step, share):
    np.testing.assert_allclose(kept_fraction(step, 100, 300, 0.2), share, rtol=1e-6)
    np.testing.assert_allclose(kept_fraction(jnp.array(step), 100, 300, 0.2), share, rtol=1e-6)


@pytest.mark.parametrize("step, share", [(4, 1), (5, 0.3), (6, 0.3)])
def test_no_warm_up_at_all(step, share):
    np.testing.assert_allclose(kept_fraction(step, 5, 5, 0.3), share, rtol=1e-6)
