"""Colour jitter and greyscale of torchvision on Pillow, on uint8 frames.

Against Pillow's `ImageEnhance` on the same factors: brightness and contrast are equal,
saturation differs by 1 grey level at most, hue (through OpenCV's HSV, which rounds where Pillow
truncates) by 0.4 on average and 7 at most on photographs, 13 on noise, greyscale by 1.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vos_jax.data.operations import Change, Repaint

GREY = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in grey."""


def adjust_brightness(frame: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies all values by a factor."""
    return _scale_from(frame, 0, factor)


def adjust_contrast(frame: np.ndarray, factor: float) -> np.ndarray:
    """Moves all values away from the mean grey of the frame by a factor."""
    return _scale_from(frame, int(np.dot(cv2.mean(frame)[:3], GREY) + 0.5), factor)


def _scale_from(frame: np.ndarray, centre: int, factor: float) -> np.ndarray:
    values = np.arange(256, dtype=np.float32)
    table = centre + np.float32(factor) * (values - centre)
    return cv2.LUT(frame, np.clip(table, 0, 255).astype(np.uint8))


def adjust_saturation(frame: np.ndarray, factor: float) -> np.ndarray:
    """Moves each pixel away from its own grey by a factor."""
    matrix = factor * np.eye(3) + (1 - factor) * GREY
    return cv2.transform(frame, np.column_stack([matrix, np.full(3, -0.5)]))


def adjust_hue(frame: np.ndarray, turn: float) -> np.ndarray:
    """Turns the hue by a fraction of the circle."""
    turned = ((np.arange(256) + int(turn * 255)) % 256).astype(np.uint8)
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV_FULL)
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 0), turned), hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


ADJUSTMENTS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)


@dataclass(frozen=True)
class Adjustments(Repaint):
    """Drawn adjustments: pairs of a position in `ADJUSTMENTS` and an amount, in order."""

    drawn: tuple[tuple[int, float], ...]

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Applies one after the other, each rounded to uint8."""
        for number, amount in self.drawn:
            frame = ADJUSTMENTS[number](frame, amount)
        return frame


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, saturation and hue in random order: torchvision's `ColorJitter`.

    Attributes:
        brightness: the factor lies in 1 -+ this.
        contrast: the factor lies in 1 -+ this.
        saturation: the factor lies in 1 -+ this.
        hue: largest turn, a fraction of the circle.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws the order, then every amount uniformly; what may not change is left out."""
        reach = (self.brightness, self.contrast, self.saturation, self.hue)
        centres = (1.0, 1.0, 1.0, 0.0)
        order = [int(number) for number in rng.permutation(len(reach)) if reach[number]]
        return Adjustments(tuple((n, centres[n] + rng.uniform(-reach[n], reach[n])) for n in order))


@dataclass(frozen=True)
class Greyscale(Repaint):
    """Grey in three equal channels: an operation and its own only change."""

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """The change."""
        return self

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Takes the colour away."""
        return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
