"""HODOR's two augmentations: a still image becomes a clip, a clip of video is varied.

Facts: spec of HODOR, 14.4 (stills) and 14.5 (video). Both return clips at the size of the
source; resizing to a canvas follows in `canvases`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from vos_jax.core.errors import ConfigError
from vos_jax.data.colour import ColourJitter
from vos_jax.data.crops import crop_keeping_objects, keeps_objects, object_areas, random_crop
from vos_jax.data.warps import (
    Size,
    Warp,
    random_affine,
    random_border_crop,
    random_perspective,
    warp_all,
)

FACTORS = (0.6, 0.7, 0.8)
WIDER_FACTORS = (0.6, 0.7, 0.8, 0.9)
STILL_WARPS = ("affine", "perspective", "border_crop")


@dataclass(frozen=True, eq=False)
class Sample:
    """One training clip with objects 1..o, before it is put on a canvas.

    Attributes:
        frames: uint8 [t, h, w, 3], RGB.
        labels: uint8 [t, h, w], object numbers, 0 background.
        valid: bool [t, h, w], False where a warp invented pixels.
        present: bool [t, o], whether any pixel of the object is on the frame.
        labelled: bool [t], whether the frame's labels are known.
        given: uint8 [h, w, o], planes of frame 0 in 255ths where they differ from its labels.
        categories: int32 [o], classes of the objects, where they are asked for.
    """

    frames: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    present: np.ndarray
    labelled: np.ndarray
    given: np.ndarray | None = None
    categories: np.ndarray | None = None


@dataclass(frozen=True)
class StillAugmentation:
    """Makes a clip of a still image; the defaults are HODOR's.

    One colour change for all frames; then, with probability `crop_share`, the crop variant,
    else the warp variant; then a mirror image of the whole clip with probability 1/2. The
    masks' presence is taken after the change of geometry.

    Attributes:
        others: frames after the reference frame.
        min_area: pixels an object must keep on a cropped reference frame.
        crop_share: probability of the crop variant.
        warps: kinds of warp to choose from, with equal probability, of `STILL_WARPS`.
        translate: affine warp: largest shift, fraction of each side.
        rotate: affine warp: largest angle, degrees.
        shear: affine warp: largest angle, degrees.
        scale: affine warp: range of enlargement.
        perspective: perspective warp: range of the corners' spread, fraction of each side.
        border: border crop: range of the fraction cut off each side.
        crop_rotate: crop variant: largest angle of the affine warp half of the frames get.
        crop_shear: crop variant: its shear.
        colour: ranges of the colour change.
    """

    others: int = 2
    min_area: int = 2000
    crop_share: float = 0.5
    warps: tuple[str, ...] = STILL_WARPS
    translate: float = 0.25
    rotate: float = 20.0
    shear: float = 10.0
    scale: tuple[float, float] = (1.0, 1.0)
    perspective: tuple[float, float] = (0.10, 0.12)
    border: tuple[float, float] = (0.10, 0.25)
    crop_rotate: float = 10.0
    crop_shear: float = 5.0
    colour: ColourJitter = field(default_factory=ColourJitter)

    def __post_init__(self):
        """Refuses unknown kinds of warp."""
        unknown = set(self.warps) - set(STILL_WARPS)
        if unknown or not self.warps:
            raise ConfigError(f"warps must name some of {STILL_WARPS}, not {self.warps}")

    def __call__(
        self, frame: np.ndarray, labels: np.ndarray, objects: int, rng: np.random.Generator
    ) -> Sample:
        """Draws a clip.

        Args:
            frame: uint8 [h, w, 3], RGB.
            labels: uint8 [h, w], objects 1..objects.
            objects: number of objects o.
            rng: every random choice comes from it.
        """
        frame = self.colour.draw(rng).apply(frame)
        if rng.random() < self.crop_share:
            views = self._crop_views(labels, objects, rng)
        else:
            views = self._warp_views(labels.shape, rng)
        frames, all_labels, valid = zip(
            *(warp_all(frame, labels, warps) for warps in views), strict=True
        )
        return _sample(frames, all_labels, valid, objects, rng.random() < 0.5)

    def _warp_views(self, size: Size, rng: np.random.Generator) -> list[tuple[Warp, ...]]:
        return [(), *((self._warp(size, rng),) for _ in range(self.others))]

    def _warp(self, size: Size, rng: np.random.Generator) -> Warp:
        kind = self.warps[rng.integers(len(self.warps))]
        if kind == "affine":
            return random_affine(
                rng,
                size,
                rotate=self.rotate,
                shear=self.shear,
                translate=self.translate,
                scale=self.scale,
            )
        if kind == "perspective":
            return random_perspective(rng, size, self.perspective)
        return random_border_crop(rng, size, self.border)

    def _crop_views(
        self, labels: np.ndarray, objects: int, rng: np.random.Generator
    ) -> list[tuple[Warp, ...]]:
        size = labels.shape
        views = [
            crop_keeping_objects(
                rng,
                labels,
                objects,
                min_area=self.min_area,
                factors=FACTORS,
                wider_factors=WIDER_FACTORS,
            )
        ]
        factor = FACTORS[rng.integers(len(FACTORS))]
        for _ in range(self.others):
            warps = [random_crop(rng, size, factor)]
            if rng.random() < 0.5:
                warps.append(
                    random_affine(rng, size, rotate=self.crop_rotate, shear=self.crop_shear)
                )
            views.append(tuple(warps))
        return views


@dataclass(frozen=True)
class VideoAugmentation:
    """Varies a clip of real video, all frames alike; the defaults are HODOR's.

    A mirror image with probability 1/2, colour, then with probability `crop_share` a crop that
    keeps the reference's objects, else an affine or perspective warp accepted only if it keeps
    them. Presence is taken from the labels after all that; the original takes it before, so
    that an object cropped out of a later frame counts as present there.

    Attributes:
        min_area: pixels a reference object must keep.
        crop_share: probability of the crop.
        attempts: how many warps are tried.
        rotate: largest angle, degrees.
        shear: largest angle, degrees.
        perspective: range of the corners' spread, fraction of each side.
        colour: ranges of the colour change.
        colour_per_frame: draw it for every frame (sparse video), not once for the clip.
    """

    min_area: int = 2000
    crop_share: float = 0.5
    attempts: int = 3
    rotate: float = 20.0
    shear: float = 10.0
    perspective: tuple[float, float] = (0.08, 0.10)
    colour: ColourJitter = field(default_factory=lambda: ColourJitter(brightness=20))
    colour_per_frame: bool = False

    def __call__(
        self,
        frames: Sequence[np.ndarray],
        labels: Sequence[np.ndarray],
        objects: int,
        rng: np.random.Generator,
    ) -> Sample:
        """Varies a clip.

        Args:
            frames: t arrays uint8 [h, w, 3], RGB.
            labels: t arrays uint8 [h, w], objects 1..objects; those of frame 0 the reference.
            objects: number of objects o.
            rng: every random choice comes from it.
        """
        mirrored = rng.random() < 0.5
        change = self.colour.draw(rng)
        changes = [change if not self.colour_per_frame else self.colour.draw(rng) for _ in frames]
        frames = [change.apply(frame) for change, frame in zip(changes, frames, strict=True)]
        warps = self._warps(labels[0], objects, rng)
        frames, labels, valid = zip(
            *(warp_all(f, m, warps) for f, m in zip(frames, labels, strict=True)), strict=True
        )
        return _sample(frames, labels, valid, objects, mirrored)

    def _warps(
        self, labels: np.ndarray, objects: int, rng: np.random.Generator
    ) -> tuple[Warp, ...]:
        if rng.random() < self.crop_share:
            return crop_keeping_objects(
                rng,
                labels,
                objects,
                min_area=self.min_area,
                factors=FACTORS,
                wider_factors=WIDER_FACTORS,
            )
        before = object_areas(labels, objects)
        for _ in range(self.attempts):
            if rng.random() < 0.5:
                warp = random_affine(rng, labels.shape, rotate=self.rotate, shear=self.shear)
            else:
                warp = random_perspective(rng, labels.shape, self.perspective)
            if keeps_objects(before, object_areas(warp.labels(labels), objects), self.min_area):
                return (warp,)
        return ()


def _sample(
    frames: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    valid: Sequence[np.ndarray],
    objects: int,
    mirrored: bool,
) -> Sample:
    if mirrored:
        frames, labels = ([cv2.flip(image, 1) for image in part] for part in (frames, labels))
        valid = [plane[:, ::-1] for plane in valid]
    present = [object_areas(mask, objects) > 0 for mask in labels]
    clip = (np.stack(part) for part in (frames, labels, valid))
    return Sample(*clip, present=np.stack(present), labelled=np.ones(len(frames), bool))
