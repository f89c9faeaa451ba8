"""The tensors of the image encoders of official AOT and DeAOT checkpoints."""

from vos_jax.checkpoints.names import CONV, NameMap, Rule, Transform, layer
from vos_jax.systems.hodor.weights import SWIN
from vos_jax.systems.resnet_weights import COUNTERS, frozen, resnet

POINTWISE = Transform(lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None])
"""Official 1x1 convolution [out in 1 1], ours a linear map."""

_BLOCK = r"block_\g<n>/"


def _conv_norms(*names: tuple[str, str, str]) -> list[Rule]:
    """The rules of pairs: official convolution, official norm, our convolution."""
    rules = []
    for conv, norm, ours in names:
        rules += [Rule(rf"{conv}\.weight", f"{ours}/kernel", CONV), *frozen(norm, f"{ours}_bn")]
    return rules


def _units(block: str, *ours: str | None) -> list[tuple[str, str, str]]:
    """The numbered units of a torchvision block, each a convolution and its norm."""
    named = [(number, name) for number, name in enumerate(ours) if name]
    return [(rf"{block}{i}\.0", rf"{block}{i}\.1", _BLOCK + name) for i, name in named]


_FIRST, _LATER = r"features\.(?P<n>1)\.conv\.", r"features\.(?P<n>[2-9]|1[0-7])\.conv\."
_STEM = (r"features\.0\.0", r"features\.0\.1", "stem")

MOBILENET_V2 = NameMap(
    _conv_norms(
        _STEM,
        (rf"{_FIRST}0\.0", rf"{_FIRST}0\.1", f"{_BLOCK}depthwise"),
        (rf"{_FIRST}1", rf"{_FIRST}2", f"{_BLOCK}project"),
        (rf"{_LATER}0\.0", rf"{_LATER}0\.1", f"{_BLOCK}expand"),
        (rf"{_LATER}1\.0", rf"{_LATER}1\.1", f"{_BLOCK}depthwise"),
        (rf"{_LATER}2", rf"{_LATER}3", f"{_BLOCK}project"),
        (r"features\.18\.0", r"features\.18\.1", "head"),
    ),
    dropped=[COUNTERS],
)

MOBILENET_V3 = NameMap(
    [
        *_conv_norms(
            _STEM,
            (rf"{_FIRST}0", rf"{_FIRST}1", f"{_BLOCK}depthwise"),
            (rf"{_FIRST}4", rf"{_FIRST}5", f"{_BLOCK}project"),
            (rf"{_LATER}0", rf"{_LATER}1", f"{_BLOCK}expand"),
            (rf"{_LATER}3", rf"{_LATER}4", f"{_BLOCK}depthwise"),
            (rf"{_LATER}7", rf"{_LATER}8", f"{_BLOCK}project"),
            (r"conv\.0", r"conv\.1", "head"),
        ),
        *layer(rf"{_LATER}5\.fc\.0", f"{_BLOCK}squeeze/fc1"),
        *layer(rf"{_LATER}5\.fc\.2", f"{_BLOCK}squeeze/fc2"),
    ]
)


_SQUEEZING, _OTHER = (rf"features\.(?P<n>{n})\.block\." for n in ("[456]|1[1-5]", "[23789]|10"))

TORCHVISION_MOBILENET_V3 = NameMap(
    [
        *_conv_norms(
            _STEM,
            *_units(r"features\.(?P<n>1)\.block\.", "depthwise", "project"),
            *_units(_OTHER, "expand", "depthwise", "project"),
            *_units(_SQUEEZING, "expand", "depthwise", None, "project"),
            (r"features\.16\.0", r"features\.16\.1", "head"),
        ),
        *layer(rf"{_SQUEEZING}2\.(?P<f>fc[12])", rf"{_BLOCK}squeeze/\g<f>", POINTWISE),
    ],
    dropped=[COUNTERS],
)
"""The same network under torchvision's names."""


def _resnest() -> NameMap:
    stem = ((r"conv1\.0", r"conv1\.1"), (r"conv1\.3", r"conv1\.4"), (r"conv1\.6", "bn1"))
    rules = []
    for number, (conv, norm) in enumerate(stem):
        rules += [Rule(rf"{conv}\.weight", f"stem_{number}/kernel", CONV)]
        rules += frozen(norm, f"stem_bn_{number}")
    for stage in range(3):
        block, ours = rf"layer{stage + 1}\.(?P<b>\d+)\.", rf"stage_{stage}_block_\g<b>/"
        rules += [
            Rule(rf"{block}(?P<n>conv[13])\.weight", rf"{ours}\g<n>/kernel", CONV),
            *frozen(rf"{block}(?P<n>bn[13])", rf"{ours}\g<n>"),
            Rule(rf"{block}conv2\.conv\.weight", f"{ours}split/kernel", CONV),
            *frozen(rf"{block}conv2\.(?P<n>bn[01])", rf"{ours}split/\g<n>"),
            *layer(rf"{block}conv2\.(?P<n>fc[12])", rf"{ours}split/\g<n>", CONV),
            Rule(rf"{block}downsample\.1\.weight", f"{ours}shortcut/kernel", CONV),
            *frozen(rf"{block}downsample\.2", f"{ours}shortcut_bn"),
        ]
    return NameMap(rules, dropped=[COUNTERS])


RESNEST = _resnest()

ENCODERS = {
    "mobilenet_v2": MOBILENET_V2,
    "mobilenet_v3": MOBILENET_V3,
    "resnet50": resnet(),
    "resnet101": resnet(),
    "resnest50": RESNEST,
    "resnest101": RESNEST,
    "swin_base": SWIN,
}
"""The map of each `nn.encoders` network alone."""
