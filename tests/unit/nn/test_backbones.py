"""Tests of Swin, the feature pyramid, the small backbone and the position map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.nn.pyramid import FeaturePyramid, SwinPyramid
from vos_jax.nn.small_backbone import SmallBackbone
from vos_jax.nn.swin import (
    VARIANTS,
    Swin,
    WindowAttention,
    from_windows,
    relative_position_index,
    shift_regions,
    swin,
    to_windows,
)

KEY = jax.random.key(0)
TINY = {"width": 8, "depths": (2, 1), "heads": (2, 4), "window": 3}


@pytest.mark.parametrize("window", [2, 7])
def test_relative_position_index_follows_its_formula(window):
    index = relative_position_index(window)
    side = 2 * window - 1
    for i, j in np.ndindex(index.shape):
        (row_i, column_i), (row_j, column_j) = divmod(i, window), divmod(j, window)
        expected = (row_i - row_j + window - 1) * side + column_i - column_j + window - 1
        assert index[i, j] == expected
    assert index.max() == side * side - 1


@pytest.mark.parametrize("size", [(6, 9), (3, 3)])
def test_windows_can_be_put_back(size):
    x = jnp.arange(2.0 * size[0] * size[1] * 4).reshape(2, *size, 4)
    windows = to_windows(x, 3)
    assert windows.shape == (2 * size[0] * size[1] // 9, 9, 4)
    np.testing.assert_array_equal(windows[0], x[0, :3, :3].reshape(9, 4))
    np.testing.assert_array_equal(from_windows(windows, 3, *size), x)


def test_shift_regions_separate_what_was_rolled_together():
    regions = shift_regions(14, 14, 7, 3)
    assert len(np.unique(regions[0])) == 1
    assert len(np.unique(regions[3])) == 4
    last = regions[3].reshape(7, 7)
    assert last[3, 0] == last[0, 0] and last[4, 0] != last[3, 0]


def test_shift_regions_of_a_single_window_still_differ():
    assert len(np.unique(shift_regions(7, 7, 7, 3))) == 4


def attention_by_hand(module, params, x):
    """Attends window by window, with explicit loops over heads and pairs."""
    window, heads = module.window, module.heads
    c = x.shape[-1]
    x = np.asarray(x)
    out = np.zeros_like(x)
    weights = {name: np.asarray(params[name]["kernel"]) for name in ("qkv", "proj")}
    index = relative_position_index(window)
    table = np.asarray(params["relative_position_bias_table"])
    for top in range(0, x.shape[1], window):
        for left in range(0, x.shape[2], window):
            tokens = np.zeros((window, window, c))
            part = x[0, top : top + window, left : left + window]
            tokens[: part.shape[0], : part.shape[1]] = part
            qkv = tokens.reshape(-1, c) @ weights["qkv"] + np.asarray(params["qkv"]["bias"])
            joined = []
            for q, k, v, head in zip(
                *(np.split(p, heads, 1) for p in np.split(qkv, 3, 1)), range(heads), strict=True
            ):
                logits = q @ k.T / np.sqrt(c // heads) + table[index, head]
                weight = np.exp(logits - logits.max(1, keepdims=True))
                joined.append(weight / weight.sum(1, keepdims=True) @ v)
            result = np.concatenate(joined, 1) @ weights["proj"] + np.asarray(
                params["proj"]["bias"]
            )
            result = result.reshape(window, window, c)[: part.shape[0], : part.shape[1]]
            out[0, top : top + window, left : left + window] = result
    return out


@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_window_attention_pads_with_unmasked_zeros(size):
    x = jax.random.normal(KEY, (1, *size, 8))
    module = WindowAttention(2, 3, 0)
    params = jax.jit(module.init)(KEY, x)["params"]
    table = params["relative_position_bias_table"]
    params["relative_position_bias_table"] = jax.random.normal(KEY, table.shape)
    expected = attention_by_hand(module, params, x)
    np.testing.assert_allclose(jax.jit(module.apply)({"params": params}, x), expected, atol=1e-5)


def test_shifted_windows_do_not_look_around_the_border():
    x = jnp.zeros((1, 6, 6, 8))
    module = WindowAttention(2, 3, 1)
    params = jax.jit(module.init)(KEY, x)

    def corner(x):
        return jax.jit(module.apply)(params, x)[0, 0, 0].sum()

    seen = np.abs(jax.jit(jax.grad(corner))(jax.random.normal(KEY, x.shape)))[0].sum(-1) > 1e-12
    assert seen[0, 0] and not seen[-1].any() and not seen[:, -1].any()
    assert seen.sum() == 1


@pytest.mark.parametrize("size", [(24, 24), (26, 37), (7, 9)])
def test_swin_maps_halve_and_round_up(size):
    module = Swin(**TINY)
    images = jnp.ones((2, *size, 3))
    maps = jax.jit(module.apply)(jax.jit(module.init)(KEY, images), images)
    height, width = -(-size[0] // 4), -(-size[1] // 4)
    assert maps[0].shape == (2, height, width, 8)
    assert maps[1].shape == (2, -(-height // 2), -(-width // 2), 16)


def test_stochastic_depth_acts_exactly_with_a_key():
    module = Swin(**TINY, drop_path=0.5)
    images = jax.random.normal(KEY, (2, 12, 12, 3))
    params = jax.jit(module.init)(KEY, images)
    plain = jax.jit(module.apply)(params, images)[1]
    np.testing.assert_array_equal(plain, jax.jit(module.apply)(params, images)[1])
    one, two = (
        jax.jit(module.apply)(params, images, rngs={"dropout": jax.random.key(seed)})[1]
        for seed in (1, 2)
    )
    assert np.abs(one - plain).max() > 1e-4 and np.abs(one - two).max() > 1e-4


def test_first_block_is_never_dropped():
    module = Swin(width=8, depths=(1,), heads=(2,), window=3, drop_path=0.9)
    images = jax.random.normal(KEY, (2, 12, 12, 3))
    params = jax.jit(module.init)(KEY, images)
    dropped = jax.jit(module.apply)(params, images, rngs={"dropout": KEY})[0]
    np.testing.assert_array_equal(dropped, jax.jit(module.apply)(params, images)[0])


@pytest.mark.parametrize(("variant", "millions"), [("tiny", 27.5), ("small", 48.8), ("base", 86.7)])
def test_published_variants_have_their_size(variant, millions):
    shapes = jax.eval_shape(swin(variant).init, KEY, jnp.zeros((1, 32, 32, 3)))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert abs(count / 1e6 - millions) < 0.1


def test_unknown_variant_is_refused():
    with pytest.raises(ConfigError, match="huge.*tiny"):
        swin("huge")
    assert set(VARIANTS) == {"tiny", "small", "base"}


@pytest.mark.parametrize("coarse", [(3, 4), (2, 3)])
def test_pyramid_adds_coarse_maps_by_nearest_enlargement(coarse):
    maps = (jnp.zeros((1, 5, 7, 3)), jax.random.normal(KEY, (1, *coarse, 2)))
    module = FeaturePyramid(4, 2)
    params = jax.jit(module.init)(KEY, maps)["params"]
    identity = jnp.zeros((3, 3, 4, 4)).at[1, 1].set(jnp.eye(4))
    for level in (0, 1):
        params[f"output_{level}"] = {"kernel": identity, "bias": jnp.zeros(4)}
        params[f"lateral_{level}"]["bias"] = jnp.zeros(4)
    fine, low = jax.jit(module.apply)({"params": params}, maps)
    lateral = np.asarray(maps[1]) @ np.asarray(params["lateral_1"]["kernel"])[0, 0]
    rows, columns = np.arange(5) * coarse[0] // 5, np.arange(7) * coarse[1] // 7
    enlarged = lateral[:, rows][:, :, columns]

    def normed(x):
        split = x.reshape(1, -1, 2, 2)
        centred = split - split.mean((1, 3), keepdims=True)
        return (centred / np.sqrt(split.var((1, 3), keepdims=True) + 1e-5)).reshape(x.shape)

    np.testing.assert_allclose(low, normed(lateral), atol=1e-4)
    np.testing.assert_allclose(fine, normed(enlarged), atol=1e-4)


def test_swin_pyramid_gives_four_strides():
    shapes = jax.eval_shape(
        lambda x: SwinPyramid().init_with_output(KEY, x)[0], jnp.zeros((2, 64, 96, 3))
    )
    assert {stride: x.shape for stride, x in shapes.items()} == {
        stride: (2, 64 // stride, 96 // stride, 256) for stride in (4, 8, 16, 32)
    }


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_small_backbone_gives_three_strides(dtype):
    module = SmallBackbone(16, 4, dtype)
    images = jax.random.normal(KEY, (2, 32, 48, 3))
    variables = jax.jit(module.init)(KEY, images)
    maps = jax.jit(module.apply)(variables, images)
    assert {stride: x.shape for stride, x in maps.items()} == {
        stride: (2, 32 // stride, 48 // stride, 16) for stride in (4, 8, 16)
    }
    assert all(x.dtype == dtype and np.isfinite(x.astype(jnp.float32)).all() for x in maps.values())
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


def test_every_parameter_of_the_small_backbone_matters():
    module = SmallBackbone(8, 4)
    images = jax.random.normal(KEY, (1, 32, 32, 3))
    params = jax.jit(module.init)(KEY, images)

    def loss(params):
        return sum(jnp.sum(x**3) for x in jax.jit(module.apply)(params, images).values())

    grads = jax.jit(jax.grad(loss))(params)
    flat = jax.tree_util.tree_leaves_with_path(grads)
    assert not [path for path, grad in flat if path[-1].key == "kernel" and not np.any(grad)]


def test_position_map_follows_its_formula():
    height, width, channels = 4, 6, 16
    result = sinusoidal_map(height, width, channels)
    assert result.shape == (height, width, channels) and result.dtype == np.float32
    for y, x, k in np.ndindex(height, width, 8):
        wave = np.sin if k % 2 == 0 else np.cos
        period = 10000 ** (2 * (k // 2) / 8)
        row = wave((y + 1) / (height + 1e-6) * 2 * np.pi / period)
        column = wave((x + 1) / (width + 1e-6) * 2 * np.pi / period)
        np.testing.assert_allclose(result[y, x, [k, 8 + k]], [row, column], atol=1e-6)
