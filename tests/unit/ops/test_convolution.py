"""Tests of plain and deformable convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vos_jax.ops import convolution as convolutions
from vos_jax.ops.convolution import (
    convolution,
    depthwise_convolution,
    transform_kernel,
    winograd,
)
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


@pytest.mark.parametrize("dilation", [2, 4])
@pytest.mark.parametrize("shape", [(6, 8), (3, 5), (64, 64)])
def test_dilation_is_a_kernel_with_holes(dilation, shape):
    channels = 64 if shape == (64, 64) else 3
    x, kernel = random(0, 1, *shape, channels), random(1, 3, 3, channels, channels)
    side = 2 * dilation + 1
    holes = jnp.zeros((side, side, channels, channels)).at[::dilation, ::dilation].set(kernel)
    expected = convolution(x, holes)
    np.testing.assert_allclose(convolution(x, kernel, dilation=dilation), expected, atol=1e-4)


@pytest.mark.parametrize("size, stride, dilation", [(3, 1, 1), (3, 2, 1), (5, 1, 2), (5, 2, 1)])
@pytest.mark.parametrize("shape", [(6, 8), (5, 7)])
def test_depthwise_convolution_is_one_convolution_per_channel(size, stride, dilation, shape):
    x, kernel = random(0, 2, *shape, 3), random(1, size, size, 1, 3)

    def alone(x, kernel):
        parts = [(x[..., c : c + 1], kernel[..., c : c + 1]) for c in range(3)]
        return jnp.concatenate([convolution(*part, stride, dilation) for part in parts], -1)

    def whole(x, kernel):
        return depthwise_convolution(x, kernel, stride, dilation)

    def squares(function):
        return jax.grad(lambda *operands: jnp.square(function(*operands)).sum(), (0, 1))

    np.testing.assert_allclose(whole(x, kernel), alone(x, kernel), atol=1e-5)
    for ours, theirs in zip(squares(whole)(x, kernel), squares(alone)(x, kernel), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("size, stride, dilation", [(3, 1, 1), (5, 2, 1), (5, 1, 2)])
def test_a_large_depthwise_kernel_is_taken_in_parts(size, stride, dilation, monkeypatch):
    """Of which every one has its own channels: the shuffled ones are shuffled in the result."""
    x, kernel = random(0, 2, 6, 5, 256), random(1, size, size, 1, 256)
    order = np.random.default_rng(0).permutation(256)
    whole = depthwise_convolution(x, kernel, stride, dilation)
    monkeypatch.setattr(convolutions, "LARGE_KERNEL", 100)
    parts = depthwise_convolution(x, kernel, stride, dilation)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    shuffled = depthwise_convolution(x[..., order], kernel[..., order], stride, dilation)
    np.testing.assert_allclose(shuffled, parts[..., order], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (4, 8), (7, 18), (33, 61)])
@pytest.mark.parametrize("batch", [1, 3])
def test_winograd_is_the_plain_convolution(shape, batch):
    x, kernel = random(0, batch, *shape, 5), random(1, 3, 3, 5, 2)
    np.testing.assert_allclose(
        winograd(x, transform_kernel(kernel)), convolution(x, kernel), atol=2e-5
    )


def test_large_convolutions_have_the_gradients_of_plain_ones():
    """And compute them without differentiating `winograd`, which loops over strips."""
    x, kernel = random(0, 1, 64, 64, 64), random(1, 3, 3, 64, 64) / 24
    cotangent = random(2, 1, 64, 64, 64)

    def gradients(function):
        return jax.grad(lambda x, kernel: jnp.vdot(function(x, kernel), cotangent), (0, 1))

    def plain(x, kernel):
        """Two halves of the rows, each too small for `winograd`."""
        halves = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
        parts = [convolution(halves[:, top : top + 34], kernel) for top in (0, 32)]
        return jnp.concatenate([part[:, 1:-1] for part in parts], axis=1)

    large = jax.jit(gradients(convolution)).lower(x, kernel).compile()
    assert "while" in jax.jit(convolution).lower(x, kernel).compile().as_text()
    backward = jax.jit(lambda *args: jax.vjp(convolution, x, kernel)[1](*args))
    assert "while" not in backward.lower(cotangent).compile().as_text()
    pairs = zip(large(x, kernel), jax.jit(gradients(plain))(x, kernel), strict=True)
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, atol=2e-3)


@pytest.mark.parametrize(("height", "width", "channels"), [(80, 70, 64), (30, 54, 256)])
def test_large_convolutions_are_accurate_and_take_winograd_on_a_cpu(height, width, channels):
    x = random(0, 1, height, width, channels)
    kernel = random(1, 3, 3, channels, channels) / (3 * channels**0.5)
    exact = np.zeros(x.shape)
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i, j in np.ndindex(3, 3):
        exact += padded[:, i : i + height, j : j + width] @ np.asarray(kernel[i, j], np.float64)
    found = jax.jit(convolution)(x, kernel)
    np.testing.assert_allclose(found, exact, atol=3e-5)
    np.testing.assert_array_equal(found, jax.jit(winograd)(x, transform_kernel(kernel)))


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
