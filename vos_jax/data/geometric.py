"""Geometric operations of the published recipes: affine maps, resizing, crops and padding.

Affine maps follow torchvision on Pillow: about the image's centre, points sampled without
antialiasing. They are computed by OpenCV, whose cubic (a = -0.75 on a grid of 1/32 pixel,
against Pillow's a = -1) differs by 0.6 grey levels on average and by up to 20 at strong edges
of a photograph; of nearest labels, up to 0.4 % lie on the other side of a border. Shrinking
wants antialiasing, which OpenCV's cubic lacks: where a recipe resizes by Pillow, so do we.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from vos_jax.core.labels import VOID
from vos_jax.data.operations import FILL, Change
from vos_jax.data.warps import (
    Crop,
    Projection,
    Size,
    about_centre,
    random_affine,
    random_perspective,
    resize_labels,
)


@dataclass(frozen=True)
class RandomAffine:
    """Rotation, horizontal shear, enlargement and shift, as torchvision's `RandomAffine`.

    Attributes:
        rotate: largest angle, degrees.
        shear: largest angle, degrees.
        scale: range of enlargement.
        translate: largest shift, fraction of each side; rounded to whole pixels.
        interpolation: of frames.
        label_interpolation: of labels.
        fill: colour outside the source.
    """

    rotate: float = 0.0
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    translate: float = 0.0
    interpolation: str = "bicubic"
    label_interpolation: str = "nearest"
    fill: tuple[int, int, int] = FILL

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Projection:
        """Draws every amount uniformly."""
        turn, slant = np.deg2rad(
            [rng.uniform(-self.rotate, self.rotate), rng.uniform(-self.shear, self.shear)]
        )
        rotation = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        linear = rng.uniform(*self.scale) * np.array(rotation) @ [[1, -np.tan(slant)], [0, 1]]
        reach = np.multiply(self.translate, labels.shape[::-1])
        return Projection(
            about_centre(labels.shape, linear, np.rint(rng.uniform(-reach, reach))),
            interpolation=self.interpolation,
            label_interpolation=self.label_interpolation,
            fill=self.fill,
        )


@dataclass(frozen=True)
class RandomPerspective:
    """Stretches a random quadrilateral to the whole image; no pixel is invented.

    Attributes:
        strength: how far corners move inwards, standard deviation as a fraction of each side.
    """

    strength: float

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Projection:
        """Draws the corners."""
        return random_perspective(rng, labels.shape, (self.strength, self.strength))


@dataclass(frozen=True)
class RandomMove:
    """Rotation and shift with linear interpolation, black outside: imgaug's `Affine`.

    Attributes:
        rotate: largest angle, degrees.
        translate: largest shift, fraction of each side.
    """

    rotate: float
    translate: float

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Projection:
        """Draws every amount uniformly."""
        return random_affine(rng, labels.shape, rotate=self.rotate, translate=self.translate)


@dataclass(frozen=True)
class Resize:
    """A part of an image at another size: Pillow's antialiased bicubic, labels nearest.

    Attributes:
        size: (h, w) of the result.
        part: the part of the source; None for all of it.
    """

    size: Size
    part: Crop | None = None

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Interpolates inside the part only, as if cut out first."""
        image = Image.fromarray(self._cut(frame))
        return np.asarray(image.resize(self.size[::-1], Image.Resampling.BICUBIC))

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel, sampling at pixel centres."""
        return resize_labels(self._cut(labels), self.size)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel."""
        return self.labels(valid)

    def _cut(self, image: np.ndarray) -> np.ndarray:
        return image if self.part is None else self.part.cut(image)


