"""Tests of the layouts of RDE's 3-D convolutions; names of whole networks: test_convert_*."""

import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.core.errors import CheckpointError
from vos_jax.systems.rde.weights import AGGREGATION, CONV_3D, POINTWISE_3D, SQUEEZE

SHAPES = {
    "key_encoder.non_local.theta.weight": (4, 8, 1, 1, 1),
    "value_encoder.non_local.phi.0.weight": (4, 8, 1, 1, 1),
    "value_encoder.non_local.g.0.bias": (4,),
    "key_encoder.non_local.W.weight": (8, 4, 1, 1, 1),
    "key_encoder.se_block.1.conv2.weight": (8, 8, 1, 3, 3),
    "key_encoder.se_block.0.ses.fc.0.weight": (2, 16),
    "key_encoder.se_block.0.ses.fc.2.weight": (16, 2),
    "key_encoder.conv1.aspp1.atrous_conv.weight": (2, 8, 1, 1, 1),
    "key_encoder.conv1.aspp4.atrous_conv.weight": (2, 8, 1, 3, 3),
    "value_encoder.conv1.conv1.weight": (8, 8, 1, 3, 3),
    "compress_key.weight": (8, 8, 2, 3, 3),
    "compress_value.bias": (8,),
}


def tensors():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_tensors_find_their_places_and_return():
    official = {f"mem_compress.{name}": value for name, value in tensors().items()}
    params, report = AGGREGATION.convert(official, "mem_compress.")
    assert len(flatten(params)) == len(SHAPES) and not report.dropped
    assert params["key_branch"]["pyramid"]["branch_4"]["kernel"].shape == (3, 3, 8, 2)
    assert params["key_branch"]["se_block_0"]["fc1"]["kernel"].shape == (16, 2)
    back = AGGREGATION.export(params, official, "mem_compress.")
    for name, value in official.items():
        np.testing.assert_array_equal(back[name], value)


def test_squeeze_has_the_older_frame_first():
    official = np.zeros((4, 3, 2, 3, 3), np.float32)
    official[1, 2, 0, 0, 1], official[3, 0, 1, 2, 2] = 5, 7
    ours = SQUEEZE.forward(official)
    assert ours.shape == (3, 3, 6, 4)
    assert ours[0, 1, 2, 1] == 5 and ours[2, 2, 3, 3] == 7
    assert np.count_nonzero(ours) == 2


@pytest.mark.parametrize("transform", [POINTWISE_3D, CONV_3D, SQUEEZE])
def test_layouts_are_inverted(transform):
    sides = (1, 1, 1) if transform is POINTWISE_3D else (1 + (transform is SQUEEZE), 3, 3)
    official = np.random.default_rng(1).standard_normal((4, 5, *sides)).astype(np.float32)
    np.testing.assert_array_equal(transform.backward(transform.forward(official)), official)


def test_a_tensor_of_another_rank_is_refused():
    with pytest.raises(CheckpointError, match=r"compress_key.weight.*shape \[8, 8, 3, 3\]"):
        AGGREGATION.convert({"compress_key.weight": np.zeros((8, 8, 3, 3))})
