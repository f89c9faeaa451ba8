"""The Lovász hinge against its definition as a sum of differences of the Jaccard loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.losses.lovasz import lovasz_hinge

hinge = jax.jit(lovasz_hinge)


def jaccard_loss(wrong: np.ndarray, labels: np.ndarray) -> float:
    """1 - intersection over union when exactly these pixels are wrong."""
    found = labels & ~wrong
    union = (labels | wrong).sum()
    return 1 - found.sum() / union if union else 0.0


def by_definition(logits: np.ndarray, labels: np.ndarray) -> float:
    """The Lovász extension: what each pixel adds as the set of wrong ones grows by its error."""
    errors = 1 - np.where(labels, logits, -logits)
    wrong, before, total = np.zeros_like(labels), 0.0, 0.0
    for pixel in np.argsort(-errors):
        wrong[pixel] = True
        after = jaccard_loss(wrong, labels)
        total += max(errors[pixel], 0) * (after - before)
        before = after
    return total


@pytest.mark.parametrize("foreground", [0, 1, 7, 20])
def test_is_the_extension_of_the_jaccard_loss(foreground):
    rng = np.random.default_rng(foreground)
    logits, labels = rng.normal(size=20), rng.permutation(20) < foreground
    loss = float(hinge(jnp.asarray(logits), jnp.asarray(labels)))
    assert loss == pytest.approx(by_definition(logits, labels), rel=1e-5)


def test_is_the_jaccard_loss_where_every_pixel_is_sure_by_its_margin():
    """An error of 2 where wrong, 0 where right: twice the loss of the set of wrong pixels."""
    labels = np.array([1, 1, 1, 0, 0], bool)
    predicted = np.array([1, 0, 1, 1, 0], bool)
    loss = float(lovasz_hinge(jnp.where(predicted, 1.0, -1.0), jnp.asarray(labels)))
    assert loss == pytest.approx(2 * jaccard_loss(predicted != labels, labels))


def test_gradient_pushes_wrong_pixels_only_and_the_weights_stand_still():
    logits, labels = jnp.array([2.0, 0.4, -3.0, -0.5]), jnp.array([True, True, False, False])
    gradient = jax.grad(lovasz_hinge)(logits, labels)
    np.testing.assert_allclose(gradient, [0, -1 / 2, 0, 1 / 6], atol=1e-7)
