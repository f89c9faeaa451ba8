"""Log-odds of the aggregation: the logits whose softmax are its planes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from vos_jax.ops.aggregate import aggregate, log_odds

RNG = np.random.default_rng(2)
PLANES = jnp.asarray(RNG.uniform(size=(2, 3, 4, 3)), jnp.float32)
LEAST = float(np.log(np.float32(1e-7) / (1 - np.float32(1e-7))))
MOST = 15.942385


def test_is_the_definition():
    known = jnp.ones((2, 3), bool)
    background = np.prod(1 - np.asarray(PLANES, float), axis=-1, keepdims=True)
    planes = np.concatenate([background, PLANES], axis=-1)
    expected = np.log(planes / (1 - planes))
    np.testing.assert_allclose(log_odds(PLANES, known), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("known", [(1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0)])
def test_its_softmax_is_the_aggregation(known):
    known = jnp.array([known, (1, 1, 1)], bool)
    planes = softmax(np.asarray(log_odds(PLANES, known)), axis=-1)
    np.testing.assert_allclose(planes, aggregate(PLANES, known), atol=1e-6)


@pytest.mark.parametrize("value, logit", [(1.0, MOST), (0.0, LEAST)])
def test_sure_pixels_are_clamped(value, logit):
    found = log_odds(jnp.full((1, 2, 2, 1), value), jnp.ones((1, 1), bool))
    np.testing.assert_allclose(found[..., 1], logit, rtol=1e-5)
    np.testing.assert_allclose(found[..., 0], LEAST if value else MOST, rtol=1e-5)


def test_slots_that_are_not_known_have_the_least_logit_and_no_gradient():
    known = jnp.array([[True, False, True], [False, True, True]])
    logits, back = jax.vjp(lambda planes: log_odds(planes, known), PLANES)
    (gradient,) = back(jnp.ones_like(logits))
    for video, slot in ((0, 1), (1, 0)):
        np.testing.assert_allclose(logits[video, ..., slot + 1], LEAST, rtol=1e-6)
        assert (gradient[video, ..., slot] == 0).all()
    assert (np.abs(gradient[0, ..., [0, 2]]) > 0).all()


@pytest.mark.parametrize("corner", [0.0, 1.0])
def test_gradients_are_finite_at_the_corners(corner):
    planes = PLANES.at[:, :, :2].set(corner)
    gradient = jax.grad(lambda x: log_odds(x, jnp.ones((2, 3), bool)).sum())(planes)
    assert np.isfinite(gradient).all()
