"""The divergence between channel softmaxes against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from vos_jax.losses.distillation import channel_divergence

RNG = np.random.default_rng(1)
STUDENT, TEACHER = jnp.asarray(RNG.normal(size=(2, 2, 3, 4, 6)), jnp.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_is_its_definition(temperature):
    s, t = (log_softmax(np.asarray(x, float) / temperature, axis=-1) for x in (STUDENT, TEACHER))
    expected = (np.exp(t) * (t - s)).mean() * temperature**2
    found = channel_divergence(STUDENT, TEACHER, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_is_zero_with_no_gradient_where_both_agree():
    loss, gradients = jax.value_and_grad(channel_divergence, (0, 1))(TEACHER, TEACHER)
    np.testing.assert_allclose(loss, 0, atol=1e-7)
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=1e-7)


@pytest.mark.parametrize("side", [0, 1])
def test_both_sides_learn_and_shifts_of_all_channels_do_not_matter(side):
    gradient = jax.grad(channel_divergence, side)(STUDENT, TEACHER)
    assert np.abs(gradient).max() > 1e-4
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-7)


def test_gradients_of_the_student_are_softmax_differences():
    s, t = (np.exp(log_softmax(np.asarray(x, float), axis=-1)) for x in (STUDENT, TEACHER))
    gradient = jax.grad(channel_divergence)(STUDENT, TEACHER)
    np.testing.assert_allclose(gradient, (s - t) / s.size, rtol=1e-4, atol=1e-8)
