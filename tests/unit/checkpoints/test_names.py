"""Tests of the translation of official tensor names."""

import numpy as np
import pytest

from vos_jax.checkpoints.names import (
    CONV,
    KEEP,
    LINEAR,
    NameMap,
    Rule,
    flatten,
    layer,
    norm,
)
from vos_jax.core.errors import CheckpointError

PART = NameMap(
    [
        *layer(r"conv(?P<i>\d)", r"conv_\g<i>", CONV),
        *layer("fc", "head/fc"),
        *norm("norm", "head/norm"),
    ],
    dropped=[r"index\d"],
)


def tensors(**extra):
    rng = np.random.default_rng(0)
    shapes = {
        "conv0.weight": (4, 3, 5, 2),
        "conv0.bias": (4,),
        "fc.weight": (2, 3),
        "norm.weight": (3,),
        "norm.bias": (3,),
        "index7": (1,),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()} | extra


def test_every_tensor_goes_to_its_place_in_our_layout():
    given = tensors()
    params, report = PART.convert(given)
    assert set(flatten(params)) == set(report.used.values())
    assert report.used["conv0.weight"] == "conv_0/kernel"
    assert report.dropped == ("index7",) and report.ignored == ()
    np.testing.assert_array_equal(
        params["conv_0"]["kernel"], given["conv0.weight"].transpose(2, 3, 1, 0).astype(np.float32)
    )
    np.testing.assert_array_equal(
        params["head"]["fc"]["kernel"], given["fc.weight"].T.astype(np.float32)
    )
    assert all(leaf.dtype == np.float32 for leaf in flatten(params).values())


@pytest.mark.parametrize("prefix", ["", "net.", "a.b.0."])
def test_a_prefix_selects_one_part_of_a_file(prefix):
    given = {prefix + name: value for name, value in tensors().items()}
    given |= {"other": np.zeros(1)} if prefix else {}
    params, report = PART.convert(given, prefix)
    assert report.ignored == (("other",) if prefix else ())
    assert set(report.used) | set(report.dropped) == set(given) - {"other"}
    assert flatten(params).keys() == flatten(PART.convert(tensors())[0]).keys()


def test_export_is_the_inverse_of_convert():
    given = {f"net.{name}": value.astype(np.float32) for name, value in tensors().items()}
    params, report = PART.convert(given, "net.")
    back = PART.export(params, given, "net.")
    assert back.keys() == report.used.keys()
    for name, value in back.items():
        np.testing.assert_array_equal(value, given[name])


@pytest.mark.parametrize("transform", [KEEP, LINEAR])
@pytest.mark.parametrize("shape", [(2, 3), (4, 4)])
def test_transforms_come_back(transform, shape):
    value = np.random.default_rng(0).random(shape)
    np.testing.assert_array_equal(transform.backward(transform.forward(value)), value)


def test_a_map_can_be_part_of_another():
    whole = PART.under(r"blocks\.(?P<l>\d+)\.", r"layer_\g<l>/") + NameMap([Rule("scale", "scale")])
    given = {f"blocks.12.{name}": value for name, value in tensors().items()}
    params, report = whole.convert(given | {"scale": np.ones(1)})
    assert report.used["blocks.12.conv0.bias"] == "layer_12/conv_0/bias"
    assert report.dropped == ("blocks.12.index7",)
    assert set(params) == {"layer_12", "scale"}


@pytest.mark.parametrize(
    ("given", "prefix", "message"),
    [
        (tensors(extra=np.zeros(1)), "", "'extra' is not known"),
        (tensors(), "net.", "no tensor begins with 'net.'"),
        ({}, "", "no tensor begins"),
        (
            {"conv0.weight": np.zeros((2, 2))},
            "",
            r"'conv0.weight' has the unexpected shape \[2, 2\]",
        ),
    ],
)
def test_tensors_of_another_model_are_refused(given, prefix, message):
    with pytest.raises(CheckpointError, match=message):
        PART.convert(given, prefix)


def test_two_tensors_may_not_share_a_place():
    clash = NameMap([Rule("a|b", "same")])
    with pytest.raises(CheckpointError, match="'a' and 'b' both go to 'same'"):
        clash.convert({"a": np.zeros(1), "b": np.zeros(1)})


@pytest.mark.parametrize("other", [NameMap([Rule("a", "y")]), NameMap([], dropped=["a"])])
def test_a_tensor_may_not_match_twice(other):
    with pytest.raises(CheckpointError, match="'a' matches several"):
        (NameMap([Rule("a", "x")]) + other).convert({"a": np.zeros(1)})


def test_names_are_matched_whole():
    with pytest.raises(CheckpointError, match="not known"):
        PART.convert({"xfc.weight": np.zeros((1, 1))})
