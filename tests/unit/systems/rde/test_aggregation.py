"""Tests of RDE's aggregation module against plain NumPy and the 3-D convolutions it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.rde.aggregation import (
    DILATIONS,
    AggregationModule,
    AtrousPyramid,
    Branch,
    NonLocal,
    SqueezeExcitation,
    instance_norm,
)
from vos_jax.systems.rde.weights import SQUEEZE

KEY = jax.random.key(0)


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def drawn(module, *inputs):
    """Random parameters of a module, as NumPy arrays."""
    return jax.tree.map(np.asarray, jax.jit(module.init)(KEY, *inputs)["params"])


def applied(module, params, *inputs):
    return np.asarray(jax.jit(module.apply)({"params": params}, *inputs))


def linear(x, layer):
    return x @ layer["kernel"] + layer.get("bias", 0)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 3)])
def test_non_local_weighs_all_pooled_cells_without_softmax(size):
    x = random(0, 2, 2, *size, 8)
    params = drawn(NonLocal(), x)
    rows, columns = (side // 2 for side in size)

    def pooled(x):
        x = x[:, :, : 2 * rows, : 2 * columns]
        return x.reshape(2, 2, rows, 2, columns, 2, -1).max((3, 5)).reshape(2, -1, 4)

    theta = linear(x, params["theta"]).reshape(2, -1, 4)
    phi, g = (pooled(linear(x, params[name])) for name in ("phi", "g"))
    likeness = theta @ phi.swapaxes(1, 2) / (2 * rows * columns)
    expected = x + linear((likeness @ g).reshape(*x.shape[:4], 4), params["project"])
    np.testing.assert_allclose(applied(NonLocal(), params, x), expected, atol=1e-5)


def test_non_local_of_a_map_too_small_to_pool_adds_the_bias():
    x = random(0, 1, 2, 1, 3, 8)
    params = drawn(NonLocal(), x)
    expected = x + params["project"]["bias"]
    np.testing.assert_allclose(applied(NonLocal(), params, x), expected, atol=1e-6)


def test_instance_norm_is_over_both_frames_and_all_cells():
    x = 3 * random(0, 2, 2, 3, 4, 5) + 7
    y = np.asarray(instance_norm(x))
    np.testing.assert_allclose(y.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2, 3)), 1, atol=1e-3)
    assert np.abs(y.mean((2, 3))).max() > 0.01


def test_squeeze_excitation_weighs_channels_of_each_frame():
    x = random(0, 2, 2, 3, 4, 8)
    module = SqueezeExcitation()
    params = drawn(module, x)

    def norm(x):
        centred = x - x.mean((1, 2, 3), keepdims=True)
        return centred / np.sqrt(x.var((1, 2, 3), keepdims=True) + 1e-5)

    def conv(x, layer):
        frames = x.reshape(-1, *x.shape[2:])
        padded = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        y = np.einsum("nyxcij,ijcf->nyxf", windows, layer["kernel"]) + layer["bias"]
        return y.reshape(*x.shape[:4], -1)

    y = norm(conv(np.maximum(norm(conv(x, params["conv1"])), 0), params["conv2"]))
    means = np.stack([y[:, t, :, :, c].mean((1, 2)) for c in range(8) for t in range(2)], -1)
    gate = linear(np.maximum(linear(means, params["fc1"]), 0), params["fc2"])
    gate = (1 / (1 + np.exp(-gate))).reshape(2, 8, 2)
    for t in range(2):
        y[:, t] *= gate[:, None, None, :, t]
    expected = np.maximum(x + norm(y), 0)
    np.testing.assert_allclose(applied(module, params, x), expected, atol=1e-4)


@pytest.mark.parametrize("number", range(1, 5))
def test_pyramid_branches_look_as_far_as_their_dilation(number):
    """Which cells of the result an input cell reaches, through one branch and the 3x3 after it."""
    x = np.ones((1, 17, 17, 8), np.float32)
    params = jax.tree.map(np.abs, drawn(AtrousPyramid(), x))
    for other in set(range(1, 5)) - {number}:
        params[f"branch_{other}"]["kernel"][:] = 0
    moved = x.copy()
    moved[0, 8, 8] += 1
    change = applied(AtrousPyramid(), params, moved) - applied(AtrousPyramid(), params, x)
    reached = set(np.argwhere(np.abs(change[0]).max(-1) > 1e-6)[:, 0].tolist())
    step = (0, *DILATIONS)[number - 1]
    taps = {8 - step, 8, 8 + step}
    assert reached == {row + near for row in taps for near in (-1, 0, 1)}


@pytest.mark.parametrize("repeat", [0, 1])
def test_branch_adds_the_pyramid_of_each_frame(repeat):
    x = random(0, 1, 2, 4, 5, 8)
    module = Branch(repeat)
    params = drawn(module, x)
    y = applied(NonLocal(), params["non_local"], x)
    for number in range(repeat):
        y = applied(SqueezeExcitation(), params[f"se_block_{number}"], y)
    each = [applied(AtrousPyramid(), params["pyramid"], y[:, t]) for t in range(2)]
    np.testing.assert_allclose(applied(module, params, x), y + np.stack(each, axis=1), atol=1e-5)


def test_squeeze_is_a_convolution_over_both_frames():
    keys, values = random(0, 1, 2, 4, 5, 8), random(1, 3, 2, 4, 5, 12)
    module = AggregationModule(key_channels=8, value_channels=12)
    params = drawn(module, keys, values)
    squeezed = jax.jit(module.apply)({"params": params}, keys, values)
    for x, name, result in zip((keys, values), ("key", "value"), squeezed, strict=True):
        y = applied(Branch(), params[f"{name}_branch"], x)
        layer = params[f"squeeze_{name}"]
        expected = jax.lax.conv_general_dilated(
            y,
            SQUEEZE.backward(layer["kernel"]),
            (1, 1, 1),
            ((0, 0), (1, 1), (1, 1)),
            dimension_numbers=("NDHWC", "OIDHW", "NDHWC"),
        )
        assert result.shape == (len(x), 4, 5, x.shape[-1])
        np.testing.assert_allclose(result, expected[:, 0] + layer["bias"], atol=1e-5)


def test_half_precision_is_near_single():
    keys, values = random(0, 1, 2, 4, 5, 8), random(1, 1, 2, 4, 5, 16)
    module = AggregationModule(8, 16)
    params = drawn(module, keys, values)
    half = AggregationModule(8, 16, dtype=jnp.bfloat16)
    pairs = zip(
        *(jax.jit(m.apply)({"params": params}, keys, values) for m in (module, half)), strict=True
    )
    for single, rough in pairs:
        assert rough.dtype == jnp.bfloat16
        np.testing.assert_allclose(rough.astype(jnp.float32), single, atol=0.1)
