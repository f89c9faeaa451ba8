"""Stage-to-stage transfer: what matches is taken, the rest is listed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.checkpoints import transfer
from vos_jax.checkpoints.transfer import widened

KEY = jax.random.key(0)

TARGET = {
    "backbone": {"conv": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}},
    "head": {"kernel": np.zeros((3, 1))},
}


initialise_from = functools.partial(transfer.initialise_from, key=KEY)


def ones(tree):
    return {k: ones(v) if isinstance(v, dict) else np.ones(v.shape) for k, v in tree.items()}


def test_everything_matches():
    result = initialise_from(TARGET, ones(TARGET))
    assert result.loaded == ["backbone/conv/kernel", "backbone/conv/bias", "head/kernel"]
    assert result.missing == [] and result.unused == []
    assert (result.params["head"]["kernel"] == 1).all()


@pytest.mark.parametrize("shape", [(3, 2), (1, 3), (3,), ()])
def test_another_shape_is_missing_and_unused(shape):
    source = {**ones(TARGET), "head": {"kernel": np.ones(shape)}}
    result = initialise_from(TARGET, source)
    assert result.missing == ["head/kernel"] and result.unused == ["head/kernel"]
    assert (result.params["head"]["kernel"] == 0).all()
    assert (result.params["backbone"]["conv"]["kernel"] == 1).all()


def test_parts_that_one_side_lacks():
    source = {"backbone": ones(TARGET)["backbone"], "old": {"scale": np.ones(4)}}
    params, loaded, _, missing, unused = initialise_from(TARGET, source)
    assert loaded == ["backbone/conv/kernel", "backbone/conv/bias"]
    assert missing == ["head/kernel"]
    assert unused == ["old/scale"]
    assert set(params) == set(TARGET)


def test_nothing_in_common():
    result = initialise_from(TARGET, {"x": np.ones(1)})
    assert result.loaded == [] and result.unused == ["x"] and len(result.missing) == 3


def test_element_type_is_the_targets():
    target = {"w": jnp.zeros(2, jnp.float32)}
    result = initialise_from(target, {"w": np.array([0.5, 1.0], np.float64)})
    assert result.params["w"].dtype == np.float32
    np.testing.assert_array_equal(result.params["w"], [0.5, 1.0])


def test_arguments_stay_as_they_are():
    source = ones(TARGET)
    initialise_from(TARGET, source).params["head"]["kernel"] = None
    assert (TARGET["head"]["kernel"] == 0).all() and (source["head"]["kernel"] == 1).all()


def kernel(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "shape, inputs", [((7, 7, 3, 64), 5), ((7, 7, 4, 64), 5), ((3, 3, 4, 64), 8), ((1, 1, 3, 2), 9)]
)
def test_new_input_channels_are_orthogonal_and_last(shape, inputs):
    old = kernel(*shape)
    new = np.asarray(widened(old, inputs, KEY))
    assert new.shape == (*shape[:2], inputs, shape[3])
    np.testing.assert_array_equal(new[:, :, : shape[2]], old)
    drawn = new[:, :, shape[2] :].reshape(-1, shape[3])
    gram = drawn.T @ drawn if len(drawn) >= shape[3] else drawn @ drawn.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)


def test_a_convolution_of_fewer_inputs_is_widened_and_named():
    target = {**TARGET, "first": {"kernel": np.zeros((3, 3, 5, 8), np.float32)}}
    source = {"first": {"kernel": kernel(3, 3, 4, 8)}}
    result = initialise_from(target, source)
    assert result.widened == ["first/kernel"] and result.loaded == result.unused == []
    assert "first/kernel" not in result.missing
    found = result.params["first"]["kernel"]
    np.testing.assert_array_equal(found[:, :, :4], source["first"]["kernel"])
    assert found.dtype == np.float32 and (np.abs(found[:, :, 4]).max() > 0.01)


def test_the_draw_is_the_keys():
    old = kernel(3, 3, 1, 4)
    first, again, other = (widened(old, 2, jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize("shape", [(3, 3, 6, 8), (3, 3, 4, 9), (5, 5, 4, 8), (3, 4, 8), (4, 8)])
def test_other_differences_are_not_bridged(shape):
    target = {"first": {"kernel": np.zeros((3, 3, 5, 8))}}
    result = initialise_from(target, {"first": {"kernel": np.ones(shape)}})
    assert result.missing == result.unused == ["first/kernel"] and not result.widened
