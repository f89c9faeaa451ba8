"""COCO instances (or any set in its JSON form) to records.

    python -m data_prep.coco --images train2017 \
        --annotations annotations/instances_train2017.json --output prepared/coco

Every image is a video of one frame; every annotation keeps its id, category, stated area and
box, crowd flag and its own exact mask, overlaps included. Images without annotation are kept.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.command import add_writing_flags, write_and_report
from data_prep.runs import area_and_box, compressed_rle
from data_prep.sources import read_checked_image
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError, MissingInputError
from vos_jax.data.frames import Frame, Objects

DATASET = "coco"


@dataclass(frozen=True)
class CocoImage:
    """One image of the JSON with its annotations: a video and its only frame.

    Attributes:
        folder: the image folder.
        source: path of the image relative to it.
        height: pixels, as the JSON says.
        width: pixels, as the JSON says.
        annotations: the JSON's annotation objects of this image.
    """

    folder: Path
    source: str
    height: int
    width: int
    annotations: tuple[dict, ...]

    length = 1

    @property
    def name(self) -> str:
        """The image's path without ending."""
        return Path(self.source).with_suffix("").as_posix()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The image file."""
        return (self.folder / self.source,)

    def frames(self) -> tuple["CocoImage"]:
        """The image itself."""
        return (self,)

    def load(self) -> Frame:
        """Checks and reads image and masks; see `FrameSource`."""
        image, _ = read_checked_image(self.inputs[0], (self.height, self.width))
        return Frame(
            video=self.name,
            name=Path(self.source).stem,
            time=0,
            source=self.source,
            image=image,
            height=self.height,
            width=self.width,
            annotated=True,
            objects=coco_objects(self.annotations, self.height, self.width),
        )


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


def plan_coco(images: str | Path, annotations: str | Path, split: str) -> SplitPlan:
    """Reads a COCO instances file.

    Args:
        images: the folder that `file_name` is relative to.
        annotations: the JSON.
        split: name of the split to write.

    Raises:
        MissingInputError: folder or file is not there.
        AnnotationError: the file is not COCO JSON.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise MissingInputError(f"{folder} is no folder: --images takes the unpacked image folder")
    content = read_json(Path(annotations))
    try:
        by_image = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        videos = [
            _image(folder, image, by_image.pop(image["id"], [])) for image in content["images"]
        ]
        categories = {entry["id"]: entry["name"] for entry in content.get("categories", ())}
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"{annotations} is no COCO instances file ({error!r}): it needs images (id, file_name, "
            "height, width) and annotations (id, image_id, segmentation)"
        ) from error
    orphans = [
        (f"annotation {annotation.get('id')}", f"its image {image} is not listed")
        for image, entries in by_image.items()
        for annotation in entries
    ]
    return SplitPlan(DATASET, split, videos, categories, orphans)


def _image(folder: Path, image: dict, annotations: list[dict]) -> CocoImage:
    size = int(image["height"]), int(image["width"])
    return CocoImage(folder, image["file_name"], *size, tuple(annotations))


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


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.coco",
        description="Writes COCO images and instance masks as TFRecords.",
        epilog="example: python -m data_prep.coco --images coco/train2017 "
        "--annotations coco/annotations/instances_train2017.json --output prepared/coco",
    )
    parser.add_argument("--images", required=True, help="folder of the images")
    parser.add_argument("--annotations", required=True, help="instances_*.json")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_coco(arguments.images, arguments.annotations, arguments.split)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
