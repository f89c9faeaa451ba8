"""Anybody's videos in DAVIS layout to records.

    python -m data_prep.folder --root my_videos --name my_videos --output prepared/my_videos

Images in JPEGImages/<video>/ (or JPEGImages/480p/<video>/), masks of the same names in
Annotations/<video>/. Frames without mask are kept and stored as not annotated.
"""

import argparse
import sys
from pathlib import Path

from data_prep.command import add_writing_flags, write_and_report
from data_prep.sequences import add_videos_flag, folder_videos, read_names
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError
from vos_jax.io.layouts import davis_like_folders


def plan_folder(
    root: str | Path,
    split: str,
    dataset: str,
    names: list[str] | None = None,
    complete: bool = False,
) -> SplitPlan:
    """Finds all videos of a folder.

    Args:
        root: has JPEGImages and Annotations.
        split: name of the split to write.
        dataset: name of the data set to write.
        names: these videos only.
        complete: every frame must have a mask.

    Raises:
        ConfigError: an unusable name of a data set.
        MissingInputError: a folder or file is missing; names it.
    """
    if not dataset.isidentifier():
        raise ConfigError(f"--name {dataset!r}: take letters, digits and underscores")
    folders = davis_like_folders(root, names=names)
    videos = folder_videos(root, folders, kind="instances", complete=complete)
    return SplitPlan(dataset, split, videos)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.folder",
        description="Writes your own videos, kept as DAVIS keeps its own, as TFRecords. Masks are "
        "palette or grey PNGs whose values are object ids from 1 to 254 (255: ignored); a grey "
        "mask of 0 and 255 only has one object. Frames need not all have a mask.",
        epilog="example: python -m data_prep.folder --root my_videos --name my_videos "
        "--output prepared/my_videos",
    )
    parser.add_argument("--root", required=True, help="has JPEGImages and Annotations")
    parser.add_argument("--name", default="folder", help="name of the data set (default: folder)")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    add_videos_flag(parser)
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    names = read_names(arguments.videos)
    plan = plan_folder(arguments.root, arguments.split, arguments.name, names)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
