"""The published variants of AOT and DeAOT, as settings of `Aot`."""

from collections.abc import Mapping

from vos_jax.core.errors import ConfigError

_SIZES = {
    "t": {"depth": 1},
    "s": {"depth": 2},
    "b": {"depth": 3},
    "l": {"depth": 3, "memory_gap": 5, "train_memory_gap": 2},
}
_SWIN = {"backbone": "swin_base", "align_corners": False}
_BACKBONES = {
    "r50_aotl": {"backbone": "resnet50"},
    "r101_aotl": {"backbone": "resnet101"},
    "rs101_aotl": {"backbone": "resnest101"},
    "swinb_aotl": _SWIN,
    "r50_deaotl": {"backbone": "resnet50"},
    "swinb_deaotl": _SWIN,
}
VARIANTS = tuple(f"{family}{size}" for family in ("aot", "deaot") for size in _SIZES) + tuple(
    _BACKBONES
)
"""The names, as the official configs have them."""


def model_settings(variant: str) -> dict:
    """What distinguishes a variant from the defaults of `Aot`, its family included.

    Raises:
        ConfigError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"no variant {variant!r} of AOT; choose one of {', '.join(VARIANTS)}")
    family = "deaot" if "deaot" in variant else "aot"
    backbone = _BACKBONES.get(variant, {"backbone": "mobilenet_v2"})
    return {"family": family, **backbone, **_SIZES[variant[-1]]}


def no_decay(settings: Mapping) -> tuple[str, ...]:
    """File-name patterns of the parameters of such a network that have no weight decay."""
    patterns = ["*/bias", "*/scale", "decoder/conv_out/kernel"]
    if settings["family"] == "aot":
        patterns.append("*/relative_value")
    if settings["backbone"].startswith("swin"):
        patterns.append("*/relative_position_bias_table")
    return tuple(patterns)
