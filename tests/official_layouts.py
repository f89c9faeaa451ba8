"""Every data set's official layout: how to build it small, to plan it, and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from data_prep import bl30k, davis, folder, mapillary, pascal_voc, stills, youtube_vis, youtube_vos
from data_prep.davis import plan_davis
from data_prep.folder import plan_folder
from data_prep.mapillary import plan_mapillary
from data_prep.pascal_voc import plan_pascal_voc
from data_prep.stills import plan_stills
from data_prep.write import SplitPlan
from data_prep.youtube_vis import plan_youtube_vis
from data_prep.youtube_vos import plan_youtube_vos
from tests.official_folders import (
    Videos,
    aot,
    davis_test_dev,
    put_videos,
    saliency,
    vistas,
    voc,
    youtube_vis_train,
    youtube_vis_valid,
    youtube_vos_all_frames,
    youtube_vos_train,
)


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
