"""Prepared images, masks and videos as the files that official training programs read."""

import json
from pathlib import Path

import numpy as np

from vos_jax.data.frames import Frame
from vos_jax.data.items import object_labels
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet
from vos_jax.io.images import write_mask

Read = tuple[str, int, int]
"""A frame that was read: name of its video, its number there, and the video's length."""


def hodor_stills(records: RecordSet, reads: list[Read], folder: Path) -> None:
    """HODOR's JSON of still images (spec 14.1); crowd regions are left out."""
    images = []
    for name in sorted({name for name, *_ in reads}):
        frame = records.frame(name, 0)
        objects = frame.objects
        kept, rles = np.flatnonzero(~objects.crowds), _run_lengths(frame)
        images.append(
            {
                "id": name,
                "height": frame.height,
                "width": frame.width,
                "image_path": _write_image(folder / "images", f"{name}.jpg", frame),
                "categories": [0] * len(kept),
                "segmentations": [rles[row] for row in kept],
                "areas": objects.areas[kept].tolist(),
                "bboxes": objects.boxes[kept].tolist(),
            }
        )
    _write_json(folder, images=images)


def hodor_videos(records: RecordSet, reads: list[Read], folder: Path) -> None:
    """HODOR's JSON of training videos; frames not read have neither image nor objects."""
    sequences = []
    for name, length in sorted({(name, length) for name, _, length in reads}):
        tracks = [{} for _ in range(length)]
        for time in {time for video, time, _ in reads if video == name}:
            frame = records.frame(name, time)
            _write_image(folder / "images", f"{name}/{time:05d}.jpg", frame)
            objects, rles = frame.objects, _run_lengths(frame)
            rows = zip(objects.ids, objects.boxes, objects.areas, rles, strict=True)
            tracks[time] = {
                int(i): {"box": box.tolist(), "seg": rle, "area": float(area)}
                for i, box, area, rle in rows
            }
        sequences.append(
            {
                "id": name,
                "height": frame.height,
                "width": frame.width,
                "image_paths": [f"{name}/{time:05d}.jpg" for time in range(length)],
                "categories": {number: 0 for objects in tracks for number in objects},
                "tracks": tracks,
            }
        )
    _write_json(folder, sequences=sequences)


def aot_stills(records: RecordSet, reads: list[Read], folder: Path) -> None:
    """AOT's folders of still images (spec 12.1), as if all were of COCO."""
    for name in sorted({name for name, *_ in reads}):
        frame = records.frame(name, 0)
        _write_image(folder / "JPEGImages" / "COCO", f"{name}.jpg", frame)
        _write_labels(folder / "Annotations" / "COCO" / f"{name}.png", frame)


def aot_videos(records: RecordSet, reads: list[Read], folder: Path) -> None:
    """A DAVIS 2017 folder of the whole videos, since AOT draws the frames of a clip itself."""
    videos = sorted({(name, length) for name, _, length in reads})
    for name, length in videos:
        for time in range(length):
            frame = records.frame(name, time)
            _write_image(folder / "JPEGImages" / "480p", f"{name}/{time:05d}.jpg", frame)
            _write_labels(folder / "Annotations" / "480p" / name / f"{time:05d}.png", frame)
    listing = folder / "ImageSets" / "2017" / "train.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("\n".join(name for name, _ in videos))


def _run_lengths(frame: Frame) -> list[str]:
    """The compressed code of every object."""
    if frame.objects.rles or not len(frame.objects):
        return [rle.decode() for rle in frame.objects.rles]
    from pycocotools import mask as coco_mask

    planes = np.asfortranarray(object_planes(frame).transpose(1, 2, 0), np.uint8)
    return [rle["counts"].decode() for rle in coco_mask.encode(planes)]


def _write_image(folder: Path, name: str, frame: Frame) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(frame.image)
    return name


def _write_labels(path: Path, frame: Frame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = frame.objects.ids[~frame.objects.crowds].tolist()
    write_mask(path, object_labels(frame, ids[:254]))


def _write_json(folder: Path, **content: list[dict]) -> None:
    content = {"meta": {"category_labels": {"0": "object"}}, **content}
    (folder / "annotations.json").write_text(json.dumps(content))
