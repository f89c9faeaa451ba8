"""YouTube-VIS 2019 and 2021 (or any set in its JSON form) to records.

    python -m data_prep.youtube_vis --root youtube_vis_2021 --year 2021 --split train \
        --output prepared/youtube_vis_2021

A video's name is its number in the JSON; every track keeps its id, category, stated areas and
boxes, crowd flag, and on each frame its own exact mask, overlaps included. Videos of a file
without annotations (valid, test) are stored as not annotated.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from data_prep.annotated import AnnotatedFrame, read_json
from data_prep.command import add_writing_flags, write_and_report
from data_prep.sources import ListedVideo, require_folder
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError
from vos_jax.io.youtube_vis import annotation_file

YEARS = (2019, 2021)


def plan_youtube_vis(
    root: str | Path, year: int, split: str, annotations: str | Path | None = None
) -> SplitPlan:
    """Reads the JSON of a split.

    Args:
        root: the folder that holds <split>/JPEGImages.
        year: of the release; part of the data set's name.
        split: train, valid or test.
        annotations: the JSON; None looks for <split>/instances.json, <split>.json and
            annotations/instances_<split>.json.

    Raises:
        MissingInputError: folder or file is not there; names it.
        AnnotationError: the file is not YouTube-VIS JSON.
    """
    root = Path(root)
    images = require_folder(root / split / "JPEGImages", "--root takes the folder of the splits")
    path = Path(annotations) if annotations else annotation_file(root, split)
    content = read_json(path)
    try:
        tracks = defaultdict(list)
        for track in content.get("annotations") or ():
            tracks[track["video_id"]].append(track)
        known = bool(tracks)
        videos = [
            _video(images, video, tracks.pop(video["id"], []) if known else None)
            for video in content["videos"]
        ]
        categories = {entry["id"]: entry["name"] for entry in content.get("categories", ())}
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"{path} is no YouTube-VIS file ({error!r}): it needs videos (id, file_names, height, "
            "width) and annotations (id, video_id, category_id, segmentations, one a frame)"
        ) from error
    orphans = [
        (f"annotation {track.get('id')}", f"its video {video} is not listed")
        for video, entries in tracks.items()
        for track in entries
    ]
    return SplitPlan(f"youtube_vis_{year}", split, videos, categories, orphans)


def _video(images: Path, video: dict, tracks: list[dict] | None) -> ListedVideo:
    files, size = video["file_names"], (int(video["height"]), int(video["width"]))
    name = str(video["id"])
    for track in tracks or ():
        if len(track["segmentations"]) != len(files):
            raise ValueError(
                f"annotation {track['id']}: {len(track['segmentations'])} segmentations for "
                f"{len(files)} frames"
            )
    frames = (
        AnnotatedFrame(
            images, name, t, source, size, None if tracks is None else _annotations_at(tracks, t)
        )
        for t, source in enumerate(files)
    )
    return ListedVideo(name, tuple(frames))


def _annotations_at(tracks: list[dict], t: int) -> tuple[dict, ...]:
    """What is on frame t, with the keys of COCO annotations."""
    columns = {"segmentation": "segmentations", "area": "areas", "bbox": "bboxes"}
    return tuple(
        {
            "id": track["id"],
            "category_id": track["category_id"],
            "iscrowd": track.get("iscrowd", 0),
            **{key: track[name][t] for key, name in columns.items() if _has(track, name, t)},
        }
        for track in tracks
        if track["segmentations"][t] is not None
    )


def _has(track: dict, name: str, t: int) -> bool:
    return bool(track.get(name)) and track[name][t] is not None


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.youtube_vis",
        description="Writes a split of YouTube-VIS as TFRecords.",
        epilog="example: python -m data_prep.youtube_vis --root youtube_vis_2021 --year 2021 "
        "--split train --output prepared/youtube_vis_2021",
    )
    parser.add_argument("--root", required=True, help="has <split>/JPEGImages and the JSON")
    parser.add_argument("--year", type=int, choices=YEARS, default=2019)
    parser.add_argument("--split", default="train", help="train, valid, test (default: train)")
    parser.add_argument("--annotations", help="the JSON (default: where the releases have it)")
    add_writing_flags(parser)
    arguments = parser.parse_args(argv)
    plan = plan_youtube_vis(arguments.root, arguments.year, arguments.split, arguments.annotations)
    return write_and_report(plan, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
