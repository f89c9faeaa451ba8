"""Tests of reading a space-time memory: the plain form by hand, the fast form by the plain one."""

import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from vos_jax.ops import memory_read
from vos_jax.ops.memory_read import affinity, read_memory

MODES = {
    "all": {},
    "top 3": {"top_k": 3},
    "top 1000": {"top_k": 1000},
    "kernel": {"sigma": 1.5},
    "kernel, top 4": {"sigma": 0.8, "top_k": 4},
}
SIMILARITIES = ["dot", "l2"]


def arrays(seed=0, b=2, o=2, s=12, c=6, d=3, grid=(2, 4), scale=1.0):
    """Query, keys, values, valid and the grid, with about one token of four invalid."""
    rng = np.random.default_rng(seed)
    sizes = (b, grid[0] * grid[1], c), (b, s, c), (b, o, s, d)
    query, keys, values = (jnp.asarray(rng.standard_normal(size), jnp.float32) for size in sizes)
    valid = jnp.asarray(rng.random((b, s)) < 0.75).at[:, 0].set(True)
    return scale * query, keys, values, valid, grid


def by_hand(query, keys, valid, grid, similarity, top_k=None, sigma=None):
    """Weights by loops in float64, as the papers state them: kernel times exponential."""
    query, keys = np.asarray(query, np.float64), np.asarray(keys, np.float64)
    out = np.zeros((*query.shape[:2], keys.shape[1]))
    for v in range(len(query)):
        tokens = np.flatnonzero(np.asarray(valid[v]))
        root = np.sqrt(query.shape[-1])
        logits = query[v] @ keys[v, tokens].T / root
        if similarity == "l2":
            logits = 2 * logits - np.square(keys[v, tokens]).sum(-1) / root
        weights = np.exp(logits - logits.max(1, keepdims=True))
        for column in range(len(tokens) if sigma else 0):
            best = np.unravel_index(logits[:, column].argmax(), grid)
            for n, cell in enumerate(np.ndindex(grid)):
                squared = (cell[0] - best[0]) ** 2 + (cell[1] - best[1]) ** 2
                weights[n, column] *= np.exp(-squared / (2 * sigma**2))
        if top_k:
            least = np.sort(weights, 1)[:, -min(top_k, len(tokens))]
            weights[weights < least[:, None]] = 0
        out[v][:, tokens] = weights / weights.sum(1, keepdims=True)
    return out


def plain(query, keys, values, valid, grid, **mode):
    weights = affinity(query, keys, valid, grid=grid, **mode)
    return jnp.einsum("bns,bosd->bond", weights, values)


@functools.cache
def compiled(grid, limit, mode):
    """The fast form; what is compiled depends on the limit of the chunks."""
    return jax.jit(functools.partial(read_memory, grid=grid, **dict(mode)))


