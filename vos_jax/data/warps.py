"""Geometric changes that move a frame and its labels together: projections and crops.

A warp is one drawn change with the methods `frame` (smooth) and `labels` (nearest); both keep
the size. What a warp cannot know, because it lies outside the source, has label 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

Size = tuple[int, int]

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
}


class Warp(Protocol):
    """A change of geometry that keeps the size of what it is applied to."""

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """The warped frame, uint8 [h, w] or [h, w, c]."""

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """The warped labels, uint8 [h, w], each value one of the source's or 0."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A projective map that samples points, without antialiasing.

    Attributes:
        matrix: [3, 3], takes (x, y, 1) of the source to the result; pixel centres are whole
            numbers.
        interpolation: of frames, a key of `INTERPOLATIONS`.
        label_interpolation: of labels; other than "nearest" for soft planes of one object.
        fill: colour of a frame outside the source.
    """

    matrix: np.ndarray
    interpolation: str = "bilinear"
    label_interpolation: str = "nearest"
    fill: tuple[int, int, int] = (0, 0, 0)

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Interpolates; at the source's rim towards the fill colour.

        OpenCV warps four channels bilinearly twice as fast as three, to the same result.
        """
        if self.interpolation != "bilinear":
            return self._warp(frame, self.interpolation, self.fill)
        warped = self._warp(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA), "bilinear", self.fill)
        return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel, unless set otherwise."""
        return self._warp(labels, self.label_interpolation, 0)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel."""
        return self._warp(valid.view(np.uint8), "nearest", 0).view(np.bool_)

    def _warp(self, image: np.ndarray, interpolation: str, fill) -> np.ndarray:
        size = image.shape[1::-1]
        how = {"flags": INTERPOLATIONS[interpolation], "borderValue": fill}
        if np.array_equal(self.matrix[2], (0, 0, 1)):
            return cv2.warpAffine(image, self.matrix[:2], size, **how)
        return cv2.warpPerspective(image, self.matrix, size, **how)


@dataclass(frozen=True)
class Crop:
    """A part of the image, enlarged to the size of the whole (cubic; labels nearest)."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part at its own size."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Interpolates cubically."""
        return cv2.resize(self.cut(frame), frame.shape[1::-1], interpolation=cv2.INTER_CUBIC)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel, sampling at pixel centres."""
        return resize_labels(self.cut(labels), labels.shape)


def warp_all(
    frame: np.ndarray, labels: np.ndarray, warps: Sequence[Warp]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Applies warps one after the other.

    Args:
        frame: uint8 [h, w, 3].
        labels: uint8 [h, w], below 255.
        warps: in order of application.

    Returns:
        The frame, the labels and `valid`, bool [h, w]: False where a warp invented pixels.
    """
    marks = cv2.add(labels, 1)
    for warp in warps:
        frame, marks = warp.frame(frame), warp.labels(marks)
    return frame, cv2.subtract(marks, 1), marks > 0


def affine(
    size: Size,
    *,
    rotate: float = 0.0,
    shear: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    translate: tuple[float, float] = (0.0, 0.0),
) -> Projection:
    """An affine map about the centre of the image.

    Args:
        size: (h, w) in pixels.
        rotate: degrees, clockwise on the screen.
        shear: degrees in x and in y, in the convention of scikit-image and imgaug 0.4: equal
            amounts act like a further rotation.
        scale: enlargement.
        translate: shift in x and y as fractions of width and height.
    """
    turn, across, down = np.deg2rad([rotate, *shear])
    rotation = [
        [np.cos(turn), -np.sin(turn + across)],
        [np.sin(turn), np.cos(turn + across)],
    ]
    linear = scale * np.array(rotation) @ [[np.cos(down), 0], [np.sin(down), 1]]
    return Projection(about_centre(size, linear, np.multiply(translate, size[::-1])))


def about_centre(size: Size, linear: np.ndarray, shift: Sequence[float]) -> np.ndarray:
    """The matrix [3, 3] of a linear map [2, 2] about the centre, then a shift (x, y) in pixels."""
    centre = (np.array(size[::-1]) - 1) / 2
    moved = centre - linear @ centre + shift
    return np.vstack([np.column_stack([linear, moved]), [0, 0, 1]])


def random_affine(
    rng: np.random.Generator,
    size: Size,
    *,
    rotate: float,
    shear: float = 0.0,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Projection:
    """An affine map drawn uniformly: angles -+ degrees, shift -+ a fraction of each side.

    One draw of the shear serves both axes, as in HODOR's training.
    """
    sheared = rng.uniform(-shear, shear)
    return affine(
        size,
        rotate=rng.uniform(-rotate, rotate),
        shear=(sheared, sheared),
        scale=rng.uniform(*scale),
        translate=tuple(rng.uniform(-translate, translate, 2)),
    )


def random_perspective(
    rng: np.random.Generator, size: Size, strength: tuple[float, float]
) -> Projection:
    """Stretches a random quadrilateral inside the image to the whole image.

    Each coordinate of each corner moves inwards by |N(0, s)| of the side, with one s for all
    drawn from the range `strength`; imgaug's `PerspectiveTransform`. No pixel is invented.
    """
    spread = rng.uniform(*strength)
    inwards = np.minimum(np.abs(rng.normal(0, spread, (4, 2))), 0.49)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    scaled = np.array(size[::-1], np.float32)
    source = (corners + inwards * (1 - 2 * corners)) * scaled - 0.5
    target = corners * scaled - 0.5
    return Projection(cv2.getPerspectiveTransform(source.astype(np.float32), target))


def random_border_crop(rng: np.random.Generator, size: Size, fraction: tuple[float, float]) -> Crop:
    """Cuts the same fraction, drawn from a range, off each of the four sides."""
    height, width = size
    part = rng.uniform(*fraction)
    top, left = round(part * height), round(part * width)
    return Crop(top, left, height - 2 * top, width - 2 * left)


def resize_frame(frame: np.ndarray, size: Size) -> np.ndarray:
    """Bilinear, half-pixel centres, no antialiasing, rounded to uint8; size is (h, w)."""
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_LINEAR)


def resize_labels(labels: np.ndarray, size: Size) -> np.ndarray:
    """Nearest with centre sampling: source index floor((i + 1/2) * in / out), as in Pillow.

    OpenCV's INTER_NEAREST_EXACT decides ties by a rounded ratio and differs there.
    """
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for old, new in zip(labels.shape, size, strict=True)
    )
    return labels[rows][:, columns]


def resize_valid(valid: np.ndarray, size: Size) -> np.ndarray:
    """A pixel is invented when more than half of it, by bilinear weight, was invented."""
    if valid.all():
        return np.ones(size, np.bool_)
    weights = valid.astype(np.uint8) * 255
    return cv2.resize(weights, size[::-1], interpolation=cv2.INTER_LINEAR) >= 128
