"""Tests of plain and deformable convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vos_jax.ops.convolution import convolution, winograd
from vos_jax.ops.deformable_convolution import deformable_convolution


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def by_hand(x, offsets, kernel, bias):
    """Loops over pixels, taps and neighbours."""
    x, offsets, kernel, bias = (np.asarray(array) for array in (x, offsets, kernel, bias))
    b, height, width, _ = x.shape
    out = np.zeros((b, height, width, kernel.shape[-1])) + bias
    for v, y, z, tap in np.ndindex(b, height, width, 9):
        row = y - 1 + tap // 3 + offsets[v, y, z, 2 * tap]
        column = z - 1 + tap % 3 + offsets[v, y, z, 2 * tap + 1]
        for i in (int(np.floor(row)), int(np.floor(row)) + 1):
            for j in (int(np.floor(column)), int(np.floor(column)) + 1):
                if 0 <= i < height and 0 <= j < width:
                    weight = (1 - abs(row - i)) * (1 - abs(column - j))
                    out[v, y, z] += weight * x[v, i, j] @ kernel[tap // 3, tap % 3]
    return out


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(6, 8), (5, 7)])
def test_convolution_sums_over_the_kernel(size, stride, shape):
    x, kernel = random(0, 2, *shape, 3), random(1, size, size, 3, 4)
    half = size // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    expected = np.einsum("byxcij,ijcf->byxf", windows[:, ::stride, ::stride], kernel)
    np.testing.assert_allclose(convolution(x, kernel, stride), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (4, 8), (7, 18), (33, 61)])
@pytest.mark.parametrize("batch", [1, 3])
def test_winograd_is_the_plain_convolution(shape, batch):
    x, kernel = random(0, batch, *shape, 5), random(1, 3, 3, 5, 2)
    np.testing.assert_allclose(winograd(x, kernel), convolution(x, kernel), atol=2e-5)


def test_winograd_has_the_gradients_of_the_plain_convolution():
    x, kernel, cotangent = random(0, 2, 9, 6, 3), random(1, 3, 3, 3, 4), random(2, 2, 9, 6, 4)
    fast, plain = (
        jax.grad(lambda x, kernel, f=f: jnp.vdot(f(x, kernel), cotangent), (0, 1))(x, kernel)
        for f in (winograd, convolution)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), fast, plain)


def test_large_convolutions_are_accurate_and_take_winograd_on_a_cpu():
    x, kernel = random(0, 1, 80, 70, 64), random(1, 3, 3, 64, 64) / 24
    exact = np.zeros(x.shape)
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i, j in np.ndindex(3, 3):
        exact += padded[:, i : i + 80, j : j + 70] @ np.asarray(kernel[i, j], np.float64)
    found = jax.jit(convolution)(x, kernel)
    np.testing.assert_allclose(found, exact, atol=3e-5)
    np.testing.assert_array_equal(found, jax.jit(winograd)(x, kernel))


@pytest.mark.parametrize("spread", [0.0, 0.7, 4.0, 100.0])
def test_deformable_convolution_reads_where_offsets_point(spread):
    x, kernel, bias = random(0, 2, 4, 5, 3), random(1, 3, 3, 3, 2), random(2, 2)
    offsets = spread * random(3, 2, 4, 5, 18)
    np.testing.assert_allclose(
        deformable_convolution(x, offsets, kernel, bias),
        by_hand(x, offsets, kernel, bias),
        atol=1e-4,
    )


def test_deformable_convolution_without_offsets_is_a_convolution():
    x, kernel = random(0, 1, 6, 7, 3), random(1, 3, 3, 3, 4)
    offsets = jnp.zeros((1, 6, 7, 18))
    np.testing.assert_allclose(
        deformable_convolution(x, offsets, kernel, jnp.zeros(4)), convolution(x, kernel), atol=1e-5
    )


def test_deformable_gradients_are_those_of_finite_differences():
    x, kernel, bias = random(0, 1, 3, 3, 2), random(1, 3, 3, 2, 2), random(2, 2)
    offsets = jnp.floor(2 * random(3, 1, 3, 3, 18)) + 0.5
    inputs = (x, offsets, kernel, bias)
    check_grads(
        jax.jit(deformable_convolution), inputs, order=1, modes=["rev"], atol=2e-2, rtol=2e-2
    )


def test_far_offsets_give_the_bias_and_no_gradient():
    x, kernel, bias = random(0, 1, 4, 4, 2), random(1, 3, 3, 2, 2), random(2, 2)
    offsets = jnp.full((1, 4, 4, 18), 1e6)
    out = deformable_convolution(x, offsets, kernel, bias)
    np.testing.assert_array_equal(out, np.broadcast_to(bias, out.shape))
    grad = jax.grad(lambda x: deformable_convolution(x, offsets, kernel, bias).sum())(x)
    assert not np.any(grad)


def test_deformable_convolution_keeps_low_precision():
    x = jnp.ones((1, 3, 3, 2), jnp.bfloat16)
    kernel, bias = jnp.ones((3, 3, 2, 2), jnp.bfloat16), jnp.zeros(2, jnp.bfloat16)
    offsets = jnp.zeros((1, 3, 3, 18), jnp.bfloat16)
    assert deformable_convolution(x, offsets, kernel, bias).dtype == jnp.bfloat16
