"""BL30K, rendered videos of ShapeNet objects, to records.

    python -m data_prep.bl30k --root BL30K --output prepared/bl30k

JPEGImages/<video>/ and Annotations/<video>/ of all six archives (a to f) side by side. Every
frame has a mask, so a frame without one means that an archive was not unpacked to its end.
"""

import argparse
import sys

from data_prep.command import add_writing_flags, write_and_report
from data_prep.folder import plan_folder
from data_prep.sequences import add_videos_flag, read_names
from vos_jax.core.commands import run_command


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.bl30k",
        description="Writes BL30K (about 30,000 videos of 160 frames, 700 GB) as TFRecords. "
        "--videos takes a part of it; run the same command again to go on after a stop.",
        epilog="example: python -m data_prep.bl30k --root BL30K --output prepared/bl30k",
    )
    parser.add_argument("--root", required=True, help="has JPEGImages and Annotations")
    parser.add_argument("--split", default="train", help="name of the split (default: train)")
    add_videos_flag(parser)
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    names = read_names(arguments.videos)
    plan = plan_folder(arguments.root, arguments.split, "bl30k", names, complete=True)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
