"""Random crops that keep the objects of a frame: HODOR's search for a reference view."""

from collections.abc import Sequence

import numpy as np

from vos_jax.data.warps import Crop, Size, Warp

LEAST_SHARE = 0.5


def object_areas(labels: np.ndarray, objects: int) -> np.ndarray:
    """Pixels of the objects 1..objects in labels of any shape."""
    return np.array([np.count_nonzero(labels == n) for n in range(1, objects + 1)], np.int64)


def keeps_objects(before: np.ndarray, after: np.ndarray, min_area: int) -> bool:
    """Whether every object keeps at least half its area and `min_area` pixels."""
    return bool((after >= LEAST_SHARE * before).all() and (after >= min_area).all())


def random_crop(rng: np.random.Generator, size: Size, factor: float) -> Crop:
    """A crop whose sides are `factor` of the image's, at a uniform position."""
    height, width = (round(side * factor) for side in size)
    top = int(rng.integers(size[0] - height + 1))
    left = int(rng.integers(size[1] - width + 1))
    return Crop(top, left, height, width)


def crop_around_objects(rng: np.random.Generator, labels: np.ndarray, factor: float) -> Crop | None:
    """A crop that contains the bounding box of all objects, at a uniform position.

    Returns:
        None when the box is as large as the crop on some side.
    """
    rows = np.flatnonzero(labels.any(axis=1))
    columns = np.flatnonzero(labels.any(axis=0))
    spans = []
    for side, used in zip(labels.shape, (rows, columns), strict=True):
        length = round(side * factor)
        first, last = int(used[0]), int(used[-1]) + 1
        if last - first >= length:
            return None
        start = rng.integers(max(0, last - length), min(side - length, first) + 1)
        spans.append((int(start), length))
    (top, height), (left, width) = spans
    return Crop(top, left, height, width)


def crop_keeping_objects(
    rng: np.random.Generator,
    labels: np.ndarray,
    objects: int,
    *,
    min_area: int,
    factors: Sequence[float],
    wider_factors: Sequence[float],
) -> tuple[Warp, ...]:
    """Searches a crop of the reference frame on which all its objects can be seen.

    One random crop of each factor, in order, until every object keeps half its area and
    `min_area` pixels (at the crop's own size); else, for the wider factors in order, the first
    crop that contains all objects; else the image as it is.

    Args:
        rng: draws positions.
        labels: uint8 [h, w], objects 1..objects, of which some pixel must be set.
        objects: number of objects.
        min_area: pixels.
        factors: sides of the random crops as fractions of the image's.
        wider_factors: sides of the crops around the objects.

    Returns:
        One warp, or none for the image as it is.
    """
    before = object_areas(labels, objects)
    for factor in factors:
        crop = random_crop(rng, labels.shape, factor)
        if keeps_objects(before, object_areas(crop.cut(labels), objects), min_area):
            return (crop,)
    for factor in wider_factors:
        crop = crop_around_objects(rng, labels, factor)
        if crop is not None:
            return (crop,)
    return ()
