"""Sets of still images with one mask each to records: saliency sets, FSS-1000, AOT's folders.

    python -m data_prep.stills --set duts_tr --root DUTS-TR --output prepared/duts_tr
    python -m data_prep.stills --aot --set MSRA10K --root static --output prepared/msra10k

Images and masks share their names, in one flat folder, in class folders (FSS-1000), or in the
two folders of the official release. Everything above 127 in a mask is object 1. In AOT's layout
(JPEGImages/<set>, Annotations/<set>) masks hold object ids and are paired in sorted order.
"""

import argparse
import sys
from pathlib import Path

from data_prep.command import add_writing_flags, write_and_report
from data_prep.masks import MaskFrame
from data_prep.sources import ListedVideo, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError, MissingInputError

FLAT = ("", "")
SETS = {
    "big_small": (FLAT,),
    "hrsod_small": (FLAT,),
    "hrsod": (("HRSOD_{split}", "HRSOD_{split}_mask"), FLAT),
    "duts_tr": (("DUTS-TR-Image", "DUTS-TR-Mask"), FLAT),
    "duts_te": (("DUTS-TE-Image", "DUTS-TE-Mask"), FLAT),
    "ecssd": (("images", "ground_truth_mask"), FLAT),
    "fss1000": (FLAT,),
    "msra10k": (("Imgs", "Imgs"), FLAT),
    "pascal_s": (("datasets/imgs/pascal", "datasets/masks/pascal"), FLAT),
}
"""Folders of images and masks in which a set is looked for; the first that are there count."""

JPEG, PNG = (".jpg", ".jpeg"), (".png",)


def plan_stills(root: str | Path, name: str, split: str, aot: bool = False) -> SplitPlan:
    """Pairs the images of a set with their masks.

    Args:
        root: the set's folder; of AOT's layout, the folder of JPEGImages and Annotations.
        name: one of `SETS`; of AOT's layout, the set's folder in JPEGImages.
        split: name of the split to write.
        aot: the folders are in AOT's layout.

    Raises:
        ConfigError: an unknown set.
        MissingInputError: a folder is missing, has no pairs, or (AOT) unequal counts; names it.
    """
    root = require_folder(Path(root), "--root takes the unpacked set")
    if aot:
        triples, alone = _paired_by_order(root, name), []
    elif name in SETS:
        triples, alone = _paired_by_name(root, name, split)
    else:
        raise ConfigError(f"--set {name}: choose from {', '.join(SETS)}, or give --aot")
    kind = "instances" if aot else "saliency"
    videos = [
        ListedVideo(still, (MaskFrame(root, still, 0, image, mask, kind),))
        for still, image, mask in triples
    ]
    dataset = "".join(letter if letter.isalnum() else "_" for letter in name.lower())
    return SplitPlan(dataset, split, videos, rejected=alone)


def _paired_by_name(root: Path, name: str, split: str) -> tuple[list[tuple], list[tuple]]:
    """(name, image, mask) of each still, and what has no partner with the reason."""
    places = [tuple(folder.format(split=split) for folder in pair) for pair in SETS[name]]
    there = [pair for pair in places if all((root / folder).is_dir() for folder in pair)]
    images = _files(root, there[0][0], JPEG)
    masks = dict(_files(root, there[0][1], PNG))
    triples = [(still, image, masks[still]) for still, image in images if still in masks]
    if not triples:
        looked = " or ".join(" and ".join(f"{root / folder}" for folder in pair) for pair in places)
        raise MissingInputError(
            f"{root}: no image <name>.jpg with a mask <name>.png ({len(images)} images, "
            f"{len(masks)} masks) in {looked}"
        )
    alone = [(image, "it has no mask") for still, image in images if still not in masks]
    alone += [(masks[still], "it has no image") for still in sorted(masks.keys() - dict(images))]
    return triples, alone


def _paired_by_order(root: Path, name: str) -> list[tuple]:
    """(name, image, mask) of each still: sorted JPEGs, then sorted PNGs, and sorted masks."""
    folders = [f"{kind}/{name}" for kind in ("JPEGImages", "Annotations")]
    for folder in folders:
        require_folder(root / folder, "AOT keeps JPEGImages/<set> and Annotations/<set>")
    images = [*_files(root, folders[0], JPEG), *_files(root, folders[0], PNG)]
    masks = _files(root, folders[1], PNG)
    if not images or len(images) != len(masks):
        raise MissingInputError(
            f"{root / folders[0]} has {len(images)} images, {root / folders[1]} {len(masks)} "
            "masks: they are paired in sorted order, so there must be equally many"
        )
    return [(*image, mask) for image, (_, mask) in zip(images, masks, strict=True)]


def _files(root: Path, folder: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Name (path in the folder without ending) and path in the root, sorted; none hidden."""
    base = root / folder
    found = sorted(
        path
        for path in base.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    names = (path.relative_to(base).with_suffix("").as_posix() for path in found)
    return list(zip(names, (path.relative_to(root).as_posix() for path in found), strict=True))


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.stills",
        description="Writes still images with one mask each as TFRecords, each as a video of one "
        f"frame. Sets: {', '.join(SETS)}; with --aot any folder of JPEGImages, e.g. ECSSD, "
        "MSRA10K, PASCAL-S.",
        epilog="example: python -m data_prep.stills --set duts_tr --root DUTS-TR "
        "--output prepared/duts_tr",
    )
    parser.add_argument("--root", required=True, help="the unpacked set")
    parser.add_argument("--set", required=True, help="name of the set")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    parser.add_argument(
        "--aot",
        action="store_true",
        help="--root has JPEGImages/<set> and Annotations/<set> with object ids, as AOT keeps them",
    )
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_stills(arguments.root, arguments.set, arguments.split, arguments.aot)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
