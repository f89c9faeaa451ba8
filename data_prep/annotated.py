"""Frames whose objects come from JSON: annotations with the keys of COCO, a mask for each."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.runs import area_and_box, compressed_rle
from data_prep.sources import image_frame
from vos_jax.core.errors import AnnotationError, MissingInputError
from vos_jax.data.frames import Frame, Objects


@dataclass(frozen=True)
class AnnotatedFrame:
    """One frame; see `FrameSource`.

    Attributes:
        folder: the image folder.
        video: name of the video.
        time: position in the video.
        source: path of the image relative to the folder.
        size: (height, width) that the JSON states, or None.
        annotations: its objects with the keys of COCO annotations; None if not annotated.
    """

    folder: Path
    video: str
    time: int
    source: str
    size: tuple[int, int] | None
    annotations: tuple[dict, ...] | None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The image file."""
        return (self.folder / self.source,)

    def load(self) -> Frame:
        """Checks and reads image and masks."""
        frame = image_frame(self.inputs[0], self.video, self.time, self.source, self.size)
        if self.annotations is None:
            return frame
        objects = coco_objects(self.annotations, frame.height, frame.width)
        return replace(frame, annotated=True, objects=objects)


def coco_objects(annotations: tuple[dict, ...], height: int, width: int) -> Objects:
    """The objects of COCO annotations; a missing area or box comes from the mask.

    Raises:
        AnnotationError: an annotation lacks a key or has an unusable mask; names its id.
    """
    rles, areas, boxes = [], [], []
    for annotation in annotations:
        try:
            rle = compressed_rle(annotation["segmentation"], height, width)
            area, box = area_and_box(rle, height, width)
            areas.append(float(annotation.get("area", area)))
            boxes.append(np.asarray(annotation.get("bbox", box), np.float32).reshape(4))
        except (AnnotationError, KeyError, ValueError, TypeError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else f"is unusable: {error}"
            raise AnnotationError(f"annotation {annotation['id']} {what}") from error
        rles.append(rle)
    return Objects(
        ids=_column(annotations, "id"),
        categories=_column(annotations, "category_id"),
        areas=np.array(areas, np.float32),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        crowds=_column(annotations, "iscrowd").astype(bool),
        rles=tuple(rles),
    )


def read_json(path: Path) -> dict:
    """The object in a JSON file.

    Raises:
        MissingInputError: no such file.
        AnnotationError: not a JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingInputError(f"{path}: {error.strerror}; check --annotations") from error
    except ValueError as error:
        raise AnnotationError(f"{path} is no JSON file (cut off?): {error}") from error
    if not isinstance(content, dict):
        raise AnnotationError(f"{path} holds a {type(content).__name__}, not a JSON object")
    return content


def _column(annotations: tuple[dict, ...], key: str) -> np.ndarray:
    """An integer field of annotations; 0 where it is missing."""
    return np.array([int(annotation.get(key, 0)) for annotation in annotations], np.int64)
