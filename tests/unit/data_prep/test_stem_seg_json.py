"""STEm-Seg's JSON files: videos and images with masks, classes and regions to ignore."""

import copy
import json

import cv2
import numpy as np
import pytest

from data_prep.runs import label_rles
from data_prep.stem_seg_json import main
from vos_jax.core.commands import run_command
from vos_jax.data.composed import ComposedClips
from vos_jax.data.frame_sampling import EvenlySpaced, Repeat
from vos_jax.data.objects import VisibleInstances
from vos_jax.data.operations import Chain
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet

SIZE = (20, 30)
META = {"category_labels": {"1": "car", "2": "pedestrian"}}


def code(top: int, bottom: int) -> str:
    labels = np.zeros(SIZE, int)
    labels[top:bottom, 3:25] = 1
    return label_rles(labels)[1].decode()


VIDEO = {
    "id": "0002",
    "height": 20,
    "width": 30,
    "image_paths": [f"0002/{t}.png" for t in range(4)],
    "categories": {"7": 2, "300": 1},
    "segmentations": [{"7": code(0, 9)}, {"7": code(1, 9), "300": code(10, 20)}, {}, {}],
}
IMAGE = {
    "height": 20,
    "width": 30,
    "image_path": "a/b.png",
    "categories": [2, 1],
    "segmentations": [code(0, 6), code(4, 12)],
    "ignore": code(10, 20),
}


@pytest.fixture
def prepare(tmp_path):
    """Runs the command on a file; gives its exit code and how to open what it wrote."""

    def run(content: dict):
        sequences = content.get("sequences", [])
        listed = [path for each in sequences for path in each["image_paths"]]
        for path in [*listed, *(each["image_path"] for each in content.get("images", []))]:
            (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
            cv2.imwrite(str(tmp_path / path), np.zeros((*SIZE, 3), np.uint8))
        (tmp_path / "all.json").write_text(json.dumps(content))
        folders = ["--images", tmp_path, "--annotations", tmp_path / "all.json"]
        names = ["--dataset", "traffic", "--output", tmp_path / "set", "--processes", "1"]
        return run_command(main, list(map(str, [*folders, *names])))

    run.records = lambda: RecordSet(tmp_path / "set", "train")
    return run


def test_a_video_keeps_ids_classes_and_absences(prepare):
    assert prepare({"meta": META, "sequences": [VIDEO]}) == 0
    records = prepare.records()
    (video,) = records.videos
    assert (video.name, video.object_ids, video.size, video.frames) == ("0002", (7, 300), SIZE, 4)
    frame = records.frame(0, 1)
    assert dict(zip(frame.objects.ids, frame.objects.categories, strict=True)) == {7: 2, 300: 1}
    planes = object_planes(frame)
    assert planes.sum() == 8 * 22 + 10 * 22 and planes[0][1:9, 3:25].all()
    empty = records.frame(0, 2)
    assert empty.annotated and len(empty.objects) == 0


def test_videos_without_categories_are_not_annotated(prepare):
    bare = {name: VIDEO[name] for name in ("id", "height", "width", "image_paths")}
    assert prepare({"meta": META, "sequences": [bare]}) == 0
    assert not prepare.records().index.frames["annotated"].any()


def test_the_region_an_image_ignores_is_void_in_clips(prepare):
    """Below the objects, and no object of the clip."""
    assert prepare({"meta": META, "images": [IMAGE]}) == 0
    records = prepare.records()
    choice = VisibleInstances()
    source = ComposedClips(records, Chain(()), Repeat(2), choice, classes="stored")
    sample = source.clip(0, 8, np.random.default_rng(0))
    column = sample.labels[0, :, 10]
    assert column.tolist() == [1] * 4 + [2] * 8 + [255] * 8
    assert sample.categories.tolist() == [2, 1]


def test_category_3_of_kitti_is_ignored(prepare):
    """And makes no frame usable: the last two frames show nothing else."""
    video = copy.deepcopy(VIDEO)
    video["categories"]["10000"] = 3
    for masks in video["segmentations"]:
        masks["10000"] = code(10, 20)
    assert prepare({"meta": META, "sequences": [video]}) == 0
    options = {"object_frames": 1, "classes": "kitti_mots"}
    sampler, choice = EvenlySpaced(2, (1, 1)), VisibleInstances()
    records = prepare.records()
    assert len(ComposedClips(records, Chain(()), sampler, choice, **options).sizes) == 0
    source = ComposedClips(records, Chain(()), Repeat(1), choice, **options)
    sample = source.clip(0, 8, np.random.default_rng(0))
    assert set(np.unique(sample.labels)) == {0, 1, 255} and sample.categories.tolist() == [2]


@pytest.mark.parametrize(
    "change",
    [
        {"categories": {"7": 2}},
        {"categories": {"7": 2, "300": 1, "5": 1}},
        {"segmentations": VIDEO["segmentations"][:3]},
        {"height": None},
    ],
)
def test_files_that_contradict_themselves_are_refused(prepare, capsys, change):
    assert prepare({"meta": META, "sequences": [{**VIDEO, **change}]}) == 2
    assert "all.json is no file of STEm-Seg" in capsys.readouterr().err


@pytest.mark.parametrize("content", [{"meta": META}, {"images": [IMAGE]}])
def test_other_json_is_refused(prepare, capsys, content):
    assert prepare(content) == 2
    assert "it needs meta.category_labels" in capsys.readouterr().err
