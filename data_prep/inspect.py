"""Looks into a prepared set: counts, ids of its videos, a check of all records, a picture.

    python -m data_prep.inspect prepared/davis2017
    python -m data_prep.inspect prepared/davis2017 --split val --output sheet.png --verify
    python -m data_prep.inspect prepared/coco --video 000000000139

The picture shows evenly spaced videos (or --video) with evenly spaced frames, masks drawn in,
and under each frame its ids in the colours of their masks.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from data_prep.contact_sheet import Place, draw_sheet, evenly, video_row
from data_prep.summary import objects_text, split_text, videos_text
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError, RecordError
from vos_jax.data.records import RecordSet, read_categories, read_splits

LISTED_ERRORS = 10


def verify(records: RecordSet) -> None:
    """Reads every record: its checksums, its content, and that it is the one the index names.

    Raises:
        RecordError: some records are unusable; lists the first.
    """
    frames, names = records.index.frames, records.index.videos["name"]
    bad = []
    total = int(frames["length"].sum(dtype="int64"))
    with tqdm(total=total, unit="B", unit_scale=True, desc=f"verifying {records.split}") as bar:
        for number, row in enumerate(frames):
            try:
                frame = records[number]
                wanted = names[row["video"]].decode(), int(row["time"])
                if (frame.video, frame.time) != wanted:
                    raise RecordError(f"frame {number} is {frame.video} {frame.time}, not {wanted}")
            except RecordError as error:
                bad.append(str(error))
            bar.update(int(row["length"]))
    if bad:
        first = "; ".join(bad[:LISTED_ERRORS])
        raise RecordError(f"{len(bad)} of {len(frames)} records are unusable: {first}")
    print(f"{records.split}: all {len(frames)} records are whole")


def choose(records: RecordSet, wanted: int, name: str | None) -> list[int]:
    """Numbers of the videos to show: the named one (or none), or evenly spaced ones."""
    if name is None:
        return evenly(len(records.videos), wanted)
    return (records.index.videos["name"] == name.encode()).nonzero()[0].tolist()


def sheet_rows(records: RecordSet, videos: int, frames: int, name: str | None) -> list[list[Place]]:
    """A row per video; stills fill rows."""
    if name is None and len(records.videos) == len(records):
        stills = [(records, number, 0) for number in evenly(len(records), videos * frames)]
        return [stills[at : at + frames] for at in range(0, len(stills), frames)]
    return [video_row(records, number, frames) for number in choose(records, videos, name)]


def main(argv: list[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    if arguments.videos < 1 or arguments.frames < 1 or arguments.side < 50:
        raise ConfigError("--videos and --frames must be 1 or more, --side 50 or more")
    folder = Path(arguments.folder)
    dataset, splits = read_splits(folder)
    categories = read_categories(folder)
    print(f"{folder}: {dataset}")
    rows = []
    for split in [arguments.split] if arguments.split else sorted(splits):
        records = RecordSet(folder, split)
        print(split_text(records, categories))
        chosen = choose(records, arguments.videos, arguments.video)
        if chosen:
            print(videos_text(records, chosen))
        for video in chosen if arguments.video else ():
            print(objects_text(records, video, categories))
        if arguments.verify:
            verify(records)
        rows += sheet_rows(records, arguments.videos, arguments.frames, arguments.video)
    if arguments.video and not rows:
        raise MissingInputError(f"{folder} has no video {arguments.video!r}; --videos lists some")
    if arguments.output:
        _save_sheet(rows, categories, arguments.side, arguments.output)
    return 0


def _save_sheet(rows: list[list[Place]], categories: dict[int, str], side: int, path: str) -> None:
    if not rows:
        raise ConfigError(f"{path}: the split has no frames to show")
    sheet = draw_sheet(rows, categories, side)
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be written ({error}): name a .png file") from error
    print(f"contact sheet: {path} ({sheet.height}x{sheet.width})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.inspect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="a prepared set")
    parser.add_argument("--split", help="one split only (default: all)")
    parser.add_argument("--video", metavar="NAME", help="one video only, with a table of its ids")
    parser.add_argument(
        "--videos", type=int, default=8, help="videos in table and picture (default: %(default)s)"
    )
    parser.add_argument(
        "--frames", type=int, default=6, help="frames in a row (default: %(default)s)"
    )
    parser.add_argument(
        "--side", type=int, default=300, help="longer side of a frame (default: %(default)s)"
    )
    parser.add_argument("--output", metavar="PNG", help="write the picture here")
    parser.add_argument(
        "--verify", action="store_true", help="read every record and check its checksums"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
