"""Kernels that are transformed once, before a video, instead of at every frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.geometry import Geometry
from vos_jax.nn.blocks import FACTORS, Conv
from vos_jax.nn.mask_decoder import JoinedConv
from vos_jax.systems import registry
from vos_jax.systems.variables import inference_variables
from vos_jax.systems.vishv.decoders import Unit

KEY = jax.random.key(0)
LARGE, SMALL = (1, 64, 64, 64), (1, 32, 32, 64)


def factors_of(layer, params, *maps):
    return layer.apply({"params": params}, *maps, mutable=[FACTORS])[1].get(FACTORS, {})


@pytest.mark.parametrize("layer, count", [(Conv(64), 1), (JoinedConv(64), 2)])
def test_transformed_kernels_are_taken_and_change_nothing(layer, count):
    maps = [jax.random.normal(KEY, LARGE)] * count
    params = jax.jit(layer.init)(KEY, *maps)["params"]
    factors = jax.jit(lambda params: factors_of(layer, params, *maps))(params)
    assert set(factors) == {"kernel"} if count == 1 else {"kernel_0", "kernel_1"}
    apply = jax.jit(layer.apply)
    plain = apply({"params": params}, *maps)
    np.testing.assert_allclose(apply({"params": params, FACTORS: factors}, *maps), plain, atol=1e-5)
    doubled = jax.tree.map(lambda x: 2 * x, factors)
    taken = apply({"params": params, FACTORS: doubled}, *maps)
    bias = params["bias"]
    np.testing.assert_allclose(taken - bias, 2 * (plain - bias), atol=1e-4)


def test_frames_of_a_clip_count_together_and_take_them():
    unit, clip = Unit(128, 32, pooled=False), jax.random.normal(KEY, (1, 7, 16, 16, 128))
    params = jax.jit(unit.init)(KEY, clip)["params"]
    factors = jax.jit(lambda params: factors_of(unit, params, clip))(params)
    assert set(factors) == {f"kernel_{number}" for number in range(4)}
    assert {kernel.shape for kernel in factors.values()} == {(36, 128, 128)}
    assert factors_of(unit, params, clip[:, :4]) == {}
    apply = jax.jit(unit.apply)
    plain = apply({"params": params}, clip)
    np.testing.assert_allclose(apply({"params": params, FACTORS: factors}, clip), plain, atol=1e-4)
    nothing = jax.tree.map(jnp.zeros_like, factors)
    assert not np.allclose(apply({"params": params, FACTORS: nothing}, clip), plain, atol=0.1)


def test_kernels_for_several_maps_differ():
    layer, maps = JoinedConv(64), [jnp.ones(LARGE), jnp.ones(LARGE)]
    factors = factors_of(layer, layer.init(KEY, *maps)["params"], *maps)
    assert not np.allclose(factors["kernel_0"], factors["kernel_1"])


@pytest.mark.parametrize("size, options", [(LARGE, {"stride": 2}), (SMALL, {})])
def test_other_convolutions_have_none(size, options):
    layer, x = Conv(64, **options), jnp.ones(size)
    assert factors_of(layer, layer.init(KEY, x)["params"], x) == {}


def test_initialising_leaves_parameters_alone():
    assert set(jax.eval_shape(Conv(64).init, KEY, jnp.ones(LARGE))) == {"params"}


@pytest.mark.parametrize("side, some", [(256, True), (128, False)])
def test_videos_have_them_where_their_maps_are_large(side, some):
    system = registry.build("stcn", backbone="small", channels=64, decoder_channels=(64, 64))
    params = jax.eval_shape(lambda: registry.initialise("stcn", system, KEY))
    size = Geometry.unchanged((side, side))
    made = jax.eval_shape(lambda p: inference_variables(p, system=system, geometry=size), params)
    found = jax.tree.leaves(made.get(FACTORS, {}))
    assert bool(found) == some
    assert all(leaf.shape[0] == 36 for leaf in found)
    assert made["params"].keys() == params.keys()
