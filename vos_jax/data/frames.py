"""What one record holds: a frame of a video with its objects, and its form as an Example.

A still image is a video of one frame. The objects of a frame are drawn either in one
palette PNG (`mask`), or, where they may overlap, each in its own COCO run-length code.
"""

from dataclasses import dataclass, field

import numpy as np

from vos_jax.core.errors import RecordError
from vos_jax.data.example import decode_example, encode_example


def _no_ids() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Objects:
    """The o objects of one frame, as columns.

    Attributes:
        ids: int64 [o], as in the source (COCO: annotation ids; videos: ids in the masks).
        categories: int64 [o], the source's category ids; 0 where it has none.
        areas: float32 [o], pixels, as the source states them or counted from the mask.
        boxes: float32 [o, 4], x, y, width, height in pixels.
        crowds: bool [o], True for COCO's `iscrowd` regions.
        rles: one COCO compressed count string per object, or empty when the frame has a mask.
    """

    ids: np.ndarray = field(default_factory=_no_ids)
    categories: np.ndarray = field(default_factory=_no_ids)
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    crowds: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    rles: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as it is stored.

    Attributes:
        video: name of the video; for a still, of the image.
        name: name of the frame's file without ending.
        time: position of the frame in its source video.
        source: path of the image relative to the source folder.
        image: the original file, JPEG or PNG, unchanged.
        height: pixels.
        width: pixels.
        annotated: whether the source says what objects are on this frame (there may be none).
        mask: palette PNG whose index is the object id, or None.
        objects: what is on the frame.
    """

    video: str
    name: str
    time: int
    source: str
    image: bytes
    height: int
    width: int
    annotated: bool = False
    mask: bytes | None = None
    objects: Objects = field(default_factory=Objects)


def encode_frame(frame: Frame) -> bytes:
    """The payload of a frame's record: an Example with the features of `FEATURES`."""
    objects = frame.objects
    return encode_example(
        {
            "video": [frame.video.encode()],
            "frame": [frame.name.encode()],
            "time": np.array([frame.time]),
            "source": [frame.source.encode()],
            "image": [frame.image],
            "height": np.array([frame.height]),
            "width": np.array([frame.width]),
            "annotated": np.array([frame.annotated]),
            "mask": [frame.mask or b""],
            "objects/id": objects.ids,
            "objects/category": objects.categories,
            "objects/area": objects.areas,
            "objects/box": objects.boxes,
            "objects/crowd": objects.crowds,
            "rles": objects.rles,
        }
    )


def decode_frame(payload: bytes) -> Frame:
    """Inverse of `encode_frame`.

    Raises:
        RecordError: the payload is not an Example of our features.
    """
    try:
        features = decode_example(payload)
        objects = Objects(
            ids=features["objects/id"],
            categories=features["objects/category"],
            areas=features["objects/area"],
            boxes=features["objects/box"].reshape(-1, 4),
            crowds=features["objects/crowd"].astype(bool),
            rles=tuple(features["rles"]),
        )
        return Frame(
            video=_text(features, "video"),
            name=_text(features, "frame"),
            time=_integer(features, "time"),
            source=_text(features, "source"),
            image=_single(features, "image"),
            height=_integer(features, "height"),
            width=_integer(features, "width"),
            annotated=bool(_integer(features, "annotated")),
            mask=_single(features, "mask") or None,
            objects=objects,
        )
    except (ValueError, KeyError, AttributeError) as error:
        raise RecordError(f"the content is not a frame of our schema ({error})") from error


def _single(features: dict, name: str):
    (value,) = features[name]
    return value


def _text(features: dict, name: str) -> str:
    return _single(features, name).decode()


def _integer(features: dict, name: str) -> int:
    return int(_single(features, name))
