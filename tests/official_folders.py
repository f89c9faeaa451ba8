"""Small copies of every data set's official folders, and what their records must hold."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from tests.prepared_sets import SIZE, photograph, plain_counts, polygon, square_labels
from vos_jax.io.images import encode_mask


@dataclass(frozen=True)
class Expected:
    """What the record of a frame must hold.

    Attributes:
        source: path of the image, relative to the folder of the images.
        objects: plane by object id; None where the frame is not annotated.
        categories: by object id, 0 where it is not given.
        kept: the mask file whose bytes must be those of the record.
    """

    source: str
    objects: dict[int, np.ndarray] | None = None
    categories: dict[int, int] = field(default_factory=dict)
    kept: Path | None = None


Videos = dict[str, list[Expected]]


def put(path: Path, content: bytes | str) -> Path:
    """Writes a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def grey(values: np.ndarray) -> bytes:
    """A grey PNG of 8 or 16 bits."""
    return cv2.imencode(".png", values)[1].tobytes()


def planes(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Plane by object id."""
    return {int(i): labels == i for i in np.unique(labels) if i not in (0, 255)}


def put_frame(
    root: Path, images: str, masks: str, name: str, seed: int, objects: int | None
) -> Expected:
    """A JPEG <images>/<name>.jpg, and its palette mask unless `objects` is None."""
    source = f"{images}/{name}.jpg"
    put(root / source, photograph(seed))
    if objects is None:
        return Expected(source)
    labels = square_labels(seed % 7, objects)
    path = put(root / masks / f"{name}.png", encode_mask(labels))
    return Expected(source, planes(labels), kept=path)


def put_videos(root: Path, images: str, masks: str, annotated: range, length: int = 4) -> Videos:
    """Videos `sea` and `air` of 2 objects with masks on the frames in `annotated`."""
    return {
        name: [
            put_frame(root, images, masks, f"{name}/{t:05d}", n + t, 2 if t in annotated else None)
            for t in range(length)
        ]
        for n, name in enumerate(("air", "sea"))
    }


def davis_test_dev(root: Path) -> Videos:
    """Full resolution, masks for the first frames only."""
    put(root / "ImageSets/2017/test-dev.txt", "air\nsea\n")
    return put_videos(
        root, "JPEGImages/Full-Resolution", "Annotations/Full-Resolution", range(0, 1)
    )


CATEGORIES = {"air": {1: "plane", 2: "bird"}, "sea": {1: "earless_seal", 2: "bird"}}


def put_meta(path: Path, stems: list[str]) -> None:
    """A meta.json that lists these frames for both objects of both videos."""
    videos = {
        name: {"objects": {str(i): {"category": c, "frames": stems} for i, c in objects.items()}}
        for name, objects in CATEGORIES.items()
    }
    put(path, json.dumps({"videos": videos}))


def with_categories(videos: Videos) -> Videos:
    """The same frames with the categories of YouTube-VOS."""
    numbers = {
        name: {i: crc32(category.encode()) for i, category in objects.items()}
        for name, objects in CATEGORIES.items()
    }
    return {
        name: [Expected(f.source, f.objects, numbers[name], f.kept) for f in frames]
        for name, frames in videos.items()
    }


def youtube_vos_train(root: Path) -> Videos:
    """Every frame listed and annotated."""
    put_meta(root / "train/meta.json", [f"{t:05d}" for t in range(4)])
    videos = put_videos(root, "train/JPEGImages", "train/Annotations", range(4))
    return with_categories(videos)


def youtube_vos_all_frames(root: Path) -> Videos:
    """Masks on every second frame; a frame behind the last that is listed."""
    put_meta(root / "train/meta.json", ["00000", "00002"])
    images = "all_frames/train_all_frames/JPEGImages"
    videos = with_categories(put_videos(root, images, "train/Annotations", range(0, 3, 2)))
    return {name: frames[:3] for name, frames in videos.items()}


BOX = polygon(2, 3, 10, 8)
FILLED_BOX = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([BOX], *SIZE)))
CROWD = np.zeros(SIZE, np.uint8)
CROWD[5:12, 6:20] = 1


def vis_tracks() -> list[dict]:
    """Tracks 11 (polygons) and 12 (run lengths, overlapping it) of video 1, 13 of video 2."""
    plain = {"size": list(SIZE), "counts": plain_counts(CROWD)}
    packed = coco_mask.encode(np.asfortranarray(CROWD))
    packed["counts"] = packed["counts"].decode()
    rows = [
        (11, 1, 3, [[BOX], None, [BOX]], 0),
        (12, 1, 30, [plain, packed, None], 1),
        (13, 2, 3, [None, packed, None], 0),
    ]
    keys = ("id", "video_id", "category_id", "segmentations", "iscrowd")
    unknown = {"areas": [None] * 3, "bboxes": [None] * 3}
    return [dict(zip(keys, row, strict=True)) | unknown for row in rows]


def vis_videos(root: Path, split: str, first: int, length: int) -> tuple[list[dict], list]:
    """The JSON's entries of two videos counted from `first`, and their image paths."""
    images = f"{split}/JPEGImages"
    videos = put_videos(root, images, "", range(0), length)
    sources = [[f.source[len(images) + 1 :] for f in frames] for frames in videos.values()]
    entries = [
        {"id": n, "file_names": names, "height": SIZE[0], "width": SIZE[1]}
        for n, names in enumerate(sources, start=first)
    ]
    return entries, sources


def youtube_vis_train(name: str) -> Callable[[Path], Videos]:
    """Makes two videos of three frames and the JSON of that name."""

    def build(root: Path) -> Videos:
        entries, sources = vis_videos(root, "train", 1, 3)
        categories = [{"id": 3, "name": "dog"}, {"id": 30, "name": "tiger"}]
        content = {"videos": entries, "annotations": vis_tracks(), "categories": categories}
        put(root / name, json.dumps(content))
        first = [{11: FILLED_BOX, 12: CROWD}, {12: CROWD}, {11: FILLED_BOX}]
        objects, kinds = (first, [{}, {13: CROWD}, {}]), {11: 3, 12: 30, 13: 3}
        return {
            str(n + 1): [Expected(sources[n][t], objects[n][t], kinds) for t in range(3)]
            for n in range(2)
        }

    return build


def youtube_vis_valid(root: Path) -> Videos:
    """Two videos of two frames without annotations."""
    entries, sources = vis_videos(root, "valid", 7, 2)
    put(root / "valid.json", json.dumps({"videos": entries, "annotations": None}))
    return {str(7 + n): list(map(Expected, names)) for n, names in enumerate(sources)}


def saliency(images: str, masks: str, *names: str) -> Callable[[Path], Videos]:
    """Grey masks with soft edges; every second one of three equal channels."""

    def build(root: Path) -> Videos:
        videos = {}
        for n, name in enumerate(names):
            source = f"{images}{name}.jpg"
            put(root / source, photograph(n))
            values = cv2.GaussianBlur(
                np.where(square_labels(n) > 0, 255, 0).astype(np.uint8), (3, 3), 1
            )
            values[8, 8] = 255
            stored = values if n % 2 else cv2.merge([values] * 3)
            put(root / f"{masks}{name}.png", grey(stored))
            videos[name] = [Expected(source, {1: values > 127})]
        return videos

    return build


def aot(root: Path) -> Videos:
    """Images and masks of other names; JPEGs sort before PNGs; one mask is grey, 0 and 255."""
    first, second = square_labels(0), square_labels(1)
    for n, name in enumerate(("b.jpg", "a.png", "c.jpg")):
        put(root / "JPEGImages/PASCAL-S" / name, photograph(n, ending=name[1:]))
    masks = root / "Annotations/PASCAL-S"
    kept = put(masks / "1.png", encode_mask(first))
    put(masks / "2.png", grey(second))
    put(masks / "3.png", grey(np.where(first > 0, 255, 0).astype(np.uint8)))
    return {
        "b": [Expected("JPEGImages/PASCAL-S/b.jpg", planes(first), kept=kept)],
        "c": [Expected("JPEGImages/PASCAL-S/c.jpg", planes(second))],
        "a": [Expected("JPEGImages/PASCAL-S/a.png", {1: first > 0})],
    }


def voc(root: Path) -> Videos:
    """A dog (12) and a person (15), with void borders; an object whose class is unknown."""
    videos = {}
    for n, name in enumerate(("2007_000032", "2007_000039")):
        source = f"JPEGImages/{name}.jpg"
        put(root / source, photograph(n))
        labels = square_labels(n)
        classes = np.array([0, 12, 15 if n == 0 else 255], np.uint8)[labels]
        labels[4, 3 + n] = classes[4, 3 + n] = 255
        kept = put(root / f"SegmentationObject/{name}.png", encode_mask(labels))
        put(root / f"SegmentationClass/{name}.png", encode_mask(classes))
        videos[name] = [Expected(source, planes(labels), {1: 12, 2: 15 if n == 0 else 0}, kept)]
    put(root / "ImageSets/Segmentation/train.txt", "".join(f"{name}\n" for name in videos))
    return videos


VISTAS_LABELS = [
    {"readable": "Bird", "instances": True},
    {"readable": "Road", "instances": False},
    {"readable": "Car", "instances": True},
]


def vistas(root: Path) -> Videos:
    """Birds 0 and 1, road, and on the second image 300 pixels that are 150 cars."""
    put(root / "config.json", json.dumps({"labels": VISTAS_LABELS}))
    few = square_labels(0).astype(np.uint16)
    few = np.array([256, 0, 1], np.uint16)[few]
    many = np.full(SIZE, 256, np.uint16)
    many[5:15, :30] = 2 * 256 + np.arange(300).reshape(10, 30) // 2
    videos = {}
    for n, values in enumerate((few, many)):
        source = f"training/images/im{n}.jpg"
        put(root / source, photograph(n))
        put(root / f"training/instances/im{n}.png", grey(values))
        ids = [int(value) + 256 for value in np.unique(values) if value // 256 != 1]
        objects = {i: values == i - 256 for i in ids}
        videos[f"im{n}"] = [Expected(source, objects, {i: i // 256 for i in ids})]
    return videos
