"""The real COCO subset and DAVIS part: prepared on Beam as locally, and looked into."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import inspect
from data_prep.coco import plan_coco
from data_prep.davis import plan_davis
from data_prep.write import SplitPlan, write_split
from tests.prepared_sets import contents

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def coco() -> SplitPlan:
    """The COCO subset's validation images: objects overlap, sizes differ."""
    annotations = DATA / "coco_subset" / "annotations" / "instances_val2017.json"
    return plan_coco(DATA / "coco_subset" / "val2017", annotations, "val")


def davis() -> SplitPlan:
    """Two videos of the DAVIS part."""
    plan = plan_davis(DATA / "davis2016_val_part", 2016, "val")
    return SplitPlan(plan.dataset, plan.split, plan.videos[:2])


@pytest.mark.parametrize(
    ("plan", "first_line", "rows", "columns"),
    [
        (coco, "val: 48 videos, 48 frames (48 annotated), 444 objects (444 masks), 4.7 MB", 2, 3),
        (davis, "val: 2 videos, 130 frames (130 annotated), 2 objects (130 masks)", 2, 3),
    ],
)
def test_beam_writes_the_same_and_inspect_shows_it(
    tmp_path, capsys, plan, first_line, rows, columns
):
    write_split(plan(), tmp_path / "local", 2)
    write_split(plan(), tmp_path / "beam", 2, runner="FnApiRunner")
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    capsys.readouterr()
    path = tmp_path / "sheet.png"
    shown = ["--videos", str(rows), "--frames", str(columns), "--output", str(path), "--verify"]
    assert inspect.main([str(tmp_path / "beam"), *shown]) == 0
    said = capsys.readouterr().out
    assert first_line in said and "records are whole" in said
    pixels = np.array(Image.open(path)).astype(int)
    assert pixels.shape[1] == columns * 306 + 6
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10000