@dataclass(frozen=True)
class ResizeShortSide:
    """Resizes the shorter side to a length; the longer one is cut to whole pixels.

    Attributes:
        length: pixels.
    """

    length: int

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Nothing is random."""
        short = min(labels.shape)
        return Resize(tuple(self.length * side // short for side in labels.shape))


@dataclass(frozen=True)
class RandomResizedCrop:
    """A part of random area and aspect ratio, resized: torchvision's `RandomResizedCrop`.

    Attributes:
        size: side of the square result.
        area: range of the part's share of the image.
        aspect: range of width over height, drawn evenly in its logarithm.
        attempts: how many parts are tried; then the largest central part of allowed aspect.
    """

    size: int
    area: tuple[float, float]
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    attempts: int = 10

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws area and aspect ratio until they fit, then a position."""
        return Resize((self.size, self.size), self._part(rng, *labels.shape))

    def _part(self, rng: np.random.Generator, height: int, width: int) -> Crop:
        for _ in range(self.attempts):
            area = rng.uniform(*self.area) * height * width
            aspect = math.exp(rng.uniform(*np.log(self.aspect)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return _random_part(rng, (height, width), (h, w))
        w = min(width, round(height * self.aspect[1]))
        h = min(height, round(width / self.aspect[0]))
        return Crop((height - h) // 2, (width - w) // 2, h, w)


@dataclass(frozen=True)
class Rescale:
    """Scales both sides by a factor: OpenCV's cubic, labels by OpenCV's nearest."""

    factor: float

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Interpolates cubically, without antialiasing."""
        return self._scale(frame, cv2.INTER_CUBIC)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Takes the pixel that begins at or before the place sought."""
        return self._scale(labels, cv2.INTER_NEAREST)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """The same for what is known."""
        return self.labels(valid.view(np.uint8)).view(np.bool_)

    def _scale(self, image: np.ndarray, interpolation: int) -> np.ndarray:
        return cv2.resize(image, None, fx=self.factor, fy=self.factor, interpolation=interpolation)


@dataclass(frozen=True)
class RandomScale:
    """Scales the shorter side to a length times a random factor, as AOT does for video.

    Attributes:
        short_side: pixels.
        factor: its range.
    """

    short_side: int
    factor: tuple[float, float]

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws the factor uniformly."""
        return Rescale(rng.uniform(*self.factor) * self.short_side / min(labels.shape))


@dataclass(frozen=True)
class Cut:
    """Keeps a part of the image at its own size."""

    part: Crop

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """The part, not copied."""
        return self.part.cut(frame)

    labels = valid = frame


@dataclass(frozen=True)
class RandomCrop:
    """A square part at a uniform position; sides shorter than it stay whole.

    Attributes:
        size: side of the part.
        min_area: a position is good when an object of the deciding labels has more pixels than
            this in the part; None accepts all.
        attempts: how many positions are tried; the last is taken whatever it shows.
    """

    size: int
    min_area: int | None = None
    attempts: int = 5

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws positions until one is good."""
        sides = tuple(min(self.size, side) for side in labels.shape)
        for _ in range(self.attempts):
            part = _random_part(rng, labels.shape, sides)
            if self.min_area is None or sides == labels.shape:
                break
            if np.bincount(part.cut(labels).ravel(), minlength=2)[1:VOID].max() > self.min_area:
                break
        return Cut(part)


@dataclass(frozen=True)
class Padding:
    """Adds borders: (top, bottom, left, right) in pixels."""

    borders: tuple[int, int, int, int]
    fill: tuple[int, int, int] = FILL

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Borders of the fill colour."""
        return self._pad(frame, self.fill)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Borders of background."""
        return self._pad(labels, 0)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Borders that are no image."""
        return self._pad(valid.view(np.uint8), 0).view(np.bool_)

    def _pad(self, image: np.ndarray, value) -> np.ndarray:
        return cv2.copyMakeBorder(image, *self.borders, cv2.BORDER_CONSTANT, value=value)


@dataclass(frozen=True)
class PadToSize:
    """Pads shorter sides to a length, split between the two borders at random.

    Attributes:
        size: side of the square that is filled at least.
    """

    size: int

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws the split uniformly."""
        missing = [max(0, self.size - side) for side in labels.shape]
        top, left = (int(rng.integers(length + 1)) for length in missing)
        return Padding((top, missing[0] - top, left, missing[1] - left))


def _random_part(rng: np.random.Generator, size: Size, sides: Size) -> Crop:
    top, left = (int(rng.integers(n - m + 1)) for n, m in zip(size, sides, strict=True))
    return Crop(top, left, *sides)
