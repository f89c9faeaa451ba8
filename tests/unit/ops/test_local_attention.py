"""Window attention: the plain form, the form made of tiles, and what both must hold."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.ops.local_attention import (
    local_attention,
    local_weights,
    plain_local_attention,
)

SHAPES = {
    "several_tiles": (1, 11, 9, 1, 4, 6, 1),
    "smaller_than_the_window": (2, 3, 5, 2, 3, 3, 2),
    "exact_tiles": (1, 8, 16, 1, 2, 2, 1),
}
"""By name: videos, rows, columns, heads, channels of keys and of values, radius."""


def drawn(shape, seed=0):
    """Query, key, value, what is added to scores, and the values of offsets."""
    b, y, x, h, d, e, radius = shape
    rng = np.random.default_rng(seed)
    window = (2 * radius + 1) ** 2
    shapes = [(b, y, x, h, d), (b, y, x, h, d), (b, y, x, h, e), (b, y, x, h, window)]
    return [jnp.asarray(rng.normal(size=s), jnp.float32) for s in [*shapes, (h, e, window)]]


def by_loops(query, key, value, relative, relative_value):
    """The equation of the docstring, cell by cell, in float64."""
    b, y, x, h, d = query.shape
    query, key, value, relative_value = map(np.asarray, (query, key, value, relative_value))
    relative = np.asarray(relative)
    radius, out = math.isqrt(relative.shape[-1]) // 2, np.zeros(value.shape)
    for n, i, j, k in np.ndindex(b, y, x, h):
        scores, cells = [], []
        for number in range(relative.shape[-1]):
            dy, dx = np.array(np.divmod(number, 2 * radius + 1)) - radius
            if 0 <= i + dy < y and 0 <= j + dx < x:
                product = np.dot(query[n, i, j, k], key[n, i + dy, j + dx, k].astype(np.float64))
                scores.append(product / np.sqrt(d) + relative[n, i, j, k, number])
                cells.append(value[n, i + dy, j + dx, k] + relative_value[k, :, number])
        weights = np.exp(scores - np.max(scores))
        out[n, i, j, k] = weights / weights.sum() @ np.array(cells)
    return out


@pytest.mark.parametrize("name", SHAPES)
def test_both_forms_follow_the_equation(name):
    arrays = drawn(SHAPES[name])
    want = by_loops(*arrays)
    np.testing.assert_allclose(jax.jit(plain_local_attention)(*arrays), want, atol=1e-5)
    np.testing.assert_allclose(jax.jit(local_attention)(*arrays), want, atol=1e-5)


@pytest.mark.parametrize("own", [True, False])
def test_gradients_of_both_forms_agree(own):
    arrays = drawn(SHAPES["several_tiles"], seed=1)[: 5 if own else 4]
    cotangent = np.random.default_rng(2).normal(size=arrays[2].shape).astype(np.float32)

    def gradient(form):
        numbers = tuple(range(len(arrays)))
        return jax.grad(lambda *a: jnp.sum(form(*a) * cotangent), numbers)

    plain, tiled = (
        jax.jit(gradient(plain_local_attention))(*arrays),
        jax.jit(gradient(local_attention))(*arrays),
    )
    for a, b in zip(plain, tiled, strict=True):
        assert np.abs(a).max() > 0.1
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_form_of_accelerators_is_that_of_the_cpu():
    """Both are lowered for another device; only the CPU's has a loop over rows of tiles."""
    arrays = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in drawn(SHAPES["several_tiles"])]
    texts = {
        platform: jax.export.export(jax.jit(local_attention), platforms=[platform])(*arrays)
        for platform in ("cpu", "cuda", "tpu")
    }
    loops = {platform: "while" in str(text.mlir_module()) for platform, text in texts.items()}
    assert loops == {"cpu": True, "cuda": False, "tpu": False}


def test_offsets_outside_the_map_have_no_weight():
    query, key, _, relative, _ = drawn((1, 3, 4, 1, 2, 2, 1))
    weights = np.asarray(local_weights(query, key, relative))[0, :, :, 0]
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    corner = weights[0, 0].reshape(3, 3)
    assert not corner[0].any() and not corner[:, 0].any() and (corner[1:, 1:] > 0).all()


def test_half_precision_stays_near():
    arrays = drawn(SHAPES["several_tiles"], seed=3)
    half = [jnp.asarray(a, jnp.bfloat16) for a in arrays]
    found = jax.jit(local_attention)(*half)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(np.float32), by_loops(*arrays), atol=0.15)
