"""The tensors of official RDE and STCN checkpoints.

STCN's are RDE's without the aggregation module. The networks of stage 0 have the same names.
"""

from vos_jax.checkpoints.names import CONV, NameMap, Rule, Transform, layer
from vos_jax.systems.resnet_weights import mask_decoder, residual_block, resnet

POINTWISE_3D = Transform(lambda x: x[:, :, 0, 0, 0].T, lambda x: x.T[:, :, None, None, None])
"""Official [out in 1 1 1], ours [in out]."""
CONV_3D = Transform(
    lambda x: x.transpose(3, 4, 2, 1, 0).reshape(*x.shape[3:], -1, x.shape[0]),
    lambda x: x.transpose(3, 2, 0, 1)[:, :, None],
)
"""Official [out in 1 y x], ours [y x in out]."""
SQUEEZE = Transform(
    CONV_3D.forward,
    lambda x: x.reshape(*x.shape[:2], 2, -1, x.shape[3]).transpose(4, 3, 2, 0, 1),
)
"""Official [out in 2 y x], ours [y x (2 in) out]."""

_BLOCK = r"se_block\.(?P<i>\d+)\."

BRANCH = NameMap(
    [
        *layer(r"non_local\.theta", "non_local/theta", POINTWISE_3D),
        *layer(r"non_local\.(?P<n>phi|g)\.0", r"non_local/\g<n>", POINTWISE_3D),
        *layer(r"non_local\.W", "non_local/project", POINTWISE_3D),
        *layer(rf"{_BLOCK}(?P<n>conv[12])", r"se_block_\g<i>/\g<n>", CONV_3D),
        *layer(rf"{_BLOCK}ses\.fc\.0", r"se_block_\g<i>/fc1"),
        *layer(rf"{_BLOCK}ses\.fc\.2", r"se_block_\g<i>/fc2"),
        Rule(
            r"conv1\.aspp(?P<n>[1-4])\.atrous_conv\.weight",
            r"pyramid/branch_\g<n>/kernel",
            CONV_3D,
        ),
        Rule(r"conv1\.conv1\.weight", "pyramid/join/kernel", CONV_3D),
    ]
)

AGGREGATION = (
    BRANCH.under(r"key_encoder\.", "key_branch/")
    + BRANCH.under(r"value_encoder\.", "value_branch/")
    + NameMap(layer(r"compress_(?P<n>key|value)", r"squeeze_\g<n>", SQUEEZE))
)

_SPATIAL = r"attention\.SpatialGate\.spatial\.conv"

FUSER = NameMap(
    [
        *residual_block("block1", "block1"),
        *residual_block("block2", "block2"),
        *layer(r"attention\.ChannelGate\.mlp\.1", "attention/fc1"),
        *layer(r"attention\.ChannelGate\.mlp\.3", "attention/fc2"),
        *layer(_SPATIAL, "attention/spatial", CONV),
    ]
)

STCN = (
    resnet("res2").under(r"key_encoder\.", "key_encoder/")
    + resnet().under(r"value_encoder\.", "value_encoder/image_encoder/")
    + FUSER.under(r"value_encoder\.fuser\.", "value_encoder/fuser/")
    + mask_decoder("skip_conv").under(r"decoder\.", "decoder/")
    + NameMap(
        [
            *layer(r"key_proj\.key_proj", "key_head", CONV),
            *layer("key_comp", "thin_head", CONV),
        ]
    )
)

RDE = STCN + AGGREGATION.under(r"mem_compress\.", "aggregation/")
