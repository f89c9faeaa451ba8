"""DAVIS 2016 and 2017 to records.

    python -m data_prep.davis --root DAVIS --year 2017 --split train --output prepared/davis2017

Frames stay the original JPEG bytes. 2017: the official palette PNGs, unchanged. 2016: the
grey masks (0 and 255) as palette PNGs whose only object is 1.
"""

import argparse
import sys
from pathlib import Path

from data_prep.command import add_writing_flags, write_and_report
from data_prep.sequences import folder_videos
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.io.layouts import DAVIS_YEARS, davis_folders, davis_names

OFFICIAL_RESOLUTION = "480p"


def plan_davis(
    root: str | Path,
    year: int,
    split: str,
    resolution: str = OFFICIAL_RESOLUTION,
    skip_missing: bool = False,
) -> SplitPlan:
    """Reads the list of a DAVIS split.

    Args:
        root: the folder that holds JPEGImages, Annotations and ImageSets.
        year: 2016 or 2017.
        split: train, val or test-dev.
        resolution: name of the folder between `JPEGImages` and the sequences.
        skip_missing: leave out, and report, listed sequences that are not on disk.

    Raises:
        ConfigError: an unknown year.
        MissingInputError: a folder, list or sequence is missing; names it.
    """
    root = Path(root)
    folders = davis_folders(root, year, split, resolution=resolution, skip_missing=skip_missing)
    found = {folder.name for folder in folders}
    skipped = [
        (f"JPEGImages/{resolution}/{name}", "listed but not on disk; skipped as asked")
        for name in davis_names(root, year, split)
        if name not in found
    ]
    ending = "" if resolution == OFFICIAL_RESOLUTION else f"_{resolution.lower()}"
    return SplitPlan(
        dataset=f"davis{year}{ending.replace('-', '_')}",
        split=split,
        videos=folder_videos(root, folders, kind="foreground" if year == 2016 else "ids"),
        rejected=skipped,
    )


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.davis",
        description="Writes a split of DAVIS 2016 or 2017 as TFRecords.",
        epilog="example: python -m data_prep.davis --root DAVIS --year 2017 --split train "
        "--output prepared/davis2017",
    )
    parser.add_argument("--root", required=True, help="has JPEGImages, Annotations, ImageSets")
    parser.add_argument("--year", type=int, choices=DAVIS_YEARS, default=2017)
    parser.add_argument("--split", default="train", help="train, val, test-dev (default: train)")
    parser.add_argument(
        "--resolution", default=OFFICIAL_RESOLUTION, help="480p (default) or Full-Resolution"
    )
    parser.add_argument(
        "--skip_missing",
        action="store_true",
        help="leave out listed sequences that are not on disk; they are reported",
    )
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_davis(
        arguments.root,
        arguments.year,
        arguments.split,
        arguments.resolution,
        arguments.skip_missing,
    )
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
