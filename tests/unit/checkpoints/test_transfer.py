"""Stage-to-stage transfer: what matches is taken, the rest is listed."""

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.checkpoints.transfer import initialise_from

TARGET = {
    "backbone": {"conv": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}},
    "head": {"kernel": np.zeros((3, 1))},
}


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
    params, loaded, missing, unused = initialise_from(TARGET, source)
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
