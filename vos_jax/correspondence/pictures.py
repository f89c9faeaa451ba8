"""Pictures brought to sizes that can be compared, and heat drawn over them."""

import cv2
import numpy as np

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Size, by_shorter_side

STRIDE = 16
"""Pixels of a side of the cells that are compared."""

RED = np.array([255, 0, 0], np.float32)


def fit(source: np.ndarray, target: np.ndarray, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduces the source to a short side, and scales the target to fit inside the result.

    Args:
        source: uint8 [h, w, 3].
        target: likewise, of any size; it keeps its proportions.
        short_side: in pixels; a source with a shorter one keeps its size, and with 0 both do.

    Raises:
        ConfigError: a negative short side.
    """
    if short_side < 0:
        raise ConfigError(f"a short side of {short_side} pixels cannot be; 0 leaves pictures alone")
    if short_side == 0:
        return source, target
    height, width = source.shape[:2]
    if min(height, width) > short_side:
        height, width = by_shorter_side((height, width), short_side)
    scale = min(height / target.shape[0], width / target.shape[1])
    inside = tuple(max(1, round(scale * side)) for side in target.shape[:2])
    return scaled(source, (height, width)), scaled(target, inside)


def scaled(picture: np.ndarray, size: Size) -> np.ndarray:
    """A picture at another height and width: averaged where smaller, bicubic where larger."""
    if picture.shape[:2] == size:
        return picture
    smaller = size[0] < picture.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(picture, size[::-1], interpolation=kind)


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Dims a picture and tints it red by twice the heat, as the official tool does.

    Args:
        picture: uint8 [h, w, 3] RGB.
        heat: [h, w] in [0, 1].

    Returns:
        A new picture; values are cut to whole numbers.
    """
    value = np.clip(2 * heat, 0, 1)[..., None]
    dimmed = picture * (0.7 * (1 - value) + 0.3 * value)
    return (dimmed + RED * 0.7 * value).astype(np.uint8)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures in one, the lower one with black rows below it."""
    height = max(left.shape[0], right.shape[0])
    rows = [np.pad(each, [(0, height - each.shape[0]), (0, 0), (0, 0)]) for each in (left, right)]
    return np.concatenate(rows, axis=1)


def size_text(picture: np.ndarray) -> str:
    """Width x height of a picture or mask, for messages."""
    return f"{picture.shape[1]}x{picture.shape[0]}"


def grey(heat: np.ndarray) -> np.ndarray:
    """A heat map in [0, 1] as uint8."""
    return np.rint(255 * heat).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """A picture, uint8 [h, w] grey or [h, w, 3] RGB, as PNG that is quick to make."""
    stored = np.ascontiguousarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    _, png = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return png.tobytes()
