"""Instances of Mapillary Vistas 1.2 to records.

    python -m data_prep.mapillary --root mapillary-vistas --split training \
        --output prepared/mapillary

A pixel of instances/*.png is 256 * label + instance. Objects are those of the labels that
config.json calls instances; an object's category is its label's number counted from 1, its id
256 * category + instance. Images hold up to hundreds of objects, so masks are run lengths.
"""

import argparse
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.annotated import coco_objects, read_json
from data_prep.command import add_writing_flags, write_and_report
from data_prep.runs import label_rles
from data_prep.sources import ListedVideo, image_frame, read_input, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError, MaskError, MissingInputError
from vos_jax.data.frames import Frame

SPLITS = ("training", "validation", "testing")
INSTANCES = 256
"""Instances that a label can have."""


@dataclass(frozen=True)
class VistasFrame:
    """An image with its mask; see `FrameSource`.

    Attributes:
        root: the folder that the paths are relative to.
        source: path of the image.
        mask: path of its mask, or None.
        categories: those whose pixels are objects.
    """

    root: Path
    source: str
    mask: str | None
    categories: tuple[int, ...]

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Image and mask."""
        image = self.root / self.source
        return (image,) if self.mask is None else (image, self.root / self.mask)

    def load(self) -> Frame:
        """Checks and reads image and mask."""
        frame = image_frame(self.inputs[0], Path(self.source).stem, 0, self.source)
        if self.mask is None:
            return frame
        path = self.inputs[1]
        values = decode_values(read_input(path), str(path))
        if values.shape != (frame.height, frame.width):
            raise MaskError(f"{path}: {values.shape} pixels, its image {frame.height, frame.width}")
        annotations = tuple(
            {"id": number, "category_id": number // INSTANCES, "segmentation": rle}
            for number, rle in label_rles(values + INSTANCES).items()
            if number // INSTANCES in self.categories
        )
        objects = coco_objects(annotations, frame.height, frame.width)
        return replace(frame, annotated=True, objects=objects)


def decode_values(data: bytes, name: str) -> np.ndarray:
    """The 16-bit values of a grey PNG, int32 [h, w].

    Raises:
        MaskError: it cannot be decoded or is not grey.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            values = np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MaskError(f"{name}: cannot be decoded as a mask ({error}); copy it again") from error
    if values.ndim != 2 or values.dtype not in (np.uint16, np.int32):
        raise MaskError(f"{name}: not a grey PNG of 16 bits (is it from labels/, not instances/?)")
    return values.astype(np.int32)


def plan_mapillary(root: str | Path, split: str) -> SplitPlan:
    """Lists the images of a split.

    Args:
        root: has config.json and the splits.
        split: training, validation or testing (no masks).

    Raises:
        MissingInputError: a folder, config.json or all images are missing; names it.
        AnnotationError: config.json is not that of Mapillary Vistas 1.2.
    """
    root = Path(root)
    folder = require_folder(root / split / "images", "--root takes mapillary-vistas, version 1.2")
    masked = split != "testing"
    if masked:
        require_folder(root / split / "instances", "masks of version 1.2 are needed")
    try:
        labels = list(enumerate(read_json(root / "config.json")["labels"], start=1))
        names = {number: label["readable"] for number, label in labels}
        things = tuple(number for number, label in labels if label["instances"])
    except (KeyError, TypeError) as error:
        raise AnnotationError(
            f"{root / 'config.json'} is not that of Mapillary Vistas 1.2 ({error!r})"
        ) from error
    stems = sorted(path.stem for path in folder.glob("*.jpg"))
    if not stems:
        raise MissingInputError(f"{folder}: no image in it")
    masks = f"{split}/instances/{{}}.png" if masked else None
    frames = (
        VistasFrame(root, f"{split}/images/{s}.jpg", masks and masks.format(s), things)
        for s in stems
    )
    videos = [ListedVideo(stem, (frame,)) for stem, frame in zip(stems, frames, strict=True)]
    return SplitPlan("mapillary", split, videos, names)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.mapillary",
        description="Writes the instances of Mapillary Vistas 1.2 as TFRecords, each image as a "
        "video of one frame.",
        epilog="example: python -m data_prep.mapillary --root mapillary-vistas --split training "
        "--output prepared/mapillary",
    )
    parser.add_argument("--root", required=True, help="has config.json, training and so on")
    parser.add_argument("--split", choices=SPLITS, default="training", help="(default: training)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    return write_and_report(plan_mapillary(arguments.root, arguments.split), arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
