"""The objects of a stored frame as pixels."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from vos_jax.core.errors import RecordError
from vos_jax.data.frames import Frame


def frame_labels(frame: Frame) -> np.ndarray:
    """The label map of a frame that stores a palette PNG: uint8 [h, w] of object ids.

    Raises:
        RecordError: the frame stores no such mask, or it cannot be decoded.
    """
    if frame.mask is None:
        raise _unusable(frame, "no palette mask is stored")
    try:
        with Image.open(io.BytesIO(frame.mask)) as image:
            labels = np.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise _unusable(frame, f"its mask cannot be decoded: {error}") from error
    if labels.shape != (frame.height, frame.width) or labels.dtype != np.uint8:
        raise _unusable(frame, f"its mask is {labels.dtype} {labels.shape}")
    return labels


def object_planes(frame: Frame) -> np.ndarray:
    """One exact plane per object of `frame.objects`, which may overlap: bool [o, h, w].

    Raises:
        RecordError: a stored mask cannot be decoded.
    """
    objects = frame.objects
    if not len(objects):
        return np.zeros((0, frame.height, frame.width), bool)
    if not objects.rles:
        return frame_labels(frame)[None] == objects.ids[:, None, None]
    from pycocotools import mask as coco_mask

    size = [frame.height, frame.width]
    try:
        planes = coco_mask.decode([{"size": size, "counts": counts} for counts in objects.rles])
    except ValueError as error:
        raise _unusable(frame, f"a run-length code cannot be decoded: {error}") from error
    return planes.transpose(2, 0, 1).view(np.bool_)


def _unusable(frame: Frame, what: str) -> RecordError:
    return RecordError(f"frame {frame.name} of {frame.video} ({frame.source}): {what}")
