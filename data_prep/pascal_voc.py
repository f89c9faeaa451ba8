"""Instances of Pascal VOC 2012 segmentation to records.

    python -m data_prep.pascal_voc --root VOCdevkit/VOC2012 --split train \
        --output prepared/pascal_voc

The masks of SegmentationObject are kept byte for byte (255: void, the borders); the category of
an object is that of most of its pixels in SegmentationClass.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.command import add_writing_flags, write_and_report
from data_prep.masks import MaskFrame
from data_prep.sources import ListedVideo, read_input, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import MissingInputError
from vos_jax.core.labels import VOID
from vos_jax.data.frames import Frame
from vos_jax.data.planes import frame_labels
from vos_jax.io.images import decode_mask

CATEGORIES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()


@dataclass(frozen=True)
class VocFrame:
    """An image with its two masks; see `FrameSource`.

    Attributes:
        objects: the image with its mask of objects.
        classes: path of its mask of classes, relative to the root.
    """

    objects: MaskFrame
    classes: str

    @property
    def source(self) -> str:
        """The image."""
        return self.objects.source

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Image and masks."""
        return (*self.objects.inputs, self.objects.root / self.classes)

    def load(self) -> Frame:
        """Checks and reads image and masks."""
        frame = self.objects.load()
        path = self.inputs[-1]
        classes = decode_mask(read_input(path), str(path), size=(frame.height, frame.width))
        labels = frame_labels(frame)
        categories = [_most_frequent(classes[labels == i]) for i in frame.objects.ids]
        objects = replace(frame.objects, categories=np.array(categories, np.int64))
        return replace(frame, objects=objects)


def _most_frequent(classes: np.ndarray) -> int:
    """The class of most pixels, background and void not counted; 0 if there is none."""
    counts = np.bincount(classes, minlength=VOID + 1)
    counts[[0, VOID]] = 0
    return int(counts.argmax())


def plan_pascal_voc(root: str | Path, split: str) -> SplitPlan:
    """Reads the list of a split.

    Args:
        root: VOC2012, or the folder VOCdevkit around it.
        split: train, val or trainval.

    Raises:
        MissingInputError: a folder or the list is missing; names it.
    """
    root = Path(root)
    root = root / "VOC2012" if (root / "VOC2012").is_dir() else root
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        require_folder(root / folder, "--root takes VOCdevkit/VOC2012")
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        raise MissingInputError(f"{path}: no such list of images; splits: train, val, trainval")
    videos = [ListedVideo(name, (_frame(root, name),)) for name in path.read_text().split()]
    return SplitPlan("pascal_voc", split, videos, dict(enumerate(CATEGORIES, start=1)))


def _frame(root: Path, name: str) -> VocFrame:
    image, mask = f"JPEGImages/{name}.jpg", f"SegmentationObject/{name}.png"
    return VocFrame(MaskFrame(root, name, 0, image, mask), f"SegmentationClass/{name}.png")


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.pascal_voc",
        description="Writes the instances of Pascal VOC 2012 segmentation as TFRecords, each image "
        "as a video of one frame.",
        epilog="example: python -m data_prep.pascal_voc --root VOCdevkit/VOC2012 --split train "
        "--output prepared/pascal_voc",
    )
    parser.add_argument("--root", required=True, help="VOCdevkit/VOC2012")
    parser.add_argument("--split", default="train", help="train, val, trainval (default: train)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    return write_and_report(plan_pascal_voc(arguments.root, arguments.split), arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
