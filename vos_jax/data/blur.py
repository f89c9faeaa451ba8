"""Blurring uint8 frames: Gaussian, and along a line as by motion."""

from dataclasses import dataclass

import cv2
import numpy as np

from vos_jax.data.operations import Change, Repaint


@dataclass(frozen=True)
class Blurred(Repaint):
    """A Gaussian blur of standard deviation `sigma` pixels."""

    sigma: float

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Blurs, repeating the frame's rim."""
        return cv2.GaussianBlur(frame, (0, 0), self.sigma, borderType=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class GaussianBlur:
    """A blur of random strength.

    The Gaussian itself, where Pillow's filter of the same name makes three box blurs: 0.5 grey
    levels of difference on average on photographs.

    Attributes:
        sigma: range of the standard deviation, pixels.
    """

    sigma: tuple[float, float] = (0.1, 2.0)

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws the strength uniformly."""
        return Blurred(rng.uniform(*self.sigma))


@dataclass(frozen=True, eq=False)
class Filtered(Repaint):
    """A convolution of each channel with a kernel [k, k]."""

    kernel: np.ndarray

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Convolves, mirroring the frame at its rim."""
        return cv2.filter2D(frame, -1, self.kernel)


@dataclass(frozen=True)
class MotionBlur:
    """A blur along a line of random direction: imgaug's `MotionBlur`.

    Attributes:
        lengths: lengths of the line to choose from, odd numbers of pixels.
    """

    lengths: tuple[int, ...] = (9, 11)

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws length, direction, and which end of the line weighs more and by how much."""
        length = self.lengths[rng.integers(len(self.lengths))]
        lean = rng.uniform(-1, 1)
        kernel = np.zeros((length, length), np.float32)
        kernel[:, length // 2] = np.linspace(1 + lean, 1 - lean, length)
        centre = ((length - 1) / 2,) * 2
        turn = cv2.getRotationMatrix2D(centre, rng.uniform(0, 360), 1.0)
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        return Filtered(kernel / kernel.sum())
