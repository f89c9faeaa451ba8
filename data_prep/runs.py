"""COCO masks in any of their three forms, turned into compressed run-length codes.

Rasterised by pycocotools, so pixels are those of the COCO API (`annToRLE`).
"""

import numpy as np
from pycocotools import mask as coco_mask

from vos_jax.core.errors import AnnotationError

FARTHEST_SIDES = 10
"""Polygons may stick out of the image (COCO's do), but not by this many of its sides."""


def compressed_rle(segmentation, height: int, width: int) -> bytes:
    """The compressed count string of a mask of `height` x `width` pixels.

    Args:
        segmentation: a list of polygons (flat x, y lists), or a dict with `size` (optional)
            and `counts`: a list (uncompressed) or a string (compressed), or that string alone.
        height: of the image.
        width: of the image.

    Raises:
        AnnotationError: none of these, or counts that do not add up to the image.
    """
    size = [height, width]
    counts = segmentation
    if isinstance(segmentation, dict):
        if list(segmentation.get("size", size)) != size:
            raise AnnotationError(f"its mask is for {segmentation['size']}, the image is {size}")
        counts = segmentation.get("counts")
    elif isinstance(segmentation, list):
        return _polygons(segmentation, height, width)
    if isinstance(counts, list):
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise AnnotationError("its run lengths are not whole numbers")
        _check_sum(sum(counts), size)
        return coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)["counts"]
    if not isinstance(counts, str | bytes):
        raise AnnotationError("its mask is neither polygons nor run lengths")
    counts = counts.encode() if isinstance(counts, str) else counts
    _check_sum(int(rle_counts(counts).sum()), size)
    return counts


def rle_counts(counts: bytes) -> np.ndarray:
    """The run lengths in a compressed count string: int64, background first.

    Five bits a character, lowest first, signed; from the fourth run on the difference to the
    run before the previous one (pycocotools' `rleFrString`).

    Raises:
        AnnotationError: not such a string.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise AnnotationError("its compressed run lengths are garbage")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        value -= (1 << shift) if bits & 0x10 else 0
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise AnnotationError("its compressed run lengths are negative")
        value = shift = 0
    if shift:
        raise AnnotationError("its compressed run lengths are cut")
    return np.array(runs, np.int64)


def label_rles(labels: np.ndarray) -> dict[int, bytes]:
    """The compressed count string of every value in a label map, in one pass over the runs.

    Args:
        labels: integers [h, w].
    """
    height, width = labels.shape
    pixels = labels.ravel(order="F")
    starts = np.flatnonzero(np.diff(pixels, prepend=pixels[0] - 1))
    ends = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    found, firsts = np.unique(values[order], return_index=True)
    rles = {}
    for value, runs in zip(found.tolist(), np.split(order, firsts[1:]), strict=True):
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        after = [] if edges[-1] == pixels.size else [pixels.size]
        counts = np.diff(edges, prepend=0, append=after).tolist()
        plain = {"size": [height, width], "counts": counts}
        rles[value] = coco_mask.frPyObjects(plain, height, width)["counts"]
    return rles


def area_and_box(counts: bytes, height: int, width: int) -> tuple[float, list[float]]:
    """Pixels and bounding box (x, y, w, h) of a mask."""
    rle = {"size": [height, width], "counts": counts}
    return float(coco_mask.area(rle)), coco_mask.toBbox(rle).tolist()


def _polygons(polygons: list, height: int, width: int) -> bytes:
    if not polygons:
        raise AnnotationError("it has no polygon")
    for polygon in polygons:
        try:
            points = np.asarray(polygon, np.float64)
        except (ValueError, TypeError) as error:
            raise AnnotationError(f"a polygon is not a list of numbers ({error})") from error
        if points.ndim != 1 or len(points) < 6 or len(points) % 2:
            raise AnnotationError("a polygon is not a flat list of at least three x, y pairs")
        if not (np.abs(points) <= FARTHEST_SIDES * max(height, width)).all():
            raise AnnotationError("a polygon lies far outside the image")
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))["counts"]


def _check_sum(total: int, size: list[int]) -> None:
    if total != size[0] * size[1]:
        raise AnnotationError(
            f"its run lengths cover {total} pixels, the image {size[0]} x {size[1]} has "
            f"{size[0] * size[1]}"
        )
