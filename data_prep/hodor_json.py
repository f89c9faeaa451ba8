"""HODOR's standardised JSON annotations to records: images, training videos, inference videos.

    python -m data_prep.hodor_json --images dataset_images/coco_2017_train \
        --annotations dataset_json_annotations/coco_2017_train.json --output prepared/hodor_coco

The three forms are told apart by their keys. Masks are COCO-compressed count strings, kept as
they are. Objects of images have no ids of their own and are numbered from 1 in their order.
"""

import argparse
import sys
from pathlib import Path

from data_prep.annotated import AnnotatedFrame, read_json
from data_prep.command import add_writing_flags, write_and_report
from data_prep.sources import ListedVideo, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError, ConfigError


def plan_hodor_json(
    images: str | Path, annotations: str | Path, split: str, dataset: str
) -> SplitPlan:
    """Reads one of HODOR's JSON files.

    Args:
        images: the folder that image paths are relative to.
        annotations: the JSON.
        split: name of the split to write.
        dataset: name of the data set to write.

    Raises:
        MissingInputError: folder or file is not there.
        AnnotationError: the file has none of the three forms.
    """
    folder = require_folder(Path(images), "--images takes the folder of the images")
    if not dataset.isidentifier():
        raise ConfigError(f"--name {dataset!r}: take letters, digits and underscores")
    content = read_json(Path(annotations))
    try:
        if "images" in content:
            videos = [_still(folder, record) for record in content["images"]]
        else:
            videos = [_video(folder, record) for record in content["sequences"]]
        labels = content.get("meta", {}).get("category_labels", {})
        categories = {int(category): name for category, name in labels.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnnotationError(
            f"{annotations} is none of HODOR's JSON forms ({error!r}): it needs `images` with "
            "image_path, height, width, categories, segmentations, or `sequences` with id, "
            "image_paths and tracks or segmentations"
        ) from error
    return SplitPlan(dataset, split, videos, categories)


def _still(folder: Path, record: dict) -> ListedVideo:
    columns = {"category_id": record["categories"], "segmentation": record["segmentations"]}
    for key, column in (("area", "areas"), ("bbox", "bboxes"), ("iscrowd", "iscrowd")):
        if record.get(column) is not None:
            columns[key] = record[column]
    rows = zip(*columns.values(), strict=True)
    objects = tuple(
        {"id": number, **dict(zip(columns, row, strict=True))}
        for number, row in enumerate(rows, start=1)
    )
    source = record["image_path"]
    name = Path(source).with_suffix("").as_posix()
    size = (int(record["height"]), int(record["width"]))
    return ListedVideo(name, (AnnotatedFrame(folder, name, 0, source, size, objects),))


def _video(folder: Path, record: dict) -> ListedVideo:
    if "tracks" in record:
        size = (int(record["height"]), int(record["width"]))
        tracks = dict(enumerate(record["tracks"]))
        if len(tracks) != len(record["image_paths"]):
            raise ValueError(f"{record['id']}: as many tracks as image_paths are needed")
        kinds = record.get("categories", {})
        annotated = {t: _tracked(objects, kinds) for t, objects in tracks.items()}
    else:
        size = None
        annotated = {
            int(t): tuple({"id": int(i), "segmentation": rle} for i, rle in objects.items())
            for t, objects in record["segmentations"].items()
        }
    name = str(record["id"])
    beyond = sorted(set(annotated) - set(range(len(record["image_paths"]))))
    if beyond:
        raise ValueError(f"{name}: no image for frame {beyond[0]}")
    return ListedVideo(
        name,
        tuple(
            AnnotatedFrame(folder, name, t, source, size, annotated.get(t))
            for t, source in enumerate(record["image_paths"])
        ),
    )


def _tracked(objects: dict, kinds: dict) -> tuple[dict, ...]:
    """The objects of one frame of a training video."""
    return tuple(
        {
            "id": int(number),
            "category_id": int(kinds.get(number, 0)),
            "segmentation": entry["seg"],
            **({"area": entry["area"]} if "area" in entry else {}),
            **({"bbox": entry["box"]} if "box" in entry else {}),
        }
        for number, entry in objects.items()
    )


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.hodor_json",
        description="Writes images or videos with HODOR's JSON annotations as TFRecords.",
        epilog="example: python -m data_prep.hodor_json --images dataset_images/davis_trainval "
        "--annotations dataset_json_annotations/davis_train.json --output prepared/hodor_davis",
    )
    parser.add_argument("--images", required=True, help="folder that image paths start from")
    parser.add_argument("--annotations", required=True, help="the JSON file, in any of its forms")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    parser.add_argument("--name", default="hodor", help="name of the data set (default: hodor)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_hodor_json(arguments.images, arguments.annotations, arguments.split, arguments.name)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
