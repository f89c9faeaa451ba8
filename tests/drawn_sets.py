"""Prepared sets of grey frames with rectangles as objects, for tests of what is drawn where."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from data_prep.write import SplitPlan, write_split
from vos_jax.data.frames import Frame, Objects
from vos_jax.data.records import RecordSet
from vos_jax.io.images import encode_mask

GREY = 100
CATEGORIES = {7: "cat", 9: "dog"}
"""Of odd and of even ids."""


@dataclass(frozen=True)
class DrawnFrame:
    """A grey frame with rectangles as objects, in one label map or each on its own.

    `boxes`: object id to (top, left, bottom, right); None: not annotated.
    """

    video: str
    time: int
    size: tuple[int, int]
    boxes: dict[int, tuple[int, int, int, int]] | None
    overlapping: bool = False

    inputs = ()

    @property
    def source(self) -> str:
        """Its name in reports."""
        return f"{self.video}/{self.time}.png"

    def load(self) -> Frame:
        """Draws it."""
        pixels = np.full((*self.size, 3), GREY, np.uint8)
        planes = np.zeros((len(self.boxes or ()), *self.size), np.uint8)
        for plane, (top, left, bottom, right) in zip(
            planes, (self.boxes or {}).values(), strict=True
        ):
            plane[top:bottom, left:right] = 1
        ids = np.array(list(self.boxes or ()), np.int64)
        labels = np.zeros(self.size, np.uint8)
        for plane, number in zip(planes, ids, strict=True):
            labels[plane > 0] = 0 if self.overlapping else number
        codes = [coco_mask.encode(np.asfortranarray(plane))["counts"] for plane in planes]
        return Frame(
            video=self.video,
            name=f"{self.time:05d}",
            time=self.time,
            source=self.source,
            image=cv2.imencode(".png", pixels)[1].tobytes(),
            height=self.size[0],
            width=self.size[1],
            annotated=self.boxes is not None,
            mask=None if self.overlapping or self.boxes is None else encode_mask(labels),
            objects=Objects(
                ids=ids,
                categories=np.where(ids % 2, 7, 9),
                areas=planes.sum(axis=(1, 2)).astype(np.float32),
                boxes=np.zeros((len(ids), 4), np.float32),
                crowds=np.zeros(len(ids), bool),
                rles=tuple(codes) if self.overlapping else (),
            ),
        )


@dataclass(frozen=True)
class DrawnVideo:
    """A video of such frames; one entry of `boxes` per frame."""

    name: str
    boxes: tuple[dict | None, ...] = field(hash=False)
    size: tuple[int, int] = (40, 60)
    overlapping: bool = False

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.boxes)

    def frames(self):
        """The frames."""
        for time, boxes in enumerate(self.boxes):
            yield DrawnFrame(self.name, time, self.size, boxes, self.overlapping)


def drawn(folder: Path, *videos: DrawnVideo, shards: int = 1) -> RecordSet:
    """A prepared set of drawn videos."""
    write_split(SplitPlan("drawn", "train", videos, CATEGORIES), folder, shards)
    return RecordSet(folder, "train")
