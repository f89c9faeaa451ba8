"""The published augmentation recipes, as chains from few settings.

A still is the same frame as often as the clip has frames. Object choice, and what a recipe does
with several clips, belong to the clip sources.
"""

from vos_jax.core.errors import ConfigError
from vos_jax.data.blur import GaussianBlur, MotionBlur
from vos_jax.data.colour import ShiftColours
from vos_jax.data.duplication import DuplicateObject
from vos_jax.data.geometric import (
    PadToSize,
    RandomAffine,
    RandomCrop,
    RandomMove,
    RandomPerspective,
    RandomResizedCrop,
    RandomScale,
    ResizeShortSide,
)
from vos_jax.data.jitter import Greyscale, Jitter
from vos_jax.data.operations import Chain, Flip, Shuffle, Step
from vos_jax.data.splines import ThinPlateSpline


def mask_propagation_stills(size: int = 384) -> Chain:
    """Stage 0 of Mask-Propagation, and of STCN and RDE: 8.7 of its specification.

    Labels are a soft plane of one object in 255ths.

    Args:
        size: side of the crop, pixels.
    """
    enlarge = RandomAffine(scale=(0.8, 1.5), interpolation="nearest")
    warp = RandomAffine(rotate=20, shear=10, scale=(0.9, 1.1), label_interpolation="bicubic")
    return Chain(
        (
            Step(enlarge, "clip"),
            Step(Flip(), "clip", 0.5),
            Step(Jitter(0.1, 0.05, 0.05, 0.05), "clip"),
            Step(Greyscale(), "clip", 0.05),
            Step(warp),
            Step(ResizeShortSide(size)),
            Step(RandomCrop(size)),
            Step(Jitter(0.1, 0.05, 0.05)),
            Step(ThinPlateSpline(), probability=0.33),
        )
    )


def mask_propagation_video(size: int = 384, area: tuple[float, float] = (0.36, 1.0)) -> Chain:
    """Stages 1 and 2 of Mask-Propagation, and video in STCN and RDE.

    Args:
        size: side of the crop, pixels.
        area: range of the crop's share of the frame; (0.25, 1) for BL30K.
    """
    return Chain(
        (
            Step(Flip(), "clip", 0.5),
            Step(RandomResizedCrop(size, tuple(area)), "clip"),
            Step(Jitter(0.1, 0.03, 0.03), "clip"),
            Step(Greyscale(), "clip", 0.05),
            Step(RandomAffine(rotate=15, shear=10)),
            Step(Jitter(0.01, 0.01, 0.01)),
        )
    )


def aot_stills(size: int = 465, version: int = 2, area: tuple[float, float] = (0.8, 1.0)) -> Chain:
    """Static images of AOT and DeAOT: 12.1 of its specification.

    Args:
        size: side of the crop, pixels.
        version: 1 or 2 of the augmentation.
        area: range of each frame's crop's share of the image.
    """
    warp = RandomAffine(rotate=20, shear=10, scale=(0.9, 1.1), translate=0.1)
    crop = Step(RandomResizedCrop(size, tuple(area)))
    start = (Step(Flip(), "clip", 0.5), Step(Flip(), "later", 0.3), Step(warp, "later"))
    if _checked(version) == 1:
        return Chain((*start, Step(Jitter(0.1, 0.1, 0.1, 0.03)), crop))
    jitter, *rest = _AOT_COLOUR
    return Chain((*start, jitter, crop, *rest))


def aot_video(size: int = 465, short_side: int = 480, version: int = 2) -> Chain:
    """Video of AOT and DeAOT: 12.3 of its specification.

    Args:
        size: side of the crop, pixels.
        short_side: length the shorter side is scaled to, before a factor of 0.7 to 1.3.
        version: 1 or 2 of the augmentation; version 1 leaves colours alone.
    """
    colour = _AOT_COLOUR if _checked(version) == 2 else ()
    return Chain(
        (
            Step(RandomScale(short_side, (0.7, 1.3)), "clip"),
            Step(RandomCrop(size, min_area=100), "clip"),
            *colour,
            Step(Flip(), "clip", 0.5),
            Step(PadToSize(size), "clip"),
        )
    )


def stem_seg_stills(rotate: float = 12, motion_blur: float = 0.25) -> Chain:
    """Image clips of STEm-Seg: 10 of its specification; frames keep the size of the image.

    Args:
        rotate: largest angle, degrees; 10 for Pascal VOC and Mapillary.
        motion_blur: its probability; 0 for Mapillary.
    """
    return Chain(
        (
            Step(Flip(), "clip", 0.5),
            Step(ShiftColours(), "later"),
            Step(RandomPerspective(0.08), "later"),
            Step(RandomMove(rotate=rotate, translate=0.1), "later"),
            Step(MotionBlur(), "later", motion_blur),
            Shuffle(),
        )
    )


def stem_seg_video(duplicate: bool = True) -> Chain:
    """Video of STEm-Seg: an object that is alone gets a copy beside it, and nothing else.

    Args:
        duplicate: False, in KITTI-MOTS, changes nothing.
    """
    return Chain((DuplicateObject(),) if duplicate else ())


_AOT_COLOUR = (
    Step(Jitter(0.4, 0.4, 0.2, 0.1), probability=0.8),
    Step(Greyscale(), probability=0.2),
    Step(GaussianBlur(), probability=0.3),
)


def _checked(version: int) -> int:
    if version not in (1, 2):
        raise ConfigError(f"version of AOT's augmentation must be 1 or 2, not {version!r}")
    return version


RECIPES = {
    "mask_propagation_stills": mask_propagation_stills,
    "mask_propagation_video": mask_propagation_video,
    "aot_stills": aot_stills,
    "aot_video": aot_video,
    "stem_seg_stills": stem_seg_stills,
    "stem_seg_video": stem_seg_video,
}
"""Recipes by the name a configuration gives."""
