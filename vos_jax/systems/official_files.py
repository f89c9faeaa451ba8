"""The official checkpoint files of every system: where their tensors lie and what they fill."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vos_jax.checkpoints.names import CONV, NameMap, Transform
from vos_jax.systems.aot.encoder_weights import ENCODERS, TORCHVISION_MOBILENET_V3
from vos_jax.systems.aot.variants import VARIANTS, model_settings
from vos_jax.systems.aot.weights import aot_names
from vos_jax.systems.hodor import weights as hodor
from vos_jax.systems.mask_propagation import weights as mask_propagation
from vos_jax.systems.rde import weights as rde
from vos_jax.systems.resnet_weights import resnet
from vos_jax.systems.vishv import variants as vishv_variants
from vos_jax.systems.vishv import weights as vishv

Shape = tuple[int, ...]
WRAPPER = "module."
ABSENT: Shape = ()
"""Among marks: of a tensor that is not there."""


@dataclasses.dataclass(frozen=True)
class OfficialFile:
    """One kind of file.

    Attributes:
        keys: keys of the file's outermost dictionary under one of which the tensors lie; None
            where they lie there themselves.
        names: official names and our paths.
        prefixes: only tensors whose names begin with one of these are looked at.
        fills: pattern of those parameter paths of ours that the file must fill; the others are
            left to be drawn at random.
        partial: whether the file lacks parameters that inference needs.
        settings: of the model that the file is for, where they differ from the defaults.
        marks: shapes of tensors that tell this kind from others of the same names; see `ABSENT`.
        again: our path (a folder) and a second one that the same tensors fill.
        zeros: pattern of paths that are 0 where the file has no tensor for them.
        narrow: pattern of kernels that may have fewer input channels than ours; training draws
            the others.
    """

    keys: tuple[str | None, ...]
    names: NameMap
    prefixes: tuple[str, ...] = ("",)
    fills: str = ".*"
    partial: bool = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    marks: Mapping[str, Shape] = dataclasses.field(default_factory=dict)
    again: tuple[str, str] | None = None
    zeros: str = ""
    narrow: str = ""

    def knows(self, name: str) -> bool:
        """Whether a tensor of this name is used, or left out on purpose."""
        patterns = [rule.pattern for rule in self.names.rules] + list(self.names.dropped)
        return any(re.fullmatch(pattern, name) for pattern in patterns)

    def share(self, tree: Any) -> float:
        """The share of a file's tensors that this kind knows; 0 where its marks are missing."""
        held = tree if isinstance(tree, dict) else {}
        key = next((key for key in self.keys if key is None or key in held), "")
        tensors = tree if key is None else held.get(key)
        if not isinstance(tensors, dict):
            return 0.0
        tensors = bare(tensors)
        marked = all(np.shape(tensors.get(name)) == shape for name, shape in self.marks.items())
        names = [name for name in map(str, tensors) if name.startswith(self.prefixes)]
        return sum(map(self.knows, names)) / len(names) if names and marked else 0.0


