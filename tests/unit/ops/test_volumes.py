"""Convolution, pooling and enlargement of clips, against plain loops and sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.ops.volumes import average_pool, enlarge, volume_convolution


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_convolution_and_its_gradients_are_those_of_three_dimensions(frames):
    x, kernel, weight = (
        normal(seed, shape)
        for seed, shape in enumerate([(2, frames, 5, 4, 3), (3, 3, 3, 3, 2), (2, frames, 5, 4, 2)])
    )

    def plain(x, kernel):
        names = ("NDHWC", "DHWIO", "NDHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1, 1), "SAME", dimension_numbers=names)

    results = []
    for convolve in (volume_convolution, plain):
        loss = jax.jit(lambda x, k, convolve=convolve: (convolve(x, k) * weight).sum())
        results.append((convolve(x, kernel), *jax.grad(loss, argnums=(0, 1))(x, kernel)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("frames", [2, 5])
def test_pooling_counts_the_zeros_around_a_clip(frames):
    x = np.asarray(normal(0, (1, frames, 4, 3, 2)))
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (1, 1), (0, 0)])
    found = np.asarray(average_pool(jnp.asarray(x)))
    assert found.shape == (1, -(-frames // 2), 4, 3, 2)
    for t, y, c in np.ndindex(found.shape[1:4]):
        box = padded[0, 2 * t : 2 * t + 3, y : y + 3, c : c + 3].sum((0, 1, 2))
        np.testing.assert_allclose(found[0, t, y, c], box / 27, atol=1e-6)


@pytest.mark.parametrize("factors", [(1, 2), (2, 2), (1, 8)])
def test_enlargement_is_linear_in_time_and_space(factors):
    x = normal(0, (1, 3, 2, 4, 2))
    time, space = factors
    size = (1, 3 * time, 2 * space, 4 * space, 2)
    expected = jax.image.resize(x, size, "linear", antialias=False)
    np.testing.assert_allclose(enlarge(x, *factors), expected, atol=1e-6)
