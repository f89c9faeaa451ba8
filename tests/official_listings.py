"""Tensors of official checkpoint files of the space-time memory systems: shape, type by name."""

import json
import re
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
FIRST = {
    "mask_propagation": "mask_rgb_encoder.conv1.weight",
    "rde": "value_encoder.conv1.weight",
    "stcn": "value_encoder.conv1.weight",
}


def network(system: str) -> dict[str, tuple[list[int], str]]:
    """The network of several objects."""
    folder = "rde" if system == "stcn" else system
    tensors = json.loads((FIXTURES / folder / "state_dict.json").read_text())["tensors"]
    if system == "stcn":
        return {name: entry for name, entry in tensors.items() if "mem_compress" not in name}
    return tensors


def single_object(system: str) -> dict[str, tuple[list[int], str]]:
    """The network of stage 0: the first convolution that sees masks has four input channels.

    RDE's has no aggregation module.
    """
    listing = network("stcn" if system == "rde" else system)
    return listing | {FIRST[system]: ([64, 4, 7, 7], "float32")}


def resnet(depth: int) -> dict[str, tuple[list[int], str]]:
    """A torchvision ResNet-18 or ResNet-50 as published for ImageNet."""
    encoder = {50: "key_encoder.", 18: "value_encoder."}[depth]
    listing = {
        name.removeprefix(encoder).replace("res2", "layer1"): entry
        for name, entry in network("stcn").items()
        if name.startswith(encoder) and not re.search("fuser|num_batches_tracked", name)
    }
    plain = {
        name: entry
        for name, entry in listing.items()
        if not re.search(r"(conv\d|downsample\.0)\.bias", name)
    }
    features = 2048 if depth == 50 else 512
    return plain | {
        "conv1.weight": ([64, 3, 7, 7], "float32"),
        "layer4.0.conv1.weight": ([512, features // 2, 1, 1], "float32"),
        "layer4.0.bn1.weight": ([512], "float32"),
        "fc.weight": ([1000, features], "float32"),
        "fc.bias": ([1000], "float32"),
    }
