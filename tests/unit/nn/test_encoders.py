"""AOT's image encoders: sizes of what they compute and of what they are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.nn.encoders import NETWORKS, SWIN_DROP_PATH, Encoder
from vos_jax.nn.mobilenet import InvertedResidual, SqueezeExcitation, round_to_8
from vos_jax.nn.resnest import ResNeStBlock
from vos_jax.nn.swin import Block

KEY = jax.random.key(0)
SIZE = (49, 81)
RESNET = (256, 512, 1024, 1024)
PUBLISHED = {
    "mobilenet_v2": ((24, 32, 96, 1280), 2_189_760),
    "mobilenet_v3": ((24, 40, 112, 960), None),
    "resnet50": (RESNET, 8_512_704),
    "resnet101": (RESNET, 27_452_608),
    "resnest50": (RESNET, None),
    "resnest101": (RESNET, 29_970_208),
    "swin_base": ((128, 256, 512, 512), 59_438_456),
}
"""Channels of the four maps and parameters, those of frozen norms not counted."""


@functools.cache
def shapes(backbone):
    images = jax.ShapeDtypeStruct((2, *SIZE, 3), jnp.float32)
    module = Encoder(backbone, channels=16)
    variables = jax.eval_shape(module.init, KEY, images)
    return variables["params"], jax.eval_shape(module.apply, variables, images)


def test_all_networks_are_looked_at():
    assert set(NETWORKS) == set(PUBLISHED)


@pytest.mark.parametrize("backbone", [*PUBLISHED, "small"])
def test_maps_lie_at_strides_4_8_16_and_16(backbone):
    channels, _ = PUBLISHED.get(backbone, ((16,) * 4, None))
    grids = [tuple(-(-side // stride) for side in SIZE) for stride in (4, 8, 16, 16)]
    expected = [(2, *grid, width) for grid, width in zip(grids, channels, strict=True)]
    assert [x.shape for x in shapes(backbone)[1]] == expected


@pytest.mark.parametrize("backbone", [name for name, (_, count) in PUBLISHED.items() if count])
def test_parameters_are_as_many_as_the_official_ones(backbone):
    leaves = jax.tree_util.tree_leaves_with_path(shapes(backbone)[0])
    kept = [leaf.size for path, leaf in leaves if not any("bn" in entry.key for entry in path)]
    assert sum(kept) == PUBLISHED[backbone][1]


def test_unknown_network_is_refused_by_name():
    with pytest.raises(ConfigError, match="backbone='vgg'.*'small'.*mobilenet_v2"):
        jax.eval_shape(Encoder("vgg").init, KEY, jnp.zeros((1, 32, 32, 3)))


@pytest.mark.parametrize(
    "width, rounded", [(18.0, 24), (30.0, 32), (168.0, 168), (3.0, 8), (28.0, 32)]
)
def test_widths_are_rounded_to_8_without_losing_a_tenth(width, rounded):
    assert round_to_8(width) == rounded and round_to_8(width) >= 0.9 * width


def test_squeezing_scales_channels_between_none_and_all():
    x = jax.random.normal(KEY, (2, 3, 4, 16))
    module = SqueezeExcitation()
    params = jax.jit(module.init)(KEY, x)["params"]
    params["fc2"]["kernel"] = jnp.zeros_like(params["fc2"]["kernel"])
    params["fc2"]["bias"] = jnp.linspace(-4, 4, 16)
    factors = np.clip(np.linspace(-4, 4, 16) + 3, 0, 6) / 6
    np.testing.assert_allclose(jax.jit(module.apply)({"params": params}, x), x * factors, atol=1e-6)


@pytest.mark.parametrize("stride, features, added", [(1, 8, True), (2, 8, False), (1, 6, False)])
def test_inverted_residuals_add_their_input_where_shapes_allow(stride, features, added):
    x = jax.random.normal(KEY, (1, 4, 6, 8))
    module = InvertedResidual(16, features, stride=stride)
    params = jax.jit(module.init)(KEY, x)["params"]
    params["project"]["kernel"] = jnp.zeros_like(params["project"]["kernel"])
    y = jax.jit(module.apply)({"params": params}, x)
    np.testing.assert_array_equal(y, x if added else np.zeros_like(y))


def test_resnest_shortcut_averages_only_the_pixels_that_exist():
    x = jax.random.normal(KEY, (1, 3, 5, 8))
    module = ResNeStBlock(4, 2)
    params = jax.jit(module.init)(KEY, x)["params"]
    params["conv3"]["kernel"] = jnp.zeros_like(params["conv3"]["kernel"])
    params["shortcut"]["kernel"] = jnp.eye(8, 16)[None, None]
    y = np.asarray(jax.jit(module.apply)({"params": params}, x))
    rows, columns = ((0, 2), (2, 3)), ((0, 2), (2, 4), (4, 5))
    for i, j in np.ndindex(2, 3):
        mean = np.asarray(x)[0, slice(*rows[i]), slice(*columns[j])].mean((0, 1))
        expected = np.maximum(mean, 0) / np.sqrt(1 + 1e-5)
        np.testing.assert_allclose(y[0, i, j, :8], expected, atol=1e-6)


def test_swin_drops_as_the_full_model_does_and_nothing_in_its_first_stage(monkeypatch):
    rates = []
    monkeypatch.setattr(Block, "__call__", lambda self, x: (rates.append(self.drop_path), x)[1])
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    jax.eval_shape(Encoder("swin_base").init, KEY, images)
    full = np.linspace(0, SWIN_DROP_PATH, 24)[:22]
    np.testing.assert_allclose(rates, [0, 0, *full[2:]], atol=1e-12)
