"""Small copies of every data set's official layout, and what its records must hold."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from data_prep import bl30k, davis, folder, mapillary, pascal_voc, stills, youtube_vis, youtube_vos
from data_prep.davis import plan_davis
from data_prep.folder import plan_folder
from data_prep.mapillary import plan_mapillary
from data_prep.pascal_voc import plan_pascal_voc
from data_prep.stills import plan_stills
from data_prep.write import SplitPlan
from data_prep.youtube_vis import plan_youtube_vis
from data_prep.youtube_vos import plan_youtube_vos
from tests.prepared_sets import SIZE, photograph, plain_counts, polygon, square_labels
from vos_jax.io.images import encode_mask


@dataclass(frozen=True)
class Expected:
    """What the record of a frame must hold.

    Attributes:
        source: path of the image, relative to what `Layout.images` says.
        objects: plane by object id; None where the frame is not annotated.
        categories: by object id, 0 where it is not given.
        kept: the mask file whose bytes must be those of the record.
    """

    source: str
    objects: dict[int, np.ndarray] | None = None
    categories: dict[int, int] = field(default_factory=dict)
    kept: Path | None = None


Videos = dict[str, list[Expected]]


@dataclass(frozen=True)
class Layout:
    """A data set's layout.

    Attributes:
        dataset: name of the prepared set.
        build: makes the folders under a root and returns the frames of each video.
        plan: reads them.
        command: module of the command and its flags, with the root as {root}.
        required: paths whose absence the plan must name.
        images: the folder that sources are relative to.
        names: category names in the metadata.
    """

    dataset: str
    build: Callable[[Path], Videos]
    plan: Callable[[Path], SplitPlan]
    command: tuple
    required: tuple[str, ...]
    images: str = ""
    names: dict[int, str] = field(default_factory=dict)


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


def youtube_vis_train(name: str) -> Callable[[Path], Videos]:
    """Tracks 11 (polygons), 12 (run lengths, overlapping it), a track that is on frame 1 only."""

    def build(root: Path) -> Videos:
        videos = put_videos(root, "train/JPEGImages", "", range(0), length=3)
        box = polygon(2, 3, 10, 8)
        filled = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([box], *SIZE)))
        crowd = np.zeros(SIZE, np.uint8)
        crowd[5:12, 6:20] = 1
        plain = {"size": list(SIZE), "counts": plain_counts(crowd)}
        packed = coco_mask.encode(np.asfortranarray(crowd))
        packed["counts"] = packed["counts"].decode()
        tracks = [
            (11, 1, 3, [[box], None, [box]], 0),
            (12, 1, 30, [plain, packed, None], 1),
            (13, 2, 3, [None, packed, None], 0),
        ]
        keys = ("id", "video_id", "category_id", "segmentations", "iscrowd")
        content = {
            "videos": [
                {
                    "id": n,
                    "file_names": [frame.source[17:] for frame in frames],
                    "height": SIZE[0],
                    "width": SIZE[1],
                }
                for n, frames in enumerate(videos.values(), start=1)
            ],
            "annotations": [
                dict(zip(keys, track, strict=True)) | {"areas": [None] * 3, "bboxes": [None] * 3}
                for track in tracks
            ],
            "categories": [{"id": 3, "name": "dog"}, {"id": 30, "name": "tiger"}],
        }
        put(root / name, json.dumps(content))
        at = [{11: filled, 12: crowd}, {12: crowd}, {11: filled}], [{}, {13: crowd}, {}]
        kinds = {11: 3, 12: 30, 13: 3}
        return {
            str(n): [Expected(f.source[17:], at[n - 1][t], kinds) for t, f in enumerate(frames)]
            for n, frames in enumerate(videos.values(), start=1)
        }

    return build


def youtube_vis_valid(root: Path) -> Videos:
    """No annotations."""
    videos = put_videos(root, "valid/JPEGImages", "", range(0), length=2)
    entries = [
        {"id": n, "file_names": [f.source[17:] for f in frames], "height": 24, "width": 32}
        for n, frames in enumerate(videos.values(), start=7)
    ]
    put(root / "valid.json", json.dumps({"videos": entries, "annotations": None}))
    return {
        str(n): [Expected(frame.source[17:]) for frame in frames]
        for n, frames in enumerate(videos.values(), start=7)
    }


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


YOUTUBE_NAMES = {crc32(name.encode()): name for name in ("plane", "bird", "earless_seal")}

LAYOUTS = {
    "davis": Layout(
        "davis2017_full_resolution",
        davis_test_dev,
        lambda root: plan_davis(root, 2017, "test-dev", "Full-Resolution"),
        (davis, "--root={root}", "--split=test-dev", "--resolution=Full-Resolution"),
        ("JPEGImages/Full-Resolution", "ImageSets/2017/test-dev.txt"),
    ),
    "youtube_vos": Layout(
        "youtube_vos_2019",
        youtube_vos_train,
        lambda root: plan_youtube_vos(root, 2019, "train"),
        (youtube_vos, "--root={root}", "--split=train"),
        (
            "train/meta.json",
            "train/JPEGImages",
            "train/JPEGImages/sea/00002.jpg",
            "train/Annotations/air/00001.png",
        ),
        names=YOUTUBE_NAMES,
    ),
    "youtube_vos_all_frames": Layout(
        "youtube_vos_2018_all_frames",
        youtube_vos_all_frames,
        lambda root: plan_youtube_vos(root, 2018, "train", all_frames=True),
        (youtube_vos, "--root={root}", "--year=2018", "--all_frames"),
        ("all_frames/train_all_frames/JPEGImages/air", "train/Annotations/sea/00002.png"),
        names=YOUTUBE_NAMES,
    ),
    "youtube_vis_2019": Layout(
        "youtube_vis_2019",
        youtube_vis_train("train.json"),
        lambda root: plan_youtube_vis(root, 2019, "train"),
        (youtube_vis, "--root={root}"),
        ("train/JPEGImages", "train.json"),
        images="train/JPEGImages",
        names={3: "dog", 30: "tiger"},
    ),
    "youtube_vis_2021": Layout(
        "youtube_vis_2021",
        youtube_vis_train("train/instances.json"),
        lambda root: plan_youtube_vis(root, 2021, "train"),
        (youtube_vis, "--root={root}", "--year=2021", "--split=train"),
        ("train/JPEGImages", "train/instances.json"),
        images="train/JPEGImages",
        names={3: "dog", 30: "tiger"},
    ),
    "youtube_vis_valid": Layout(
        "youtube_vis_2019",
        youtube_vis_valid,
        lambda root: plan_youtube_vis(root, 2019, "valid"),
        (youtube_vis, "--root={root}", "--split=valid"),
        ("valid/JPEGImages", "valid.json"),
        images="valid/JPEGImages",
    ),
    "duts_tr": Layout(
        "duts_tr",
        saliency("DUTS-TR-Image/", "DUTS-TR-Mask/", "ILSVRC_1", "ILSVRC_2"),
        lambda root: plan_stills(root, "duts_tr", "train"),
        (stills, "--root={root}", "--set=duts_tr"),
        ("DUTS-TR-Mask", "DUTS-TR-Image"),
    ),
    "hrsod": Layout(
        "hrsod",
        saliency("HRSOD_test/", "HRSOD_test_mask/", "1", "2"),
        lambda root: plan_stills(root, "hrsod", "test"),
        (stills, "--root={root}", "--set=hrsod", "--split=test"),
        ("HRSOD_test", "HRSOD_test_mask"),
    ),
    "big_small": Layout(
        "big_small",
        saliency("", "", "x_1", "x_2", "y"),
        lambda root: plan_stills(root, "big_small", "train"),
        (stills, "--root={root}", "--set=big_small"),
        ("",),
    ),
    "fss1000": Layout(
        "fss1000",
        saliency("", "", "ab_wheel/1", "ab_wheel/2", "zebra/1"),
        lambda root: plan_stills(root, "fss1000", "train"),
        (stills, "--root={root}", "--set=fss1000"),
        ("",),
    ),
    "aot": Layout(
        "pascal_s",
        aot,
        lambda root: plan_stills(root, "PASCAL-S", "train", aot=True),
        (stills, "--root={root}", "--set=PASCAL-S", "--aot"),
        ("JPEGImages/PASCAL-S", "Annotations/PASCAL-S"),
    ),
    "pascal_voc": Layout(
        "pascal_voc",
        voc,
        lambda root: plan_pascal_voc(root, "train"),
        (pascal_voc, "--root={root}"),
        (
            "JPEGImages",
            "SegmentationObject",
            "SegmentationClass",
            "ImageSets/Segmentation/train.txt",
        ),
        names=dict(enumerate(pascal_voc.CATEGORIES, start=1)),
    ),
    "mapillary": Layout(
        "mapillary",
        vistas,
        lambda root: plan_mapillary(root, "training"),
        (mapillary, "--root={root}"),
        ("config.json", "training/images", "training/instances"),
        names={1: "Bird", 2: "Road", 3: "Car"},
    ),
    "bl30k": Layout(
        "bl30k",
        lambda root: put_videos(root, "JPEGImages", "Annotations", range(4)),
        lambda root: plan_folder(root, "train", "bl30k", complete=True),
        (bl30k, "--root={root}"),
        ("JPEGImages", "Annotations/air/00003.png"),
    ),
    "folder": Layout(
        "mine",
        lambda root: put_videos(root, "JPEGImages", "Annotations", range(1, 4, 2)),
        lambda root: plan_folder(root, "train", "mine"),
        (folder, "--root={root}", "--name=mine"),
        ("JPEGImages",),
    ),
    "folder_480p": Layout(
        "mine",
        lambda root: put_videos(root, "JPEGImages/480p", "Annotations/480p", range(2)),
        lambda root: plan_folder(root, "train", "mine"),
        (folder, "--root={root}", "--name=mine"),
        ("JPEGImages",),
    ),
}
