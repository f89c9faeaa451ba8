"""Attention to a memory's entries, head by head and in chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.ops import memory_read
from vos_jax.ops.attention import attend
from vos_jax.ops.memory_attention import attend_memory

BATCH, CELLS, ENTRIES, HEADS, WIDTH = 2, 5, 3, 2, 4


def drawn():
    """Queries, keys and values."""
    rng = np.random.default_rng(0)
    shapes = [(BATCH, CELLS, WIDTH), *[(BATCH, ENTRIES, CELLS, WIDTH)] * 2]
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("chunk_bytes", [64 * 2**20, 200])
def test_equals_attention_to_all_valid_cells(monkeypatch, chunk_bytes):
    """Also where only some queries fit into a chunk."""
    monkeypatch.setattr(memory_read, "CHUNK_BYTES", chunk_bytes)
    query, keys, values = drawn()
    valid = jnp.array([[True, False, True], [True, True, False]])
    found = jax.jit(lambda *a: attend_memory(*a, HEADS))(query, keys, values, valid)
    keys, values = (x.reshape(BATCH, -1, WIDTH) for x in (keys, values))
    want = attend(query, keys, values, HEADS, jnp.repeat(~valid, CELLS, axis=1))
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_empty_memory_gives_nothing():
    found = attend_memory(*drawn(), jnp.zeros((BATCH, ENTRIES), bool), HEADS)
    np.testing.assert_array_equal(found, jnp.zeros((BATCH, CELLS, WIDTH)))


def test_values_may_be_wider_than_keys():
    query, keys, values = drawn()
    wide = jnp.concatenate([values, -values], axis=-1)
    valid = jnp.ones((BATCH, ENTRIES), bool)
    found = attend_memory(query, keys, wide, valid, heads=1)
    narrow = attend_memory(query, keys, values, valid, heads=1)
    np.testing.assert_allclose(found, jnp.concatenate([narrow, -narrow], -1), atol=1e-6)


@pytest.mark.parametrize("filled", range(1, 6))
def test_free_entries_change_nothing(filled):
    """Whatever they hold, and however many there are."""
    rng = np.random.default_rng(1)
    query = jnp.asarray(rng.normal(size=(1, CELLS, WIDTH)), jnp.float32)
    keys, values = (
        jnp.asarray(rng.normal(size=(1, 5, CELLS, WIDTH)), jnp.float32) for _ in range(2)
    )
    found = _attend(query, keys, values, jnp.arange(5)[None] < filled)
    cut = keys[:, :filled].reshape(1, -1, WIDTH), values[:, :filled].reshape(1, -1, WIDTH)
    np.testing.assert_allclose(found, attend(query, *cut, HEADS), atol=1e-6)


@jax.jit
def _attend(query, keys, values, valid):
    return attend_memory(query, keys, values, valid, HEADS)
