"""Frames whose objects are drawn in one PNG."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data_prep.sources import image_frame, read_input
from vos_jax.core.errors import MaskError
from vos_jax.core.labels import VOID
from vos_jax.data.frames import Frame, Objects
from vos_jax.io.images import decode_mask, encode_mask

SALIENT_ABOVE = 127
_PNG = b"\x89PNG"
_PNG_COLOUR_TYPE_AT = 25
_PNG_PALETTE = 3


@dataclass(frozen=True)
class MaskFrame:
    """One frame; see `FrameSource`.

    Attributes:
        root: the folder that the paths are relative to.
        video: name of the video.
        time: position in the video.
        source: path of the image.
        mask: path of its mask, or None.
        kind: what the mask's values mean; see `read_labels`.
        categories: category by object id.
    """

    root: Path
    video: str
    time: int
    source: str
    mask: str | None
    kind: str = "ids"
    categories: Mapping[int, int] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Image and mask."""
        image = self.root / self.source
        return (image,) if self.mask is None else (image, self.root / self.mask)

    def load(self) -> Frame:
        """Checks and reads image and mask; a palette PNG of ids is kept byte for byte."""
        frame = image_frame(self.inputs[0], self.video, self.time, self.source)
        if self.mask is None:
            return frame
        path = self.inputs[1]
        data = read_input(path)
        labels = read_labels(data, str(path), (frame.height, frame.width), self.kind)
        palette = data.startswith(_PNG) and data[_PNG_COLOUR_TYPE_AT] == _PNG_PALETTE
        if not palette or self.kind not in ("ids", "instances"):
            data = encode_mask(labels)
        objects = label_objects(labels, self.categories)
        return replace(frame, annotated=True, mask=data, objects=objects)


def read_labels(data: bytes, name: str, size: tuple[int, int], kind: str) -> np.ndarray:
    """Decodes an encoded mask to object ids, uint8 [h, w].

    Args:
        data: the file.
        name: stands in errors.
        size: (h, w) it must have.
        kind: `ids`: the values are ids, 255 is void. `instances`: the same, but a grey mask of 0
            and 255 only has one object. `foreground`: all but 0 is object 1. `saliency`: values
            above 127 are object 1, or the value 1 if there is no other.

    Raises:
        MaskError: it cannot be decoded, has another size, or no value above 127 but small ones.
    """
    labels = decode_mask(data, name, binary=kind == "instances", size=size)
    if kind not in ("foreground", "saliency"):
        return labels
    graded = kind == "saliency" and labels.max() > 1
    salient = labels > (SALIENT_ABOVE if graded else 0)
    if labels.any() and not salient.any():
        raise MaskError(
            f"{name}: no value is above {SALIENT_ABOVE}, the largest is {labels.max()}; "
            "it looks like object ids, not like a grey mask of one object"
        )
    return salient.astype(np.uint8)


def label_objects(labels: np.ndarray, categories: Mapping[int, int]) -> Objects:
    """The objects of a label map (uint8 [h, w]; 0 and 255 are none) with areas and boxes.

    Args:
        labels: object ids.
        categories: category by object id; 0 for ids that are not in it.
    """
    areas = np.bincount(labels.ravel(), minlength=VOID + 1)
    ids = np.flatnonzero(areas[:VOID])
    ids = ids[ids > 0]
    boxes = np.zeros((len(ids), 4), np.float32)
    for box, object_id in zip(boxes, ids, strict=True):
        rows = np.flatnonzero((labels == object_id).any(axis=1))
        columns = np.flatnonzero((labels == object_id).any(axis=0))
        box[:] = columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1
    return Objects(
        ids=ids,
        categories=np.array([categories.get(i, 0) for i in ids.tolist()], np.int64),
        areas=areas[ids].astype(np.float32),
        boxes=boxes,
        crowds=np.zeros(len(ids), bool),
    )
