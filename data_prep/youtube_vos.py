"""YouTube-VOS 2018 and 2019 to records.

    python -m data_prep.youtube_vos --root YouTube --year 2019 --split train \
        --short_side 480 --output prepared/youtube_vos_2019

Images and palette masks stay as they are unless --short_side is given. Every object has the
category that meta.json states. YouTube-VOS has no category numbers: a category's id is the
CRC-32 of its name, the same in every split; metadata.json of the prepared set has the names.
"""

import argparse
import sys
import zlib
from pathlib import Path

from data_prep.command import add_writing_flags, write_and_report
from data_prep.sequences import add_videos_flag, folder_videos, read_names
from data_prep.shrink import ShrunkVideo
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError
from vos_jax.io.layouts import youtube_vos_folders

YEARS = (2018, 2019)
SPLITS = ("train", "valid", "test")
SMALLEST_SIDE = 32


def plan_youtube_vos(
    root: str | Path,
    year: int,
    split: str,
    *,
    all_frames: bool = False,
    names: list[str] | None = None,
    short_side: int | None = None,
) -> SplitPlan:
    """Reads meta.json of a split and checks that what it lists is on disk.

    Args:
        root: the folder that holds the splits, or the folder of the split itself.
        year: of the release; part of the data set's name, the layout is the same.
        split: train (every listed frame must have a mask), valid or test.
        all_frames: images from <split>_all_frames; frames between the masks are not annotated.
        names: these videos only.
        short_side: of the frames to write; None leaves them as they are.

    Raises:
        ConfigError: a short side that is too small.
        MissingInputError: a folder, meta.json, a listed frame or its mask is missing; names it.
        AnnotationError: meta.json is not what the official one is.
    """
    if short_side is not None and short_side < SMALLEST_SIDE:
        raise ConfigError(f"--short_side {short_side}: take {SMALLEST_SIDE} pixels or more")
    folders = youtube_vos_folders(root, split, all_frames=all_frames, names=names)
    ids = {name: zlib.crc32(name.encode()) for f in folders for name in f.categories.values()}
    videos = folder_videos(root, folders, complete=split == "train", category_ids=ids)
    if short_side is not None:
        videos = [ShrunkVideo(video, short_side) for video in videos]
    parts = ["youtube_vos", str(year), "all_frames" * all_frames]
    parts.append("" if short_side is None else f"{short_side}p")
    dataset = "_".join(part for part in parts if part)
    return SplitPlan(dataset, split, videos, {number: name for name, number in ids.items()})


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.youtube_vos",
        description="Writes a split of YouTube-VOS as TFRecords. Mask-Propagation, STCN and RDE "
        "train on --short_side 480 and a --videos list of 3464 names.",
        epilog="example: python -m data_prep.youtube_vos --root YouTube --year 2019 "
        "--split train --short_side 480 --output prepared/youtube_vos_2019",
    )
    parser.add_argument("--root", required=True, help="has <split>/JPEGImages and so on")
    parser.add_argument("--year", type=int, choices=YEARS, default=2019)
    parser.add_argument("--split", choices=SPLITS, default="train", help="(default: train)")
    parser.add_argument(
        "--all_frames",
        action="store_true",
        help="all frames instead of every fifth: images of all_frames/<split>_all_frames",
    )
    parser.add_argument(
        "--short_side",
        type=int,
        help="bring frames to this short side: images bicubic as JPEG, masks nearest",
    )
    add_videos_flag(parser)
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_youtube_vos(
        arguments.root,
        arguments.year,
        arguments.split,
        all_frames=arguments.all_frames,
        names=read_names(arguments.videos),
        short_side=arguments.short_side,
    )
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
