"""The tensors of official STEm-Seg and VIShv checkpoints."""

import numpy as np

from vos_jax.checkpoints.names import CONV, NameMap, Rule, Transform, layer
from vos_jax.systems.aot.encoder_weights import POINTWISE
from vos_jax.systems.rde.weights import POINTWISE_3D
from vos_jax.systems.resnet_weights import resnet

VOLUME = Transform(lambda x: x.transpose(2, 3, 4, 1, 0), lambda x: x.transpose(4, 3, 0, 1, 2))
"""Official [out in t y x], ours [t y x in out]."""

PYRAMID = NameMap(
    [
        rule
        for level in range(4)
        for official, ours in (("inner", "lateral"), ("layer", "output"))
        for rule in layer(f"fpn_{official}{level + 1}", f"{ours}_{level}", CONV)
    ]
)

RESNET_PYRAMID = resnet(stem=r"stem\.", stages=4).under(r"body\.", "body/") + PYRAMID.under(
    r"fpn\.", "pyramid/"
)
"""Also the map of Mask R-CNN's backbone files."""


def _decoder(outputs: dict[str, str]) -> NameMap:
    """The map of a `decoders.Decoder`.

    Args:
        outputs: our names of the outputs by official convolution.
    """
    rules = [
        Rule(r"conv_(?P<s>16|8|4)\.weight", r"join_\g<s>", POINTWISE_3D),
        Rule(r"conv_variance\.bias", "bandwidth_bias"),
    ]
    for official, ours in outputs.items():
        rules.append(Rule(rf"{official}\.weight", f"{ours}_kernel", POINTWISE_3D))
    for number in range(3):
        block, unit = r"block_(?P<s>\d+)x\.", rf"unit_\g<s>_{number}/"
        rules += [
            Rule(rf"{block}{4 * number}\.weight", f"{unit}kernel", VOLUME),
            Rule(rf"{block}{4 * number}\.bias", f"{unit}bias"),
            Rule(rf"{block}{4 * number + 1}\.weight", f"{unit}norm/scale"),
            Rule(rf"{block}{4 * number + 1}\.bias", f"{unit}norm/bias"),
        ]
    return NameMap(rules)


_EMBEDDING = {
    "conv_embedding": "embedding",
    "conv_variance": "bandwidth",
    "conv_seediness": "seediness",
}

STEM_SEG = (
    RESNET_PYRAMID.under(r"backbone\.", "encoder/")
    + _decoder(_EMBEDDING).under(r"embedding_head\.", "embedding/")
    + _decoder({"conv_out": "seediness"}).under(r"seediness_head\.", "seediness/")
    + _decoder({"conv_out": "semantic"}).under(r"semseg_head\.", "semantic/")
    + NameMap(
        [Rule(r"embedding_head\.time_scale", "time_scale")],
        dropped=[r"embedding_loss_criterion\.free_dim_bandwidths"],
    )
)


CHANNELS = Transform(np.ravel, lambda x: x.reshape(1, -1, 1, 1))
"""Official [1 c 1 1], ours [c]."""


def _zero_conv(official: str, ours: str) -> list[Rule]:
    """The rules of a `glow.ZeroConv`."""
    scale = Rule(rf"{official}\.scale", f"{ours}/scale", CHANNELS)
    return [*layer(rf"{official}\.conv", ours, CONV), scale]


_FACTORS = {"p": "permutation", "l": "lower", "u": "upper", "s": "log_scale"}

GLOW_STEP = NameMap(
    [
        Rule(r"actnorm\.loc", "norm/shift", CHANNELS),
        Rule(r"actnorm\.scale", "norm/scale", CHANNELS),
        *(Rule(rf"invconv\.w_{theirs}", f"mixing/{ours}") for theirs, ours in _FACTORS.items()),
        Rule(r"invconv\.s_sign", "mixing/sign"),
        Rule(r"invconv\.weight", "mixing/kernel", POINTWISE),
        *layer(r"coupling\.net\.0", "coupling/conv1", CONV),
        *layer(r"coupling\.net\.2", "coupling/conv2", CONV),
        *_zero_conv(r"coupling\.net\.4", "coupling/last"),
    ],
    dropped=[r"actnorm\.initialized", r"invconv\.([ul]_mask|l_eye)"],
)

GLOW = GLOW_STEP.under(r"blocks\.(?P<l>\d+)\.flows\.(?P<s>\d+)\.", r"parts_\g<l>_\g<s>/") + NameMap(
    _zero_conv(r"blocks\.(?P<l>\d+)\.prior", r"priors_\g<l>")
)

APPEARANCE = NameMap(
    [
        *layer(r"conv1_add\.0", "linear1", POINTWISE_3D),
        *layer(r"conv1_add\.1", "linear2", POINTWISE_3D),
    ],
    dropped=[r"conv1_cat\..*", r"pooling_blocks\.0\.(weight|bias)"],
)

VISHV = (
    STEM_SEG
    + GLOW.under(r"offset_head\.", "flow/")
    + APPEARANCE.under(r"offset_decoder\.", "appearance_decoder/")
)
