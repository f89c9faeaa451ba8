"""Tests of STCN's value encoder: attention by hand, the frame's share computed once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.rde.value_encoder import BlockAttention, Fuser

KEY = jax.random.key(0)


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("width", [8, 32])
def test_attention_weighs_channels_then_cells(width):
    x = random(0, 2, 4, 5, width)
    module = BlockAttention()
    params = jax.tree.map(np.asarray, jax.jit(module.init)(KEY, x)["params"])
    assert params["fc1"]["kernel"].shape == (width, max(width // 16, 1))

    def gate(pooled):
        hidden = np.maximum(pooled @ params["fc1"]["kernel"] + params["fc1"]["bias"], 0)
        return hidden @ params["fc2"]["kernel"] + params["fc2"]["bias"]

    y = x * sigmoid(gate(x.mean((1, 2))) + gate(x.max((1, 2))))[:, None, None]
    pooled = np.pad(np.stack([y.max(-1), y.mean(-1)], -1), ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(pooled, (7, 7), (1, 2))
    cells = np.einsum("nyxcij,ijcf->nyxf", windows, params["spatial"]["kernel"])
    expected = y * sigmoid(cells + params["spatial"]["bias"])
    np.testing.assert_allclose(jax.jit(module.apply)({"params": params}, x), expected, atol=1e-5)


def test_frame_is_joined_to_each_of_its_objects():
    """Two videos of three objects: the same as with the frame's map repeated."""
    own, frame = random(0, 6, 3, 4, 5), random(1, 2, 3, 4, 7)
    module = Fuser(8)
    params = jax.jit(module.init)(KEY, own, frame)
    shared = jax.jit(module.apply)(params, own, frame)
    repeated = jax.jit(module.apply)(params, own, np.repeat(frame, 3, axis=0))
    assert shared.shape == (6, 3, 4, 8)
    np.testing.assert_allclose(shared, repeated, atol=1e-5)
    swapped = jax.jit(module.apply)(params, own, frame[::-1])
    assert jnp.abs(shared - swapped).max() > 0.01
