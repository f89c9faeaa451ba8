"""Preparing the real COCO subset and DAVIS part: every byte, id and pixel comes back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data_prep.coco import plan_coco
from data_prep.davis import plan_davis
from data_prep.write import write_split
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("split", "images", "objects", "crowds"), [("train", 103, 951, 13), ("val", 48, 444, 8)]
)
def test_coco_subset(tmp_path, split, images, objects, crowds, capsys):
    folder = DATA / "coco_subset" / f"{split}2017"
    annotations = DATA / "coco_subset" / "annotations" / f"instances_{split}2017.json"
    report = write_split(plan_coco(folder, annotations, split), tmp_path)
    assert (report.written, report.objects, report.rejected) == (images, objects, [])
    official = COCO(str(annotations))
    found = RecordSet(tmp_path, split)
    assert found.index.objects["crowd"].sum() == crowds
    for number in range(len(found)):
        frame = found[number]
        listed = official.loadAnns(official.getAnnIds(imgIds=int(frame.name)))
        assert frame.objects.ids.tolist() == [entry["id"] for entry in listed]
        assert frame.image == (folder / frame.source).read_bytes()
        for plane, entry in zip(object_planes(frame), listed, strict=True):
            np.testing.assert_array_equal(plane, official.annToMask(entry))


def test_davis_part(tmp_path):
    root = DATA / "davis2016_val_part"
    plan = plan_davis(root, 2016, "val")
    assert len(plan.videos) == 12
    short = type(plan)(plan.dataset, plan.split, plan.videos[:2])
    report = write_split(short, tmp_path, 2)
    assert (report.written, report.rejected) == (130, [])
    found = RecordSet(tmp_path, "val")
    for video in found.videos:
        for t in range(0, video.frames, 10):
            frame = found.frame(video.name, t)
            path = root / "Annotations" / "480p" / video.name / f"{frame.name}.png"
            np.testing.assert_array_equal(frame_labels(frame) * 255, np.array(Image.open(path)))
            assert frame.image == (root / frame.source).read_bytes()