def bare(tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    """The tensors without the `module.` that training on several devices puts before all names."""
    if all(str(name).startswith(WRAPPER) for name in tensors):
        return {name.removeprefix(WRAPPER): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def looks_like(tree: Any, system: str, what: str) -> tuple[str, str] | None:
    """System and kind of the file that knows most of the tensors, more than the one named does.

    Args:
        tree: the whole content of a file.
        system: it was taken for one of this system, whose kinds are preferred.
        what: and of this kind.

    Returns:
        None where no other kind knows more than half of them.
    """
    best, found = max(OFFICIAL_FILES[system][what].share(tree), 0.5), None
    for other in sorted(OFFICIAL_FILES, key=lambda name: name != system):
        for kind, official in OFFICIAL_FILES[other].items():
            if (share := official.share(tree)) > best:
                best, found = share, (other, kind)
    return found


def _networks(
    names: NameMap, first: str, further: Mapping[str, Shape] | None = None
) -> dict[str, OfficialFile]:
    """The files that a space-time memory network's own programs write.

    Args:
        names: of the network.
        first: its first convolution that sees masks.
        further: shapes of tensors that tell its files from those of other systems.
    """
    several = {first: (64, 5, 7, 7)} | (further or {})
    return {
        "model": OfficialFile((None,), names, marks=several),
        "checkpoint": OfficialFile(("network",), names, marks=several),
        "stage0": OfficialFile(
            (None,), names, settings={"single_object": True}, marks={first: (64, 4, 7, 7)}
        ),
    }


def _resnet(bottleneck: bool, plain: str = "", with_masks: str = "") -> OfficialFile:
    """A torchvision ResNet as what training starts from.

    Args:
        bottleneck: ResNet-50, or ResNet-18.
        plain: our path of an encoder of images.
        with_masks: our path of one that sees masks too, and whose convolutions have biases.
    """
    size = 1 if bottleneck else 3
    folders = [folder for folder in (plain, with_masks) if folder]
    return OfficialFile(
        (None,),
        resnet().under("", folders[0]),
        prefixes=("conv1.", "bn1.", "layer1.", "layer2.", "layer3."),
        fills="|".join(f"{folder}.*" for folder in folders),
        partial=True,
        marks={"layer1.0.conv1.weight": (64, 64, size, size), "fc.bias": (1000,)},
        again=(plain, with_masks) if plain and with_masks else None,
        zeros=rf"{with_masks}(.*/)?(conv\d|shortcut)/bias" if with_masks else "",
        narrow=f"{with_masks}conv1/kernel" if with_masks else "",
    )


WIDENED = Transform(
    lambda x: CONV.forward(np.pad(x, [(0, 0), (0, 1), (0, 0), (0, 0)])),
    lambda x: CONV.backward(x)[:, :-1],
)
"""A convolution with one more input channel of zeros."""

_VALUE_CONV1 = "value_encoder.conv1.weight"
_STCN_RESNETS = {
    "resnet50": _resnet(True, "key_encoder/"),
    "resnet18": _resnet(False, with_masks="value_encoder/image_encoder/"),
}

_RESNET_STAGES = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.")


def _encoder(
    backbone: str,
    marks: Mapping[str, Shape],
    prefixes: tuple[str, ...],
    names: NameMap | None = None,
    keys: tuple[str | None, ...] = (None,),
    fills: str = ".*",
) -> OfficialFile:
    """An image encoder of AOT as learnt on ImageNet, which training starts from."""
    folder = "encoder/network/"
    return OfficialFile(
        keys,
        (names or ENCODERS[backbone]).under("", folder),
        prefixes,
        fills=folder + fills,
        partial=True,
        settings={"backbone": backbone},
        marks=marks,
    )


def _aot(variant: str) -> OfficialFile:
    """A checkpoint of AOT's zoo; B and L of a family differ in their settings alone."""
    settings = model_settings(variant)
    decoded = settings["depth"] + 1 if settings["family"] == "aot" else 2
    return OfficialFile(
        ("state_dict", "model", None),
        aot_names(settings["backbone"], settings["family"]),
        settings=settings,
        marks={"decoder.conv_in.conv.weight": (256, 256 * decoded, 1, 1)},
    )


_DEEP = "body.layer3.22.conv1.weight"
_DEPTHS = {"resnet50": {_DEEP: ABSENT}, "resnet101": {_DEEP: (256, 1024, 1, 1)}}


def _windowed(system: str, names: NameMap) -> dict[str, OfficialFile]:
    """The checkpoints of STEm-Seg or VIShv by data set and depth, and their encoders'."""
    files = {}
    for depth, deep in _DEPTHS.items():
        files[depth] = OfficialFile(
            (None,),
            vishv.RESNET_PYRAMID.under("", "encoder/"),
            fills="encoder/.*",
            partial=True,
            settings={"backbone": depth},
            marks={"fpn.fpn_inner1.bias": (256,), **deep},
        )
        deep = {f"backbone.{name}": shape for name, shape in deep.items()}
        for data, settings in vishv_variants.VARIANTS[system].items():
            classes = settings.get("classes", 41)
            width = settings.get("semantic_widths", (256,))[-1]
            marks = {
                "semseg_head.conv_out.weight": (classes + 1, width, 1, 1, 1) if classes else ABSENT,
                "offset_decoder.conv1_add.0.bias": (64,) if system == "vishv" else ABSENT,
            }
            files[f"{data}_{depth}"] = OfficialFile(
                ("model",), names, settings={"backbone": depth, **settings}, marks={**marks, **deep}
            )
    return files


_OUTER = {"fc.bias": (1000,)}
_SWIN_PARTS = ("patch_embed.", "layers.0.", "layers.1.", "layers.2.blocks.")

OFFICIAL_FILES: dict[str, dict[str, OfficialFile]] = {
    "hodor": {
        "model": OfficialFile(("model",), hodor.HODOR),
        "backbone": OfficialFile(
            ("state_dict",),
            hodor.SWIN.under(r"backbone\.", "extractor/swin/")
            + hodor.PYRAMID.under(r"neck\.", "extractor/pyramid/"),
            prefixes=("backbone.", "neck."),
            fills=r"extractor/swin/.*|extractor/pyramid/(lateral|output)_\d/.*",
            partial=True,
        ),
    },
    "mask_propagation": {
        **_networks(mask_propagation.MASK_PROPAGATION, "mask_rgb_encoder.conv1.weight"),
        "resnet50": _resnet(True, "query_encoder/", "memory_encoder/"),
    },
    "rde": {
        **_networks(rde.RDE, _VALUE_CONV1, {"mem_compress.compress_key.weight": (64, 64, 2, 3, 3)}),
        **_STCN_RESNETS,
    },
    "stcn": {
        **_networks(rde.STCN, _VALUE_CONV1),
        "stage0_widened": OfficialFile(
            (None,), rde.STCN.replaced(_VALUE_CONV1, WIDENED), marks={_VALUE_CONV1: (64, 4, 7, 7)}
        ),
        **_STCN_RESNETS,
    },
    "stem_seg": _windowed("stem_seg", vishv.STEM_SEG),
    "vishv": _windowed("vishv", vishv.VISHV),
    "aot": {
        **{name: _aot(name) for name in VARIANTS},
        "mobilenet_v2": _encoder(
            "mobilenet_v2", {"features.18.0.weight": (1280, 320, 1, 1)}, ("features.",)
        ),
        "mobilenet_v3": _encoder(
            "mobilenet_v3",
            {"features.16.0.weight": (960, 160, 1, 1)},
            ("features.",),
            TORCHVISION_MOBILENET_V3,
        ),
        "resnet50": _encoder("resnet50", {"conv1.weight": (64, 3, 7, 7)} | _OUTER, _RESNET_STAGES),
        "resnet101": _encoder(
            "resnet101", {"layer3.22.conv3.weight": (1024, 256, 1, 1)} | _OUTER, _RESNET_STAGES
        ),
        "resnest50": _encoder("resnest50", {"conv1.6.weight": (64, 32, 3, 3)}, _RESNET_STAGES),
        "resnest101": _encoder("resnest101", {"conv1.6.weight": (128, 64, 3, 3)}, _RESNET_STAGES),
        "swin_base": _encoder(
            "swin_base",
            {"patch_embed.proj.weight": (128, 3, 4, 4)},
            _SWIN_PARTS,
            hodor.SWIN + NameMap([], [r".*\.attn_mask"]),
            ("model", None),
            r"(?!norm_\d/).*",
        ),
    },
}
