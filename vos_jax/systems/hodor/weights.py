"""The tensors of official HODOR checkpoints, and how layer stacks start.

Every map serves its module alone (give `convert` the tensors' prefix) and as part of `HODOR`.
Left out on purpose: the integer index tables, which the window size determines, and the two
parts that the official network makes and never uses.
"""

from collections.abc import Mapping
from typing import Any

from vos_jax.checkpoints.names import (
    CONV,
    LINEAR,
    NameMap,
    Rule,
    Transform,
    layer,
    norm,
)

PATCHES = Transform(
    lambda x: x.transpose(2, 3, 1, 0).reshape(-1, x.shape[0]),
    lambda x: x.reshape(4, 4, -1, x.shape[1]).transpose(3, 2, 0, 1),
)
"""Official 4x4 convolution [out in 4 4], ours a linear map of flat patches."""

_BLOCK = r"layers\.(?P<s>\d)\.blocks\.(?P<b>\d+)"
_STAGE_BLOCK = r"stage_\g<s>_block_\g<b>"
_LAYER = r"attn_layers\.(?P<l>\d+)\."
_PACKED = r"self_attn\.in_proj_"

SWIN = NameMap(
    [
        *layer(r"patch_embed\.proj", "patch_embed/proj", PATCHES),
        *norm(r"patch_embed\.norm", "patch_embed/norm"),
        *norm(rf"{_BLOCK}\.(?P<n>norm[12])", rf"{_STAGE_BLOCK}/\g<n>"),
        *layer(rf"{_BLOCK}\.attn\.(?P<n>qkv|proj)", rf"{_STAGE_BLOCK}/attn/\g<n>"),
        *layer(rf"{_BLOCK}\.mlp\.(?P<n>fc[12])", rf"{_STAGE_BLOCK}/\g<n>"),
        Rule(
            rf"{_BLOCK}\.attn\.relative_position_bias_table",
            f"{_STAGE_BLOCK}/attn/relative_position_bias_table",
        ),
        *norm(r"layers\.(?P<s>\d)\.downsample\.norm", r"merge_\g<s>/norm"),
        *layer(r"layers\.(?P<s>\d)\.downsample\.reduction", r"merge_\g<s>/reduction"),
        *norm(r"norm(?P<s>[0-3])", r"norm_\g<s>"),
    ],
    dropped=[rf"{_BLOCK}\.attn\.relative_position_index"],
)

PYRAMID = NameMap(
    [
        *layer(r"lateral_convs\.(?P<i>[0-3])\.conv", r"lateral_\g<i>", CONV),
        *layer(r"fpn_convs\.(?P<i>[0-3])\.conv", r"output_\g<i>", CONV),
    ]
)

OUTPUT_NORMS = NameMap(norm(r"(?P<i>[0-3])", r"norm_\g<i>"), dropped=[r"4\.(weight|bias)"])

BACKBONE = (
    SWIN.under(r"bb_fpn\.0\.", "swin/")
    + PYRAMID.under(r"bb_fpn\.1\.", "pyramid/")
    + OUTPUT_NORMS.under(r"norm_layers\.", "pyramid/")
)

SOFT_MASKED_ATTENTION = NameMap(
    [
        *layer(r"(?P<n>[qkv]_proj|out_proj)", r"\g<n>"),
        Rule("scaling_factors", "scales"),
    ]
)

ENCODER = NameMap(
    [
        Rule("fg_query_embed", "object_embedding"),
        Rule("bg_query_embed", "background_embedding"),
        Rule(
            rf"{_LAYER}self_attn\.in_proj_weight", r"layer_\g<l>/self_attn/in_proj_kernel", LINEAR
        ),
        Rule(rf"{_LAYER}{_PACKED}bias", r"layer_\g<l>/self_attn/in_proj_bias"),
        *layer(rf"{_LAYER}self_attn\.out_proj", r"layer_\g<l>/self_attn/out_proj"),
        *norm(rf"{_LAYER}(?P<n>norm[123])", r"layer_\g<l>/\g<n>"),
        *layer(rf"{_LAYER}ffn\.0", r"layer_\g<l>/fc1"),
        *layer(rf"{_LAYER}ffn\.3", r"layer_\g<l>/fc2"),
    ]
) + SOFT_MASKED_ATTENTION.under(rf"{_LAYER}cross_attn\.", r"layer_\g<l>/soft_attn/")

DECODER = NameMap(
    [
        *layer(
            rf"{_LAYER}self_attn_conv_substitute\.0\.conv_offsets",
            r"layer_\g<l>/conv/offsets",
            CONV,
        ),
        *layer(rf"{_LAYER}self_attn_conv_substitute\.0\.conv_deform", r"layer_\g<l>/conv", CONV),
        *norm(rf"{_LAYER}self_attn_conv_substitute\.2", r"layer_\g<l>/conv_norm"),
        *layer(rf"{_LAYER}(?P<n>[kv]_proj)_fg", r"layer_\g<l>/\g<n>_object"),
        *layer(rf"{_LAYER}(?P<n>[kv]_proj)_bg", r"layer_\g<l>/\g<n>_background"),
        *layer(rf"{_LAYER}cross_attn\.q_proj", r"layer_\g<l>/q_proj"),
        *norm(rf"{_LAYER}(?P<n>norm[12])", r"layer_\g<l>/\g<n>"),
        *layer(rf"{_LAYER}(?P<n>fc[12])", r"layer_\g<l>/\g<n>"),
        *layer(r"conv_4x_reduce\.0", "reduce", CONV),
        *norm(r"conv_4x_reduce\.2", "reduce_norm"),
        *layer(r"conv_4x\.0", "merge", CONV),
        *norm(r"conv_4x\.2", "merge_norm"),
        *layer(r"catch_all_conv\.0", "catch_all/conv", CONV),
        *norm(r"catch_all_conv\.1", "catch_all/norm"),
        *layer(r"catch_all_conv\.3", "catch_all/out", CONV),
        *layer("instance_query_proj", "object_query"),
        *layer("bg_query_proj", "background_query"),
    ],
    dropped=[r"fmap_proj_4x\.\d\.(weight|bias)"],
)

HODOR = (
    BACKBONE.under(r"feature_extractor\.", "extractor/")
    + ENCODER.under(r"encoder\.", "encoder/")
    + DECODER.under(r"decoder\.", "decoder/")
)


def tie_layers(params: Mapping[str, Any]) -> dict[str, Any]:
    """Makes all layers of a stack start as copies of its first.

    Args:
        params: parameters of the encoder, the decoder, or a tree that holds them.

    Returns:
        The tree in which every `layer_<n>` has the values of the `layer_0` beside it.
    """
    tied = {}
    for name, value in params.items():
        source = params["layer_0"] if name.startswith("layer_") else value
        tied[name] = tie_layers(source) if isinstance(source, Mapping) else source
    return tied
