"""COCO instances (or any set in its JSON form) to records.

    python -m data_prep.coco --images train2017 \
        --annotations annotations/instances_train2017.json --output prepared/coco

Every image is a video of one frame; every annotation keeps its id, category, stated area and
box, crowd flag and its own exact mask, overlaps included. Images without annotation are kept.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from data_prep.annotated import AnnotatedFrame, read_json
from data_prep.command import add_writing_flags, write_and_report
from data_prep.sources import ListedVideo, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError

DATASET = "coco"


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
    folder = require_folder(Path(images), "--images takes the unpacked image folder")
    content = read_json(Path(annotations))
    try:
        by_image = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        videos = [
            _still(folder, image, by_image.pop(image["id"], [])) for image in content["images"]
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


def _still(folder: Path, image: dict, annotations: list[dict]) -> ListedVideo:
    source = image["file_name"]
    name = Path(source).with_suffix("").as_posix()
    size = int(image["height"]), int(image["width"])
    frame = AnnotatedFrame(folder, name, 0, source, size, tuple(annotations))
    return ListedVideo(name, (frame,))


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