def fast(query, keys, values, valid, grid, **mode):
    read = compiled(grid, memory_read.CHUNK_BYTES, tuple(sorted(mode.items())))
    return read(query, keys, values, valid)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of three queries of the smallest test memories."""
    monkeypatch.setattr(memory_read, "CHUNK_BYTES", 3 * 4 * 2 * 12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("seed", [0, 1])
def test_affinity_is_what_the_papers_state(mode, similarity, seed):
    query, keys, _, valid, grid = arrays(seed)
    found = affinity(query, keys, valid, grid=grid, similarity=similarity, **mode)
    expected = by_hand(query, keys, valid, grid, similarity, **mode)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_affinity_weighs_valid_tokens_only_and_sums_to_one(mode, similarity):
    query, keys, _, valid, grid = arrays(2)
    weights = affinity(query, keys, valid, grid=grid, similarity=similarity, **mode)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert not np.any(np.asarray(weights)[np.broadcast_to(~valid[:, None], weights.shape)])
    kept = np.minimum(mode.get("top_k", 1000), np.asarray(valid).sum(-1))
    assert (np.count_nonzero(weights, axis=-1) == kept[:, None]).all()


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_read_memory_is_the_affinity_times_the_values(data):
    draw = functools.partial(data.draw, st.integers(1, 5))
    grid = (draw(), draw())
    inputs = arrays(
        data.draw(st.integers(0, 99)),
        b=draw(),
        o=draw(),
        s=4 * draw(),
        c=draw(),
        d=draw(),
        grid=grid,
    )
    mode = {
        "similarity": data.draw(st.sampled_from(SIMILARITIES)),
        "top_k": data.draw(st.sampled_from([None, 0, 1, 3, 7, 50])),
        "sigma": data.draw(st.sampled_from([None, 0.0, 0.7, 5.6])),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_read, "CHUNK_BYTES", data.draw(st.sampled_from([1, 300, 2**20])))
        np.testing.assert_allclose(fast(*inputs, **mode), plain(*inputs, **mode), atol=2e-5)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_chunks_change_nothing(mode, similarity, small_chunks):
    inputs = arrays(3, grid=(2, 5))
    found = fast(*inputs, similarity=similarity, **mode)
    np.testing.assert_allclose(found, plain(*inputs, similarity=similarity, **mode), atol=2e-5)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_nothing_valid_reads_zero(mode):
    query, keys, values, valid, grid = arrays()
    inputs = query, keys, values, valid.at[0].set(False), grid
    for read in (fast(*inputs, **mode), plain(*inputs, **mode)):
        assert not np.any(read[0]) and np.isfinite(read).all() and np.any(read[1])


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_what_invalid_tokens_hold_does_not_matter(mode, similarity):
    query, keys, values, valid, grid = arrays(4)
    wild = keys + 1e3 * ~valid[..., None], values + 1e3 * ~valid[:, None, :, None]
    found = fast(query, *wild, valid, grid, similarity=similarity, **mode)
    expected = fast(query, keys, values, valid, grid, similarity=similarity, **mode)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_order_of_tokens_does_not_matter(mode):
    query, keys, values, valid, grid = arrays(5)
    order = np.random.default_rng(0).permutation(keys.shape[1])
    found = fast(query, keys[:, order], values[:, :, order], valid[:, order], grid, **mode)
    np.testing.assert_allclose(found, fast(query, keys, values, valid, grid, **mode), atol=1e-5)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_more_capacity_does_not_matter(mode, small_chunks):
    query, keys, values, valid, grid = arrays(6)
    more = (
        jnp.concatenate([keys, jnp.ones_like(keys)], 1),
        jnp.concatenate([values, jnp.ones_like(values)], 2),
        jnp.concatenate([valid, jnp.zeros_like(valid)], 1),
    )
    found, expected = (
        fast(query, *more, grid, **mode),
        fast(query, keys, values, valid, grid, **mode),
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("top_k", [1, 2, 3, 8, 24])
def test_copies_of_tokens_tie_without_changing_the_readout(top_k, similarity):
    query, keys, values, _, grid = arrays(7, s=6)
    inputs = (
        query,
        jnp.concatenate([keys, keys], 1),
        jnp.concatenate([values, values], 2),
        jnp.ones((2, 12), bool),
        grid,
    )
    mode = {"similarity": similarity, "top_k": top_k}
    np.testing.assert_allclose(fast(*inputs, **mode), plain(*inputs, **mode), atol=1e-5)
    if top_k % 2 == 0:
        valid = jnp.ones((2, 6), bool)
        once = fast(query, keys, values, valid, grid, similarity=similarity, top_k=top_k // 2)
        np.testing.assert_allclose(fast(*inputs, **mode), once, atol=1e-5)


def test_kernel_takes_the_first_of_equally_good_cells():
    query, keys, values, valid, grid = arrays(8)
    query = query.at[:, 5].set(query[:, 1]).at[:, 6].set(query[:, 2])
    inputs = query, keys, values, valid, grid
    np.testing.assert_allclose(fast(*inputs, sigma=0.5), plain(*inputs, sigma=0.5), atol=1e-5)
    expected = by_hand(query, keys, valid, grid, "dot", sigma=0.5)
    np.testing.assert_allclose(
        affinity(*inputs[:2], valid, grid=grid, sigma=0.5), expected, atol=1e-5
    )


@pytest.mark.parametrize("top_k", [None, 2, 50])
def test_kernel_with_one_frame_of_memory(top_k):
    query, keys, values, _, grid = arrays(9, s=8)
    inputs = query, keys, values, jnp.ones((2, 8), bool), grid
    mode = {"sigma": 5.6, "top_k": top_k}
    np.testing.assert_allclose(fast(*inputs, **mode), plain(*inputs, **mode), atol=1e-5)
    expected = by_hand(*inputs[:2], inputs[3], grid, "dot", **mode)
    np.testing.assert_allclose(
        affinity(*inputs[:2], inputs[3], grid=grid, **mode), expected, atol=1e-5
    )


def test_wide_kernel_is_no_kernel_and_narrow_kernel_reads_from_its_centre():
    query, keys, values, valid, grid = arrays(10)
    wide = fast(query, keys, values, valid, grid, sigma=1e4)
    np.testing.assert_allclose(wide, fast(query, keys, values, valid, grid), atol=1e-5)
    weights = affinity(query, keys, valid, grid=grid, sigma=0.02)
    centres = np.einsum("bnc,bsc->bns", query, keys).argmax(1)
    fed = jax.nn.one_hot(centres, 8, axis=1).astype(bool) & valid[:, None]
    reached = fed.any(-1)
    assert not np.any(weights[reached] * ~fed[reached])


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_no_size_of_the_logits_overflows(mode, similarity, scale):
    inputs = arrays(11, scale=scale)
    assert np.isfinite(fast(*inputs, similarity=similarity, **mode)).all()


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradients_are_those_of_the_plain_form(mode, similarity, small_chunks):
    query, keys, values, valid, grid = arrays(12)
    cotangent = jnp.asarray(np.random.default_rng(0).standard_normal((2, 2, 8, 3)), jnp.float32)

    def total(read, query, keys, values):
        mode_args = {"similarity": similarity, **mode}
        return jnp.vdot(read(query, keys, values, valid, grid, **mode_args), cotangent)

    found, expected = (
        jax.grad(functools.partial(total, read), (0, 1, 2))(query, keys, values)
        for read in (fast, plain)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)
    assert all(np.any(gradient) for gradient in found)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradients_of_the_training_read_are_those_of_finite_differences(similarity, small_chunks):
    query, keys, values, valid, _ = arrays(13)
    valid = valid.at[0].set(False)

    def read(query, keys, values):
        return read_memory(query, keys, values, valid, similarity=similarity)

    check_grads(jax.jit(read), (query, keys, values), 1, ["rev"], atol=2e-2, rtol=2e-2)


def test_gradients_are_finite_where_nothing_is_valid():
    query, keys, values, valid, _ = arrays(14)

    def total(*inputs):
        return read_memory(*inputs, jnp.zeros_like(valid)).sum()

    assert not any(np.any(gradient) for gradient in jax.grad(total, (0, 1, 2))(query, keys, values))


def test_low_precision_values_come_back_as_such_with_weights_in_float32():
    query, keys, values, valid, grid = arrays(15, c=64)
    low = [x.astype(jnp.bfloat16) for x in (query, keys, values)]
    for mode in MODES.values():
        found = fast(*low, valid, grid, similarity="l2", **mode)
        assert found.dtype == jnp.bfloat16
        weights = affinity(*low[:2], valid, grid=grid, similarity="l2", **mode)
        assert weights.dtype == jnp.float32
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def largest_array(function, *inputs):
    """Bytes of the largest array that a jaxpr and those inside it make."""

    def inside(jaxpr):
        for equation in jaxpr.eqns:
            yield from (var.aval.size * var.aval.dtype.itemsize for var in equation.outvars)
            for inner in jax.extend.core.jaxprs_in_params(equation.params):
                yield from inside(inner)

    return max(inside(jax.make_jaxpr(function)(*inputs).jaxpr))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("b", [1, 3])
def test_no_array_is_larger_than_the_limit(mode, backward, b, monkeypatch):
    limit = 2**16
    monkeypatch.setattr(memory_read, "CHUNK_BYTES", limit)
    query, keys, values, valid, grid = arrays(0, b=b, o=1, s=400, c=4, d=2, grid=(20, 25))
    assert b * 500 * 400 * 4 > 10 * limit
    read = functools.partial(read_memory, valid=valid, grid=grid, **mode)

    def total(*inputs):
        return read(*inputs).sum()

    assert largest_array(jax.grad(total) if backward else read, query, keys, values) <= limit


def test_the_limit_is_the_one_stated():
    assert memory_read.CHUNK_BYTES == 16 * 2**20
    assert "16 MiB" in open(memory_read.__file__).read()
