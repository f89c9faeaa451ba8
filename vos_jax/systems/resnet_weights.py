"""The tensors of torchvision-like ResNets, under the names that networks use."""

from vos_jax.checkpoints.names import CONV, NameMap, Rule, layer, norm

COUNTERS = r".*num_batches_tracked"
_BLOCK = r"\.(?P<b>\d+)\."


def resnet(first_stage: str = "layer1", stem: str = "", stages: int = 3) -> NameMap:
    """The map of a `nn.resnet.ResNet`, with or without biases of its convolutions.

    Args:
        first_stage: official name of the stage at stride 4; the others are layer2, layer3 ..
        stem: what stands before the official names of what comes before that stage.
        stages: their number.
    """
    rules = [*layer(f"{stem}conv1", "conv1", CONV), *frozen(f"{stem}bn1", "bn1")]
    for stage, official in enumerate((first_stage, "layer2", "layer3", "layer4")[:stages]):
        ours = rf"stage_{stage}_block_\g<b>/"
        block = official + _BLOCK
        rules += [
            *layer(block + r"(?P<n>conv[123])", ours + r"\g<n>", CONV),
            *frozen(block + r"(?P<n>bn[123])", ours + r"\g<n>"),
            *layer(block + r"downsample\.0", ours + "shortcut", CONV),
            *frozen(block + r"downsample\.1", ours + "shortcut_bn"),
        ]
    return NameMap(rules, dropped=[COUNTERS])


def residual_block(official: str, ours: str) -> list[Rule]:
    """The rules of a `nn.mask_decoder.ResidualBlock`."""
    names = (("conv1", "conv1"), ("conv2", "conv2"), ("downsample", "shortcut"))
    pairs = [layer(rf"{official}\.{theirs}", f"{ours}/{name}", CONV) for theirs, name in names]
    return [rule for pair in pairs for rule in pair]


def mask_decoder(skip: str, refine: str = "") -> NameMap:
    """The map of a `nn.mask_decoder.MaskDecoder`.

    Args:
        skip: official name of the convolution of finer maps.
        refine: of the residual block after it; "" where there is none.
    """
    rules = residual_block("compress", "compress")
    for up, stride in ((r"up_16_8\.", 8), (r"up_8_4\.", 4)):
        rules += layer(up + skip, f"skip_{stride}", CONV)
        rules += residual_block(up + "out_conv", f"out_{stride}")
        if refine:
            rules += residual_block(up + refine, f"refine_{stride}")
    return NameMap([*rules, *layer("pred", "predict", CONV)])


def frozen(official: str, ours: str) -> tuple[Rule, ...]:
    """The rules of a `nn.resnet.FrozenBatchNorm`."""
    return (
        *norm(official, ours),
        Rule(rf"{official}\.running_mean", f"{ours}/mean"),
        Rule(rf"{official}\.running_var", f"{ours}/variance"),
    )
