"""Tests of computing maps strip by strip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.nn.swin import Block
from vos_jax.ops import strips as module
from vos_jax.ops.strips import strips
from vos_jax.systems.hodor.decoder import DecoderLayer


def block(batch, shift):
    """A block, its parameters and a map of 15x16 cells."""
    x = jax.random.normal(jax.random.key(0), (batch, 15, 16, 8))
    network = Block(heads=2, window=7, shift=shift, drop_path=0.5)
    return network, network.init(jax.random.key(1), x), x


def run(network, variables, x, **rngs):
    """Output and gradient of a block."""

    def total(variables, x):
        out = network.apply(variables, x, rngs=rngs)
        return jnp.sum(jnp.sin(out)), out

    (_, out), grads = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(variables, x)
    return out, grads


@pytest.fixture
def tiny_cache(monkeypatch):
    """Makes even small maps be split."""
    return lambda: [monkeypatch.setattr(module, name, 1) for name in ("CACHE", "LARGE")]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("training", [False, True])
def test_strips_change_nothing(tiny_cache, batch, shift, training):
    rngs = {"dropout": jax.random.key(2)} if training else {}
    parts = block(batch, shift)
    whole = run(*parts, **rngs)
    tiny_cache()
    split = run(*parts, **rngs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5), split, whole)


def test_a_split_block_is_a_loop(tiny_cache):
    network, variables, x = block(1, 3)
    assert "scan" not in str(jax.make_jaxpr(network.apply)(variables, x))
    tiny_cache()
    assert "scan" in str(jax.make_jaxpr(network.apply)(variables, x))


def test_split_blocks_have_the_same_parameters(tiny_cache):
    network, variables, x = block(1, 3)
    tiny_cache()
    again = network.init(jax.random.key(1), x)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


@pytest.mark.parametrize("rows", [1, 7, 18, 120])
@pytest.mark.parametrize("times", [0.5, 1, 3, 100])
def test_strips_are_equal_and_fit_if_they_can(rows, times):
    size = int(times * module.LARGE)
    count = strips(rows, size)
    assert rows % count == 0
    if size < module.LARGE:
        assert count == 1
    else:
        assert size <= count * module.CACHE or count == rows


def test_accelerators_get_whole_maps(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert strips(100, 100 * module.LARGE) == 1


def test_a_split_decoder_layer_changes_nothing(tiny_cache):
    layer = DecoderLayer(heads=2, hidden=8, deformable=True, groups=2, dropout=0.1)
    x = jax.random.normal(jax.random.key(0), (2, 6, 5, 8))
    positions, embedding = x[0] + 1, jnp.ones((3, 8))
    descriptors = jax.random.normal(jax.random.key(1), (2, 4, 3, 8))
    ignored = jnp.arange(24).reshape(2, 12) % 5 == 0
    others = positions, descriptors, embedding, 2, ignored
    variables = layer.init(jax.random.key(2), x, *others)
    whole = layer.apply(variables, x, *others)
    tiny_cache()
    np.testing.assert_allclose(layer.apply(variables, x, *others), whole, atol=1e-5)
