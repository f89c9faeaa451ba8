"""The decoder of space-time memories: joined maps, objects apart, work that is shared."""

import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.nn.blocks import Conv
from vos_jax.nn.mask_decoder import JoinedConv, MaskDecoder, ResidualBlock, over_objects

WIDTH = (12, 8)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def inputs(batch=2, objects=3, cells=(3, 4), width=7):
    y, x = cells
    readout = normal(0, batch, objects, y, x, width)
    frame = normal(1, batch, y, x, width)
    return readout, frame, normal(2, batch, 2 * y, 2 * x, 7), normal(3, batch, 4 * y, 4 * x, 5)


@functools.cache
def decoder(refined):
    module = MaskDecoder(WIDTH, refined=refined)
    variables = jax.jit(module.init)(jax.random.key(0), *inputs())
    return jax.jit(functools.partial(module.apply, variables)), variables


@pytest.mark.parametrize("widths", [(4,), (4, 3), (2, 5, 3), (4, 2)])
@pytest.mark.parametrize("module, plain", [(JoinedConv(6), Conv(6)), (ResidualBlock(6), None)])
def test_joined_maps_are_one_concatenated_map(module, plain, widths):
    maps = [normal(number, 2, 5, 6, width) for number, width in enumerate(widths)]
    variables = module.init(jax.random.key(0), *maps)
    joined = module.apply(variables, *maps)
    whole = (plain or module).apply(variables, jnp.concatenate(maps, axis=-1))
    np.testing.assert_allclose(joined, whole, atol=1e-5)


@pytest.mark.parametrize("objects", [1, 2, 4])
def test_a_map_of_videos_stands_for_all_their_objects(objects):
    own, shared = normal(0, 3 * objects, 5, 6, 4), normal(1, 3, 5, 6, 2)
    module = JoinedConv(6)
    variables = module.init(jax.random.key(0), own, shared)
    repeated = jnp.repeat(shared, objects, axis=0)
    once, each = module.apply(variables, own, shared), module.apply(variables, own, repeated)
    np.testing.assert_allclose(once, each, atol=1e-5)
    assert over_objects(own, len(own)) is own


def test_residual_block_without_change_of_channels_has_no_shortcut():
    x = normal(0, 2, 5, 6, 4)
    variables = ResidualBlock(4).init(jax.random.key(0), x)
    assert set(variables["params"]) == {"conv1", "conv2"}
    silent = jax.tree.map(jnp.zeros_like, variables)
    np.testing.assert_array_equal(ResidualBlock(4).apply(silent, x), x)
    assert "shortcut" in ResidualBlock(5).init(jax.random.key(0), x)["params"]


def test_residual_block_is_its_formula():
    x = normal(0, 1, 5, 6, 4)
    module = ResidualBlock(3)
    variables = module.init(jax.random.key(0), x)
    parts = variables["params"]

    def conv(name, x):
        return Conv(3).apply({"params": parts[name]}, x)

    branch = conv("conv2", jax.nn.relu(conv("conv1", jax.nn.relu(x))))
    np.testing.assert_allclose(module.apply(variables, x), conv("shortcut", x) + branch, atol=1e-5)


@pytest.mark.parametrize("refined", [False, True])
def test_each_object_is_decoded_as_if_it_were_alone(refined):
    apply, _ = decoder(refined)
    readout, *frame = inputs()
    logits = apply(readout, *frame)
    assert logits.shape == (2, 12, 16, 3)
    for number in range(3):
        alone = apply(readout[:, number : number + 1], *frame)
        np.testing.assert_allclose(logits[..., number], alone[..., 0], atol=1e-5)
    turned = apply(readout[:, ::-1], *frame)
    np.testing.assert_allclose(turned, logits[..., ::-1], atol=1e-5)
    assert np.abs(logits[..., 0] - logits[..., 1]).max() > 1e-2


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_every_input_counts(refined, part):
    apply, _ = decoder(refined)
    changed = list(inputs())
    plain = apply(*changed)
    changed[part] = changed[part] + 0.1
    assert np.abs(apply(*changed) - plain).max() > 1e-3


@pytest.mark.parametrize("refined, count", [(True, 24_780_033), (False, 18_880_257)])
def test_official_sizes_have_the_official_number_of_parameters(refined, count):
    maps = [
        jax.ShapeDtypeStruct(shape, jnp.float32)
        for shape in (
            (1, 2, 4, 5, 512),
            (1, 4, 5, 512),
            (1, 8, 10, 512),
            (1, 16, 20, 256),
        )
    ]
    params = jax.eval_shape(MaskDecoder(refined=refined).init, jax.random.key(0), *maps)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def convolutions(jaxpr):
    """Shapes of the left operands of all convolutions, inner jaxprs included."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation.invars[0].aval.shape
        for inner in equation.params.values():
            if isinstance(inner, jax.extend.core.ClosedJaxpr):
                yield from convolutions(inner.jaxpr)


@pytest.mark.parametrize("refined, shared", [(False, 4), (True, 8)])
def test_what_depends_on_the_frame_alone_is_computed_once(refined, shared):
    """Two skips, each refined by two more convolutions, and two parts of the first block."""
    _, variables = decoder(refined)
    module = MaskDecoder(WIDTH, refined=refined)
    jaxpr = jax.make_jaxpr(module.apply)(variables, *inputs(batch=1, objects=5)).jaxpr
    batches = [shape[0] for shape in convolutions(jaxpr)]
    assert sorted(set(batches)) == [1, 5]
    assert batches.count(1) == shared
