"""Tiny prepared sets for the tests of clips, pipeline and training: stills and videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from data_prep.write import SplitPlan, write_split
from vos_jax.data.frames import Frame, Objects
from vos_jax.data.records import RecordSet
from vos_jax.io.images import encode_mask


@dataclass(frozen=True)
class Box:
    """A rectangular object: id, (top, left, bottom, right), whether a crowd, and category."""

    identity: int
    corners: tuple[int, int, int, int]
    crowd: bool = False
    category: int = 0

    def plane(self, size: tuple[int, int]) -> np.ndarray:
        """Its pixels, uint8 [h, w]."""
        top, left, bottom, right = self.corners
        plane = np.zeros(size, np.uint8)
        plane[top:bottom, left:right] = 1
        return plane


@dataclass(frozen=True)
class BoxFrame:
    """A picture with boxes: run-length codes if they may overlap, else a palette PNG."""

    video: str
    time: int
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    overlapping: bool = True
    inputs = ()

    @property
    def source(self) -> str:
        """Its name in reports."""
        return f"{self.video}/{self.time:05d}.png"

    def load(self) -> Frame:
        """Makes the frame."""
        planes = [box.plane(self.size) for box in self.boxes]
        corners = np.array([box.corners for box in self.boxes], np.float32).reshape(-1, 4)
        objects = Objects(
            ids=np.array([box.identity for box in self.boxes], np.int64),
            categories=np.array([box.category for box in self.boxes], np.int64),
            areas=np.array([plane.sum() for plane in planes], np.float32),
            boxes=np.hstack([corners[:, 1::-1], (corners[:, 2:] - corners[:, :2])[:, ::-1]]),
            crowds=np.array([box.crowd for box in self.boxes], bool),
            rles=tuple(map(run_lengths, planes)) if self.overlapping else (),
        )
        return Frame(
            video=self.video,
            name=f"{self.time:05d}",
            time=self.time,
            source=self.source,
            image=cv2.imencode(".png", picture(self)[..., ::-1])[1].tobytes(),
            height=self.size[0],
            width=self.size[1],
            annotated=True,
            mask=None if self.overlapping else self._palette(planes),
            objects=objects,
        )

    def _palette(self, planes: list[np.ndarray]) -> bytes:
        labels = np.zeros(self.size, np.uint8)
        for box, plane in zip(self.boxes, planes, strict=True):
            labels[plane > 0] = box.identity
        return encode_mask(labels)


@dataclass(frozen=True)
class BoxVideo:
    """Frames of one name."""

    content: tuple[BoxFrame, ...]

    @property
    def name(self) -> str:
        """That name."""
        return self.content[0].video

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.content)

    def frames(self) -> Iterator[BoxFrame]:
        """The frames."""
        yield from self.content


def run_lengths(plane: np.ndarray) -> bytes:
    """COCO's compressed code of a plane."""
    return coco_mask.encode(np.asfortranarray(plane))["counts"]


def picture(frame: BoxFrame) -> np.ndarray:
    """The smooth random RGB image of a frame."""
    seed = [frame.time, *frame.video.encode()]
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, frame.size[::-1], interpolation=cv2.INTER_LINEAR)


def write_set(path: Path, *videos: Sequence[BoxFrame], spoil: Sequence[int] = ()) -> RecordSet:
    """Writes videos as one shard, damages the records of those numbers, and opens the set."""
    plan = SplitPlan("boxes", "train", [BoxVideo(tuple(frames)) for frames in videos])
    write_split(plan, path, shards=1)
    records = RecordSet(path, "train")
    (shard,) = path.glob("*.tfrecord-*")
    data = bytearray(shard.read_bytes())
    for number in spoil:
        data[int(records.index.frames[number]["offset"]) + 30] ^= 255
    shard.write_bytes(data)
    return records


STILL_SIZES = ((64, 96), (96, 64), (72, 72))
STILL_CORNERS = ((2, 2, 22, 22), (30, 4, 50, 28), (4, 36, 24, 60), (34, 32, 58, 56))


def still_set(path: Path, images: int = 12, spoil: Sequence[int] = ()) -> RecordSet:
    """Stills of three shapes with 1, 2, 3, 4, 1, ... objects of at least 20x20 pixels."""
    videos = []
    for number in range(images):
        boxes = tuple(Box(10 * i + 7, STILL_CORNERS[i]) for i in range(1 + number % 4))
        videos.append([BoxFrame(f"still{number:03d}", 0, STILL_SIZES[number % 3], boxes)])
    return write_set(path, *videos, spoil=spoil)


def video_set(path: Path, videos: int = 3, length: int = 12) -> RecordSet:
    """Videos of two squares, ids 3 and 9, that move right; stored as palette PNGs."""

    def boxes(t: int) -> tuple[Box, ...]:
        left, right = (4, 2 + 2 * t, 28, 26 + 2 * t), (36, 2 + 3 * t, 60, 26 + 3 * t)
        return Box(3, left), Box(9, right)

    return write_set(
        path,
        *(
            [BoxFrame(f"video{v}", t, (64, 96), boxes(t), False) for t in range(length)]
            for v in range(videos)
        ),
    )


CATEGORIES = {"coco": 17, "pascal_voc": 8, "youtube_vis_2019": 14, "mapillary": 20, "kitti_mots": 2}
"""A category that the classes of each set keep; elsewhere there are none."""


def pair_set(path: Path, name: str, length: int) -> RecordSet:
    """A video of two objects that move, of a category that counts in the set of that name."""
    boxes = [((2, 2 + t, 24, 20 + t), (26, 30, 44, 58 - t)) for t in range(length)]
    category = CATEGORIES.get(name, 0)
    return write_set(
        path,
        [
            BoxFrame(
                "v",
                t,
                (48, 64),
                tuple(Box(i, c, category=category) for i, c in zip((4, 9), pair, strict=True)),
            )
            for t, pair in enumerate(boxes)
        ],
    )
