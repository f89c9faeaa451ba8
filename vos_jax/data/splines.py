"""Thin-plate-spline warps: a smooth bending of the image that moves a few control points.

Facts: 8.7 of the specification of Mask-Propagation; `dataset/tps.py` of its repository.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vos_jax.data.operations import Change
from vos_jax.data.warps import Size

LOG_OFFSET = 1e-6


def spline_maps(source: np.ndarray, target: np.ndarray, size: Size) -> tuple[np.ndarray, ...]:
    """Where each pixel of the warped image comes from.

    The spline U(r) = r^2 log(r + 1e-6) with an affine part takes the target points to the
    source points exactly. Coordinates are fractions of the sides; the pixels of a side are
    spread evenly over [0, 1], ends included.

    Args:
        source: [n, 2], (x, y) of the control points in the source image.
        target: [n, 2], the same points in the warped image.
        size: (h, w) of the image.

    Returns:
        Columns and rows of the source image in pixels, each float32 [h, w].
    """
    count = len(source)
    squares = ((target[:, None] - target) ** 2).sum(-1)
    affine = np.column_stack([np.ones(count), target])
    system = np.block([[_kernel(squares), affine], [affine.T, np.zeros((3, 3))]])
    moves = np.concatenate([source - target, np.zeros((3, 2))])
    weights = np.linalg.solve(system, moves).astype(np.float32)
    y, x = (np.linspace(0, 1, side, dtype=np.float32) for side in size)
    bumps = np.empty((count, *size), np.float32)
    for bump, (across, down) in zip(bumps, target.astype(np.float32), strict=True):
        bump[:] = _kernel((x - across) ** 2 + (y[:, None] - down) ** 2)
    bent = np.tensordot(weights[:count], bumps, (0, 0))
    shift, by_x, by_y = weights[count:, :, None, None]
    bent += shift + by_x * x + by_y * y[:, None]
    return (bent[0] + x) * np.float32(size[1]), (bent[1] + y[:, None]) * np.float32(size[0])


def _kernel(squares: np.ndarray) -> np.ndarray:
    """U of squared distances; the offset shifts results by less than 1e-6."""
    return cv2.log(squares + np.asarray(LOG_OFFSET**2, squares.dtype)) * (squares / 2)


@dataclass(frozen=True, eq=False)
class Remap:
    """Takes every pixel from a place of the source: columns and rows, float32 [h, w]."""

    columns: np.ndarray
    rows: np.ndarray

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Interpolates linearly; black outside the source."""
        return self._remap(frame, cv2.INTER_LINEAR)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel."""
        return self._remap(labels, cv2.INTER_NEAREST)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Takes the nearest pixel."""
        return self.labels(valid.view(np.uint8)).view(np.bool_)

    def _remap(self, image: np.ndarray, interpolation: int) -> np.ndarray:
        return cv2.remap(image, self.columns, self.rows, interpolation)


@dataclass(frozen=True)
class ThinPlateSpline:
    """A spline warp of random control points.

    Attributes:
        points: number of control points, no two in one row or column of pixels.
        noise: standard deviation of their moves, as a fraction of each side.
    """

    points: int = 12
    noise: float = 0.02

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws the points, then their moves."""
        rows, columns = (rng.choice(n, self.points, replace=False) / n for n in labels.shape)
        source = np.column_stack([columns, rows])
        target = source + rng.normal(0, self.noise, source.shape)
        return Remap(*spline_maps(source, target, labels.shape))
