"""Tests of shared layers: maths, initialisation, precision, dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.nn.blocks import Conv, Dropout, DropPath, GroupNorm, Linear, layer_norm

KEY = jax.random.key(0)


def uniform_within(values, limit):
    values = np.asarray(values)
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.9 * limit
    assert abs(values.mean()) < 0.1 * limit


def test_linear_maps_the_last_axis():
    x = jax.random.normal(KEY, (2, 3, 4))
    layer = Linear(5)
    params = jax.jit(layer.init)(KEY, x)["params"]
    expected = np.asarray(x) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])
    np.testing.assert_allclose(jax.jit(layer.apply)({"params": params}, x), expected, atol=1e-5)


def test_linear_starts_as_pytorch_does():
    params = Linear(200).init(KEY, jnp.zeros((1, 64)))["params"]
    uniform_within(params["kernel"], 1 / 8)
    uniform_within(params["bias"], 1 / 8)


def test_conv_starts_as_pytorch_does():
    params = Conv(64).init(KEY, jnp.zeros((1, 4, 4, 100)))["params"]
    uniform_within(params["kernel"], 1 / 30)
    uniform_within(params["bias"], 1 / 30)


@pytest.mark.parametrize("layer", [Linear(4, use_bias=False), Conv(4, use_bias=False)])
def test_bias_can_be_left_out(layer):
    assert set(jax.jit(layer.init)(KEY, jnp.zeros((1, 4, 4, 4)))["params"]) == {"kernel"}


@pytest.mark.parametrize(("stride", "size"), [(1, (5, 7)), (2, (3, 4))])
def test_conv_sizes_round_up(stride, size):
    x = jnp.zeros((2, 5, 7, 3))
    layer = Conv(4, 3, stride)
    assert jax.jit(layer.apply)(jax.jit(layer.init)(KEY, x), x).shape == (2, *size, 4)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_group_norm_normalises_groups_of_channels(groups, offset):
    x = jax.random.normal(KEY, (2, 3, 5, 8)) + offset
    split = np.asarray(x, np.float64).reshape(2, 15, groups, -1)
    mean, variance = split.mean((1, 3), keepdims=True), split.var((1, 3), keepdims=True)
    expected = ((split - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    layer = GroupNorm(groups)
    params = jax.jit(layer.init)(KEY, x)
    np.testing.assert_allclose(
        jax.jit(layer.apply)(params, x), expected, atol=2e-3 if offset else 1e-5
    )


def test_group_norm_applies_scale_and_bias_per_channel():
    x = jax.random.normal(KEY, (1, 4, 4, 4))
    layer = GroupNorm(2)
    plain = jax.jit(layer.apply)(jax.jit(layer.init)(KEY, x), x)
    params = {"scale": jnp.arange(4.0), "bias": jnp.arange(4.0) + 1}
    expected = np.asarray(plain) * np.arange(4) + np.arange(4) + 1
    np.testing.assert_allclose(jax.jit(layer.apply)({"params": params}, x), expected, atol=1e-5)


LOW = jnp.bfloat16


@pytest.mark.parametrize(
    "layer", [Linear(8, dtype=LOW), Conv(8, dtype=LOW), GroupNorm(2, LOW), layer_norm(LOW)]
)
def test_layers_compute_in_their_dtype_with_float32_parameters(layer):
    x = jnp.ones((1, 4, 4, 8), jnp.bfloat16)
    variables = jax.jit(layer.init)(KEY, x)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert jax.jit(layer.apply)(variables, x).dtype == jnp.bfloat16


def test_layer_norm_has_pytorchs_epsilon():
    x = 1e-3 * jnp.array([[1.0, -1.0]])
    layer = layer_norm()
    expected = 1e-3 / np.sqrt(1e-6 + 1e-5)
    np.testing.assert_allclose(
        jax.jit(layer.apply)(jax.jit(layer.init)(KEY, x), x)[0, 0], expected, rtol=1e-4
    )


@pytest.mark.parametrize("layer", [DropPath(0.5), Dropout(0.5)])
def test_nothing_is_dropped_without_a_key(layer):
    x = jnp.ones((8, 3, 3))
    np.testing.assert_array_equal(jax.jit(layer.apply)({}, x), x)


def test_drop_path_drops_whole_samples_and_scales_the_others():
    x = jnp.ones((4000, 2, 3))
    y = np.asarray(DropPath(0.2).apply({}, x, rngs={"dropout": KEY}))
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {0.0, np.float32(1.25)}
    assert abs((y[:, 0, 0] == 0).mean() - 0.2) < 0.03


def test_drop_path_of_rate_zero_does_nothing():
    x = jnp.ones((5, 2))
    np.testing.assert_array_equal(DropPath(0.0).apply({}, x, rngs={"dropout": KEY}), x)


def test_dropout_drops_single_elements():
    y = np.asarray(Dropout(0.1).apply({}, jnp.ones(20000), rngs={"dropout": KEY}))
    assert abs((y == 0).mean() - 0.1) < 0.02
    np.testing.assert_allclose(y[y > 0], 1 / 0.9, rtol=1e-6)
