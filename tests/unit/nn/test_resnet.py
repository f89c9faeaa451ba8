"""ResNets up to stride 16, and the choice of an image encoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.nn.blocks import EPSILON
from vos_jax.nn.resnet import UNTRAINED, FrozenBatchNorm, image_encoder
from vos_jax.training.optimisers import named, paths

BOTTLENECK, BASIC = {4: 256, 8: 512, 16: 1024}, {4: 64, 8: 128, 16: 256}
SMALL = {4: 32, 8: 32, 16: 32}


def encoder(backbone, **options):
    return image_encoder(backbone, 32, **options)


def shapes(module, channels=3, size=(64, 96)):
    images = jax.ShapeDtypeStruct((2, *size, channels), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    return variables["params"], jax.eval_shape(module.apply, variables, images)


@functools.cache
def drawn(backbone, channels=3, conv_bias=False):
    module = encoder(backbone, conv_bias=conv_bias)
    images = jax.random.normal(jax.random.key(1), (2, 32, 48, channels))
    return module, jax.jit(module.init)(jax.random.key(0), images), images


@pytest.mark.parametrize(
    "backbone, widths", [("resnet50", BOTTLENECK), ("resnet18", BASIC), ("small", SMALL)]
)
@pytest.mark.parametrize("channels", [3, 5])
@pytest.mark.parametrize("size", [(64, 96), (50, 73)])
def test_maps_have_their_strides_and_channels(backbone, widths, channels, size):
    _, maps = shapes(encoder(backbone), channels, size)
    wanted = {s: (2, -(-size[0] // s), -(-size[1] // s), c) for s, c in widths.items()}
    assert {stride: x.shape for stride, x in maps.items()} == wanted


@pytest.mark.parametrize(
    "backbone, channels, conv_bias, count",
    [
        ("resnet50", 3, False, 8_543_296),
        ("resnet50", 5, True, 8_564_864),
        ("resnet50", 4, True, 8_561_728),
        ("resnet18", 5, True, 2_791_296),
    ],
)
def test_parameters_that_train_are_as_many_as_the_official_ones(
    backbone, channels, conv_bias, count
):
    params, _ = shapes(encoder(backbone, conv_bias=conv_bias), channels)
    statistics = tuple(pattern.removeprefix("*") for pattern in UNTRAINED)
    leaves = zip(paths(params), jax.tree.leaves(params), strict=True)
    assert sum(x.size for path, x in leaves if not path.endswith(statistics)) == count


def test_frozen_norm_normalises_by_what_is_stored():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 3, 4, 5)), jnp.float32)
    values = {name: rng.uniform(0.5, 2, 5) for name in ("scale", "bias", "mean", "variance")}
    module = FrozenBatchNorm()
    y = module.apply({"params": {k: jnp.asarray(v, jnp.float32) for k, v in values.items()}}, x)
    spread = np.sqrt(values["variance"] + EPSILON)
    want = (x - values["mean"]) / spread * values["scale"] + values["bias"]
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


def test_frozen_norm_starts_as_the_identity_and_keeps_its_statistics():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 4, 5)), jnp.float32)
    module = FrozenBatchNorm()
    variables = module.init(jax.random.key(0), x)
    np.testing.assert_allclose(module.apply(variables, x), x / np.sqrt(1 + EPSILON), rtol=1e-6)
    grads = jax.grad(lambda v: jnp.square(module.apply(v, x) + 1).sum())(variables)["params"]
    assert not np.any(grads["mean"]) and not np.any(grads["variance"])
    assert np.all(np.abs(grads["scale"]) > 1) and np.all(np.abs(grads["bias"]) > 1)


@pytest.mark.parametrize("conv_bias", [False, True])
def test_gradients_reach_all_but_the_statistics(conv_bias):
    module, variables, images = drawn("resnet18", 5, conv_bias)

    def objective(variables):
        return sum(jnp.square(x).mean() for x in module.apply(variables, images).values())

    grads = jax.jit(jax.grad(objective))(variables)["params"]
    reached = jax.tree.map(lambda x: bool(np.any(x)), grads)
    frozen = named(grads, lambda path: path.endswith(("/mean", "/variance")))
    assert jax.tree.leaves(jax.tree.map(lambda a, b: a != b, reached, frozen)) == [True] * len(
        jax.tree.leaves(grads)
    )


@pytest.mark.parametrize("backbone", ["resnet18", "small"])
def test_images_of_a_batch_are_independent(backbone):
    module, variables, images = drawn(backbone)
    apply = jax.jit(module.apply)
    together, alone = apply(variables, images), apply(variables, images[1:])
    for stride, maps in together.items():
        np.testing.assert_allclose(maps[1:], alone[stride], atol=1e-4)
        assert np.abs(maps[0] - maps[1]).max() > 1e-3


def test_zero_padding_and_stride_begin_at_the_first_pixel():
    """A change of the last row and column moves no cell that does not see it."""
    module, variables, images = drawn("resnet18")
    apply = jax.jit(module.apply)
    changed = apply(variables, images.at[:, -1, -1].add(1.0))
    plain = apply(variables, images)
    np.testing.assert_array_equal(changed[4][:, 0, 0], plain[4][:, 0, 0])
    assert np.any(changed[4][:, -1, -1] != plain[4][:, -1, -1])


def test_unknown_backbone_is_named():
    with pytest.raises(ConfigError, match="model.backbone='vgg'.*'resnet50'"):
        encoder("vgg")
