"""Resizing on the device, exactly as the reference programs do it: no antialiasing, ever."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from vos_jax.core.geometry import Geometry, Size

CUBIC = 0.75
"""Minus the slope of the cubic kernel at distance 1 (PyTorch's; Pillow has 0.5)."""


def resize(
    x: Shaped[Array, "*b h w c"],
    size: Size,
    kind: str = "bilinear",
    align_corners: bool = False,
) -> Shaped[Array, "*b H W c"]:
    """Resizes the two axes before the last.

    Args:
        x: maps of any leading shape, channels last.
        size: the new height and width.
        kind: "bilinear" (two taps, clamped at the border), "nearest" (source index
            floor(i * in / out), in float32 as PyTorch), "nearest_centre"
            (floor((i + 1/2) * in / out), Pillow's rule) or "bicubic" (four taps, a = -0.75,
            clamped at the border; values may overshoot).
        align_corners: for "bilinear", whether the corner pixels' centres coincide
            (else the pixel areas' corners do).

    Returns:
        The resized maps, in the dtype of `x`; `x` itself if the size is unchanged.
    """
    for axis, length in ((x.ndim - 3, size[0]), (x.ndim - 2, size[1])):
        if x.shape[axis] == length:
            continue
        if kind == "bilinear":
            x = _bilinear_axis(x, axis, length, align_corners)
        elif kind == "bicubic":
            x = _bicubic_axis(x, axis, length)
        else:
            x = jnp.take(x, _nearest_sources(x.shape[axis], length, kind), axis=axis)
    return x


def _nearest_sources(old: int, new: int, kind: str) -> np.ndarray:
    index = np.arange(new)
    if kind == "nearest":
        step = np.float32(old) / np.float32(new)
        return np.minimum((index.astype(np.float32) * step).astype(np.int64), old - 1)
    return (2 * index + 1) * old // (2 * new)


def _bilinear_axis(x, axis: int, new: int, align_corners: bool):
    old = x.shape[axis]
    if new % old == 0 and not align_corners:
        return _enlarge_axis(x, axis, new // old)
    if align_corners:
        source = np.arange(new) * ((old - 1) / max(new - 1, 1))
    else:
        source = np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0)
    low = np.minimum(np.floor(source).astype(np.int32), old - 1)
    high = np.minimum(low + 1, old - 1)
    shape = [1] * x.ndim
    shape[axis] = new
    weight = jnp.asarray((source - low).reshape(shape), x.dtype)
    return jnp.take(x, low, axis=axis) * (1 - weight) + jnp.take(x, high, axis=axis) * weight


def _bicubic_axis(x, axis: int, new: int):
    """Keys' cubic convolution with a = -0.75, as PyTorch's."""
    old = x.shape[axis]
    source = (np.arange(new) + 0.5) * (old / new) - 0.5
    start = np.floor(source).astype(np.int32)
    shape = [1] * x.ndim
    shape[axis] = new
    total = 0
    for tap in range(-1, 3):
        weight = jnp.asarray(_cubic(np.abs(source - start - tap)).reshape(shape), x.dtype)
        total += jnp.take(x, np.clip(start + tap, 0, old - 1), axis=axis) * weight
    return total


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = ((2 - CUBIC) * distance - (3 - CUBIC)) * distance**2 + 1
    far = CUBIC * (-((distance - 5) * distance + 8) * distance + 4)
    return np.where(distance <= 1, near, far)


def _enlarge_axis(x, axis: int, factor: int):
    """Bilinear enlargement by an integer: each phase is a fixed blend of two neighbours."""
    length = x.shape[axis]
    first = jnp.take(x, np.array([0]), axis=axis)
    last = jnp.take(x, np.array([length - 1]), axis=axis)
    padded = jnp.concatenate([first, x, last], axis=axis)
    phases = []
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        start = 0 if position < 0 else 1
        weight = position - (start - 1)
        low = jnp.take(padded, np.arange(start, start + length), axis=axis)
        high = jnp.take(padded, np.arange(start + 1, start + 1 + length), axis=axis)
        phases.append(low * (1 - weight) + high * weight)
    stacked = jnp.stack(phases, axis=axis + 1)
    return stacked.reshape(*x.shape[:axis], length * factor, *x.shape[axis + 1 :])


def pad(x: Shaped[Array, "*b h w c"], geometry: Geometry) -> Shaped[Array, "*b H W c"]:
    """Zero-pads maps of resized size to network size."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*geometry.padding, (0, 0)])


def crop(x: Shaped[Array, "*b H W c"], geometry: Geometry) -> Shaped[Array, "*b h w c"]:
    """Cuts maps of network size to the part that holds the image."""
    (top, _), (left, _) = geometry.padding
    height, width = geometry.resized
    return x[..., top : top + height, left : left + width, :]
