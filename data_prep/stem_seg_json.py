"""The JSON files that STEm-Seg trains on, of videos or of images, to records.

    python -m data_prep.stem_seg_json --images KITTI_MOTS --annotations kittimots_train.json \
        --dataset kitti_mots --output prepared/kitti_mots

Objects keep their masks, overlaps included, and their category numbers; a region to ignore is
an object of category 255. Sequences without masks are stored as not annotated.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from data_prep.annotated import AnnotatedFrame, read_json
from data_prep.command import add_writing_flags, write_and_report
from data_prep.sources import ListedVideo, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError
from vos_jax.core.labels import VOID


def plan_stem_seg_json(
    images: str | Path, annotations: str | Path, dataset: str, split: str
) -> SplitPlan:
    """Reads a file of videos ("sequences") or of images ("images").

    Args:
        images: the folder that the file's paths are relative to.
        annotations: the JSON.
        dataset: name of the set to write.
        split: name of its split.

    Raises:
        MissingInputError: folder or file is not there.
        AnnotationError: the file is neither, or objects and categories of a sequence differ.
    """
    folder = require_folder(Path(images), "--images takes the folder that the paths start from")
    content = read_json(Path(annotations))
    try:
        names = {int(i): name for i, name in content["meta"]["category_labels"].items()}
        if "sequences" in content:
            videos = [_sequence(folder, sequence) for sequence in content["sequences"]]
        else:
            videos = [_image(folder, image) for image in content["images"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnnotationError(
            f"{annotations} is no file of STEm-Seg ({error!r}): it needs meta.category_labels, and "
            "sequences (id, height, width, image_paths, categories, segmentations) or images "
            "(height, width, image_path, categories, segmentations)"
        ) from error
    return SplitPlan(dataset, split, videos, names)


def _sequence(folder: Path, sequence: Mapping) -> ListedVideo:
    name, categories = str(sequence["id"]), sequence.get("categories")
    paths, size = sequence["image_paths"], (int(sequence["height"]), int(sequence["width"]))
    masks = [None] * len(paths) if categories is None else sequence["segmentations"]
    seen = {identity for each in masks for identity in each or ()}
    if len(masks) != len(paths) or seen != set(categories or ()):
        raise ValueError(f"sequence {name}: masks do not fit its images or categories")
    frames = (
        AnnotatedFrame(
            folder, name, t, path, size, None if each is None else _annotations(each, categories)
        )
        for t, (path, each) in enumerate(zip(paths, masks, strict=True))
    )
    return ListedVideo(name, tuple(frames))


def _image(folder: Path, image: Mapping) -> ListedVideo:
    source, size = image["image_path"], (int(image["height"]), int(image["width"]))
    pairs = list(zip(image["categories"], image["segmentations"], strict=True))
    if image.get("ignore"):
        pairs.append((VOID, image["ignore"]))
    masks = {number: mask for number, (_, mask) in enumerate(pairs, start=1)}
    categories = {number: category for number, (category, _) in enumerate(pairs, start=1)}
    name = Path(source).with_suffix("").as_posix()
    frame = AnnotatedFrame(folder, name, 0, source, size, _annotations(masks, categories))
    return ListedVideo(name, (frame,))


def _annotations(masks: Mapping, categories: Mapping) -> tuple[dict, ...]:
    """What is on a frame, with the keys of COCO annotations."""
    return tuple(
        {"id": int(number), "category_id": int(categories[number]), "segmentation": mask}
        for number, mask in masks.items()
    )


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.stem_seg_json",
        description="Writes what a JSON file of STEm-Seg lists as TFRecords, such as coco.json, "
        "pascal_voc.json, youtube_vis_train.json or kittimots_train.json.",
        epilog="example: python -m data_prep.stem_seg_json --images train2017 "
        "--annotations coco.json --dataset coco --output prepared/coco",
    )
    parser.add_argument("--images", required=True, help="folder that the paths start from")
    parser.add_argument("--annotations", required=True, help="the JSON")
    parser.add_argument("--dataset", required=True, help="name of the set")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_stem_seg_json(
        arguments.images, arguments.annotations, arguments.dataset, arguments.split
    )
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
