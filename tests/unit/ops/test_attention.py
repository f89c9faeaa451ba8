"""Tests of multi-head attention and of soft-masked attention as plain functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vos_jax.ops.attention import attend, masked_softmax
from vos_jax.ops.soft_masked_attention import (
    projecting_soft_masked_attention,
    soft_masked_attention,
)


def by_hand(query, key, value, heads, extra=None, ignored=None):
    """Loops over samples, heads and queries in float64."""
    query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
    out = np.zeros_like(query)
    width = query.shape[-1] // heads
    for b, n in np.ndindex(query.shape[:2]):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            logits = key[b, :, part] @ query[b, n, part] / np.sqrt(width)
            if extra is not None:
                logits = logits + extra[b, head, n]
            if ignored is not None:
                logits = np.where(ignored[b], -np.inf, logits)
            weights = np.exp(logits - logits.max())
            out[b, n, part] = weights @ value[b, :, part] / weights.sum()
    return out


def arrays(seed=0, b=2, n=3, s=5, c=8):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal((b, size, c)), jnp.float32) for size in (n, s, s)]


def soft_mask(n=3, s=5):
    return jnp.asarray(np.random.default_rng(1).random((2, n, s)), jnp.float32)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attend_is_softmax_of_scaled_products(heads):
    query, key, value = arrays()
    np.testing.assert_allclose(
        attend(query, key, value, heads), by_hand(query, key, value, heads), atol=1e-5
    )


def test_attend_gives_ignored_keys_no_weight():
    query, key, value = arrays()
    ignored = jnp.array([[False, True, False, True, False]] * 2)
    expected = by_hand(query, key, value, 2, ignored=ignored)
    value = value.at[ignored].set(1e6)
    np.testing.assert_allclose(attend(query, key, value, 2, ignored), expected, atol=1e-4)


def test_attend_is_zero_and_differentiable_where_all_keys_are_ignored():
    query, key, value = arrays()
    ignored = jnp.array([[True] * 5, [False] * 5])

    def total(query, key, value):
        return jnp.sum(attend(query, key, value, 2, ignored) ** 2)

    assert not np.any(attend(query, key, value, 2, ignored)[0])
    grads = jax.grad(total, argnums=(0, 1, 2))(query, key, value)
    assert all(np.isfinite(grad).all() for grad in grads)
    assert not np.any(grads[2][0]) and np.any(grads[2][1])


def test_attend_applies_the_given_droppers():
    query, key, value = arrays()
    uniform = attend(query, key, value, 2, drop_logits=jnp.zeros_like)
    expected = np.broadcast_to(np.asarray(value).mean(1, keepdims=True), query.shape)
    np.testing.assert_allclose(uniform, expected, atol=1e-6)
    assert not np.any(attend(query, key, value, 2, drop_weights=jnp.zeros_like))


def test_masked_softmax_is_float32_whatever_comes_in():
    assert masked_softmax(jnp.zeros((2, 3), jnp.bfloat16), None).dtype == jnp.float32


@pytest.mark.parametrize("scales", [(4.0, 0.5), (0.0, -1.0)])
def test_soft_mask_lowers_logits_by_scale(scales):
    query, key, value = arrays()
    mask = soft_mask(3, 5)
    extra = -np.array(scales)[None, :, None, None] * (1 - mask)[:, None]
    out, weights = soft_masked_attention(query, key, value, mask, jnp.array(scales))
    np.testing.assert_allclose(out, by_hand(query, key, value, 2, extra), atol=1e-5)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("fill", [0.0, 0.3, 1.0])
def test_constant_soft_mask_is_plain_attention(fill):
    query, key, value = arrays()
    out, _ = soft_masked_attention(query, key, value, jnp.full((2, 3, 5), fill), jnp.ones(2) * 16)
    np.testing.assert_allclose(out, attend(query, key, value, 2), atol=1e-5)


def test_strong_soft_mask_reads_only_what_is_inside():
    query, key, value = arrays()
    mask = jnp.zeros((2, 3, 5)).at[..., 2].set(1)
    out, _ = soft_masked_attention(query, key, value, mask, jnp.ones(2) * 1e3)
    np.testing.assert_allclose(out, np.repeat(np.asarray(value)[:, 2:3], 3, 1), atol=1e-6)


def test_soft_masked_gradients_are_those_of_finite_differences():
    query, key, value = arrays(n=2, s=3, c=4)
    mask = soft_mask(2, 3)

    def run(*inputs):
        return soft_masked_attention(*inputs)[0]

    inputs = (query, key, value, mask, jnp.array([2.0, 0.5]))
    check_grads(jax.jit(run), inputs, order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


def test_soft_masked_attention_ignores_padding_keys():
    query, key, value = arrays()
    mask = soft_mask(3, 5)
    ignored = jnp.array([[False, False, False, True, True]] * 2)
    scales = jnp.ones(2)
    padded, weights = soft_masked_attention(query, key, value, mask, scales, ignored)
    short, _ = soft_masked_attention(query, key[:, :3], value[:, :3], mask[..., :3], scales)
    np.testing.assert_allclose(padded, short, atol=1e-6)
    assert not np.any(weights[..., 3:])


def test_soft_masked_attention_computes_in_the_dtype_of_its_inputs():
    query, key, value = (jnp.asarray(x, jnp.bfloat16) for x in arrays())
    out, weights = soft_masked_attention(query, key, value, jnp.ones((2, 3, 5)), jnp.ones(2))
    assert out.dtype == weights.dtype == jnp.bfloat16


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("width", [5, 8, 12])
def test_projecting_attention_is_that_of_projected_keys_and_values(heads, width):
    rng = np.random.default_rng(3)
    query, _, _ = arrays()
    key, value = (jnp.asarray(rng.standard_normal((2, 5, width)), jnp.float32) for _ in range(2))
    kernels = [jnp.asarray(rng.standard_normal((width, 8)), jnp.float32) for _ in range(2)]
    mask, scales = soft_mask(), jnp.arange(1.0, heads + 1)
    found = projecting_soft_masked_attention(query, key, value, *kernels, mask, scales)
    bias = jnp.asarray(rng.standard_normal(8), jnp.float32)
    projected = key @ kernels[0] + bias, value @ kernels[1]
    expected = soft_masked_attention(query, *projected, mask, scales)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), found, expected)
