"""Colour changes of uint8 RGB frames: hue, saturation, contrast and brightness.

The magnitudes and their drawing agree with the imgaug operations that the training of HODOR
(`AddToHueAndSaturation`, `LinearContrast`, `AddToBrightness`) and of STEm-Seg (`Add`,
`AddToHueAndSaturation`) uses, on RGB where they handed over BGR.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vos_jax.data.operations import Change, Repaint

HUE_STEPS = 180
CONTRAST_CENTRE = 127.0
BRIGHTNESS_SPACES = {
    "ycrcb": (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB, 0),
    "hsv": (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2),
    "hls": (cv2.COLOR_RGB2HLS, cv2.COLOR_HLS2RGB, 1),
    "lab": (cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB, 0),
    "luv": (cv2.COLOR_RGB2Luv, cv2.COLOR_Luv2RGB, 0),
    "yuv": (cv2.COLOR_RGB2YUV, cv2.COLOR_YUV2RGB, 0),
}
"""Per colour space: conversion there, conversion back, its brightness channel."""


def shift_hue_saturation(frame: np.ndarray, hue: int, saturation: int) -> np.ndarray:
    """Turns the hue and adds to the saturation.

    Args:
        frame: uint8 [h, w, 3].
        hue: steps of 2 degrees (OpenCV's hue has 180), around the circle.
        saturation: added on a scale of 255, limited to 0..255.
    """
    turned = ((np.arange(256) + hue) % HUE_STEPS).astype(np.uint8)
    hsv = cv2.add(cv2.cvtColor(frame, cv2.COLOR_RGB2HSV), (0, saturation, 0, 0))
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 0), turned), hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def scale_contrast(frame: np.ndarray, factor: float) -> np.ndarray:
    """Moves all values of a uint8 frame away from (or towards) 127 by a factor."""
    return cv2.addWeighted(frame, factor, frame, 0, (1 - factor) * CONTRAST_CENTRE)


def shift_brightness(frame: np.ndarray, amount: int, space: str = "hsv") -> np.ndarray:
    """Adds to the brightness channel of a colour space of `BRIGHTNESS_SPACES`."""
    there, back, channel = BRIGHTNESS_SPACES[space]
    added = tuple(amount if number == channel else 0 for number in range(4))
    return cv2.cvtColor(cv2.add(cv2.cvtColor(frame, there), added), back)


@dataclass(frozen=True)
class ColourChange:
    """One drawn change, to be applied to as many frames as shall share it."""

    hue: int
    saturation: int
    contrast: float
    brightness: int
    space: str

    def apply(self, frame: np.ndarray) -> np.ndarray:
        """Hue and saturation, then contrast, then brightness of a uint8 frame."""
        frame = shift_hue_saturation(frame, self.hue, self.saturation)
        frame = scale_contrast(frame, self.contrast)
        return shift_brightness(frame, self.brightness, self.space)


@dataclass(frozen=True)
class ColourJitter:
    """How strong colour changes may be; the defaults are those of HODOR's static images.

    Attributes:
        hue: largest turn, on a scale of 255 for the whole circle.
        saturation: largest change of 255.
        contrast: the factor lies in 1 -+ this.
        brightness: largest change of 255, in a colour space drawn at random.
    """

    hue: int = 12
    saturation: int = 12
    contrast: float = 0.05
    brightness: int = 25

    def draw(self, rng: np.random.Generator) -> ColourChange:
        """Draws every amount uniformly."""
        return ColourChange(
            hue=int(_whole(rng, self.hue) / 255 * HUE_STEPS),
            saturation=_whole(rng, self.saturation),
            contrast=rng.uniform(1 - self.contrast, 1 + self.contrast),
            brightness=_whole(rng, self.brightness),
            space=list(BRIGHTNESS_SPACES)[rng.integers(len(BRIGHTNESS_SPACES))],
        )


def _whole(rng: np.random.Generator, largest: int) -> int:
    return int(rng.integers(-largest, largest + 1))


@dataclass(frozen=True)
class ColourShift(Repaint):
    """A drawn change of STEm-Seg's kind."""

    values: int
    hue_saturation: int

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Adds to all values, then to hue and saturation, each limited to 0..255."""
        table = np.clip(np.arange(256) + self.values, 0, 255).astype(np.uint8)
        hue = int(self.hue_saturation / 255 * HUE_STEPS)
        return shift_hue_saturation(cv2.LUT(frame, table), hue, self.hue_saturation)


@dataclass(frozen=True)
class ShiftColours:
    """Adds to all values, or to hue and saturation, or does both: STEm-Seg's stills.

    Attributes:
        values: largest change of red, green and blue alike, of 255.
        hue_saturation: largest change of both, of 255.
    """

    values: int = 40
    hue_saturation: int = 5

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Both with probability 1/2, each alone with 1/4; every amount uniform."""
        kinds = rng.choice(2, rng.integers(1, 3), replace=False)
        return ColourShift(
            values=_whole(rng, self.values) if 0 in kinds else 0,
            hue_saturation=_whole(rng, self.hue_saturation) if 1 in kinds else 0,
        )
