"""YouTube-VIS: its JSON of videos, classes and tracks, its folders, and results in its form.

The file: `{"videos": [{"id", "width", "height", "length", "file_names"}], "categories": [{"id",
"name"}], "annotations": [{"id", "video_id", "category_id", "iscrowd", "areas", "segmentations"}]}`;
areas and segmentations have an entry per frame, null where the track is absent. Results: a list
of `{"video_id", "score", "category_id", "segmentations"}`.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from vos_jax.core.errors import AnnotationError, MissingInputError, ResultsError
from vos_jax.io.layouts import MOST_NAMED, Sequence


@dataclasses.dataclass(frozen=True)
class VisVideo:
    """A video as the file lists it.

    Attributes:
        size: (height, width).
        files: its frames, relative to the folder of the images.
    """

    size: tuple[int, int]
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class VisFile:
    """The content of a file.

    Attributes:
        videos: by id, in order.
        categories: name by id.
        annotations: the tracks; every segmentation is a compressed run-length code or None.
    """

    videos: Mapping[int, VisVideo]
    categories: Mapping[int, str]
    annotations: tuple[dict[str, Any], ...]


def annotation_file(root: str | os.PathLike, split: str) -> Path:
    """Where the JSON of a split lies; `valid` may be called `val`.

    Raises:
        MissingInputError: in none of the places the releases have it.
    """
    places = ("{0}/instances.json", "{0}.json", "annotations/instances_{0}.json")
    names = [place.format(called) for called in _calls(split) for place in places]
    for name in names:
        if (Path(root) / name).is_file():
            return Path(root) / name
    raise MissingInputError(f"{root} has none of {', '.join(names)}: name the folder that has one")


def read_vis(path: str | os.PathLike) -> VisFile:
    """Reads a file, with or without tracks.

    Raises:
        MissingInputError: it is not there.
        AnnotationError: it is not of this form, or a track's video is not listed.
    """
    content = _read(path, AnnotationError)
    try:
        videos = {
            int(v["id"]): VisVideo((int(v["height"]), int(v["width"])), tuple(v["file_names"]))
            for v in content["videos"]
        }
        categories = {int(c["id"]): str(c["name"]) for c in content.get("categories") or ()}
        tracks = [
            {**track, "segmentations": _codes(track, videos)}
            for track in content.get("annotations") or ()
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnnotationError(f"{path}: is not YouTube-VIS JSON ({error})") from error
    return VisFile(videos, categories, tuple(tracks))


def read_vis_results(path: str | os.PathLike, truth: VisFile) -> list[dict[str, Any]]:
    """Reads results for the videos of a file.

    Raises:
        MissingInputError: there is no such file.
        ResultsError: it is not of this form, or is about a video that the truth does not have.
    """
    content = _read(path, ResultsError)
    try:
        if not isinstance(content, list):
            raise ValueError("not a list of instances")
        return [
            {
                "video_id": int(entry["video_id"]),
                "category_id": int(entry["category_id"]),
                "score": float(entry["score"]),
                "segmentations": _codes(entry, truth.videos),
            }
            for entry in content
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{path}: cannot be scored ({error})") from error


def youtube_vis(root: str | Path, split: str, *, skip_missing: bool = False) -> list[Sequence]:
    """The videos of a split, called by their ids: <split>/JPEGImages/<file name> and the JSON.

    Args:
        root: the folder that holds the splits.
        split: train, valid or test.
        skip_missing: leave out listed videos that are not on disk instead of failing.

    Raises:
        MissingInputError: the JSON or the first frame of a video is missing; names it.
        AnnotationError: the JSON is not what it should be.
    """
    path = annotation_file(root, split)
    places = [Path(root) / called / "JPEGImages" for called in _calls(split)]
    images = next(filter(Path.is_dir, places), places[0])
    found, missing = [], []
    for number, video in read_vis(path).videos.items():
        frames = tuple(images / name for name in video.files)
        if not frames or not frames[0].is_file():
            missing.append(f"{number} ({Path(video.files[0]).parent if frames else 'no frame'})")
            continue
        stems = tuple(frame.stem for frame in frames)
        found.append(Sequence(str(number), stems, frames, (None,) * len(frames)))
    if missing and (not skip_missing or not found):
        raise MissingInputError(
            f"{images}: no frames of {len(missing)} of {len(missing) + len(found)} videos of "
            f"{path}: {', '.join(missing[:MOST_NAMED])}; complete the data set or ask to skip "
            "missing ones"
        )
    return found


def _calls(split: str) -> tuple[str, ...]:
    return (split, "val") if split == "valid" else (split,)


def _read(path: str | os.PathLike, kind: type[Exception]) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such file; name the JSON") from error
    except (OSError, ValueError) as error:
        raise kind(f"{path}: cannot be read as JSON ({error})") from error


def _codes(entry: dict, videos: Mapping[int, VisVideo]) -> list[dict | None]:
    """The segmentations of a track as compressed codes.

    Raises:
        ValueError: the video is not listed, or a frame's segmentation does not fit it.
    """
    number, codes = int(entry["video_id"]), entry["segmentations"]
    if number not in videos:
        raise ValueError(f"video_id {number} is not among the videos")
    video = videos[number]
    if len(codes) != len(video.files):
        raise ValueError(
            f"video {number} has {len(video.files)} frames, an instance {len(codes)} segmentations"
        )
    return [_compressed(code, video.size, number) if code else None for code in codes]


def _compressed(code: Any, size: tuple[int, int], number: int) -> dict:
    if isinstance(code, list):
        return coco_mask.merge(coco_mask.frPyObjects(code, *size))
    if tuple(code["size"]) != size:
        raise ValueError(
            f"video {number} is {size[1]}x{size[0]}, a mask {code['size'][1]}x{code['size'][0]}"
        )
    return coco_mask.frPyObjects(code, *size) if isinstance(code["counts"], list) else code
