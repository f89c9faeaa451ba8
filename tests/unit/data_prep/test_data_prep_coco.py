"""COCO to records: ids, overlaps, crowds, empty images, and what is rejected."""

import re

import numpy as np
import pytest
from pycocotools.coco import COCO

from data_prep.coco import plan_coco
from data_prep.write import write_split
from tests.prepared_sets import SIZE, annotation, coco_folder, edit_json, photograph, polygon
from vos_jax.core.errors import AnnotationError, MissingInputError
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet


@pytest.fixture
def source(tmp_path):
    """Image folder and JSON."""
    return coco_folder(tmp_path)


@pytest.fixture
def prepare(tmp_path, source):
    """A function that writes the source and returns (report, records)."""

    def run():
        report = write_split(plan_coco(*source, "train"), tmp_path / "set")
        return report, RecordSet(tmp_path / "set", "train")

    return run


def reasons(report) -> str:
    """The single rejection's reason."""
    (pair,) = report.rejected
    return pair[1]


def test_everything_is_kept(source, prepare):
    report, found = prepare()
    assert (report.read, report.written, report.objects, report.rejected) == (3, 3, 3, [])
    first, second, third = (found[number] for number in range(3))
    assert [video.name for video in found.videos] == [f"{n:012d}" for n in (1, 2, 3)]
    assert first.objects.ids.tolist() == [900100000001, 55]
    assert first.objects.categories.tolist() == [18, 3]
    assert first.objects.crowds.tolist() == [False, False]
    assert second.objects.ids.tolist() == [7]
    assert second.objects.crowds.tolist() == [True]
    assert len(third.objects) == 0
    assert all(frame.annotated and frame.mask is None for frame in (first, second, third))
    for frame in (first, second, third):
        assert frame.image == (source[0] / frame.source).read_bytes()


def test_masks_are_those_of_the_coco_api_overlaps_included(source, prepare, capsys):
    _, found = prepare()
    official = COCO(str(source[1]))
    for number in range(len(found)):
        frame = found[number]
        planes = object_planes(frame)
        assert len(planes) == len(frame.objects)
        for plane, object_id in zip(planes, frame.objects.ids.tolist(), strict=True):
            expected = official.annToMask(official.anns[object_id])
            np.testing.assert_array_equal(plane, expected)
    overlap = object_planes(found[0]).all(axis=0)
    assert overlap.any()


def test_areas_and_boxes_as_stated_else_from_the_mask(prepare):
    _, found = prepare()
    first, second = found[0].objects, found[1].objects
    assert first.areas[0] == np.float32(80.5)
    assert first.areas[1] == object_planes(found[0])[1].sum()
    assert first.boxes[0].tolist() == [2, 3, 10, 8]
    assert second.boxes[0].tolist() == [5, 3, 15, 6]


def test_images_in_sub_folders_of_one_name(source, prepare):
    for folder in "ab":
        (source[0] / folder).mkdir()
        (source[0] / folder / "same.jpg").write_bytes(photograph(5))
    new = [
        {"id": 10 + n, "file_name": f"{folder}/same.jpg", "height": SIZE[0], "width": SIZE[1]}
        for n, folder in enumerate("ab")
    ]
    edit_json(source[1], lambda content: content["images"].extend(new))
    _, found = prepare()
    assert [video.name for video in found.videos][-2:] == ["a/same", "b/same"]
    assert found.frame("b/same", 0).name == "same"


def test_png_images_are_kept_too(source, prepare):
    (source[0] / "4.png").write_bytes(photograph(4, ending=".png"))
    new = {"id": 4, "file_name": "4.png", "height": SIZE[0], "width": SIZE[1]}
    edit_json(source[1], lambda content: content["images"].append(new))
    _, found = prepare()
    assert found.frame("4", 0).image == (source[0] / "4.png").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.unlink(), "000000000002.jpg: No such file"),
        (lambda path: path.write_bytes(b""), "cannot be decoded"),
        (lambda path: path.write_bytes(b"no image"), "cannot be decoded"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "cut off"),
        (lambda path: path.write_bytes(photograph(1, (20, 32))), "20x32 pixels .* says 24x32"),
        (lambda path: path.write_bytes(photograph(1, SIZE[::-1])), "32x24 pixels .* says 24x32"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
    ids=["missing", "empty", "text", "truncated", "other size", "turned", "folder"],
)
def test_bad_images_are_rejected_with_a_reason(source, prepare, spoil, what):
    spoil(source[0] / "000000000002.jpg")
    report, found = prepare()
    assert report.rejected[0][0] == "000000000002.jpg"
    assert re.search(what, reasons(report))
    assert [video.name for video in found.videos] == [f"{n:012d}" for n in (1, 3)]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"segmentation": []}, "annotation 55 is unusable: it has no polygon"),
        ({"segmentation": {"counts": [3, 4]}}, "annotation 55 is unusable: .*cover 7 pixels"),
        ({"segmentation": None}, "annotation 55 is unusable"),
        ({"bbox": [1, 2]}, "annotation 55 is unusable"),
        ({"area": "large"}, "annotation 55 is unusable"),
    ],
)
def test_bad_annotations_reject_their_image(source, prepare, change, what):
    edit_json(source[1], lambda content: content["annotations"][1].update(change))
    report, found = prepare()
    assert report.rejected[0][0] == "000000000001.jpg"
    assert re.search(what, reasons(report))
    assert len(found) == 2


def test_an_annotation_without_mask(source, prepare):
    edit_json(source[1], lambda content: content["annotations"][1].pop("segmentation"))
    assert reasons(prepare()[0]) == "annotation 55 has no 'segmentation'"


def test_annotations_of_unlisted_images_are_reported(source, prepare):
    stray = annotation(99, 1234, [polygon(0, 0, 4, 4)])
    edit_json(source[1], lambda content: content["annotations"].append(stray))
    report, found = prepare()
    assert report.rejected == [("annotation 99", "its image 1234 is not listed")]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no JSON file"),
        ('{"images": [', "no JSON file"),
        ("[]", "holds a list"),
        ("{}", "no COCO instances file"),
        ('{"images": [], "annotations": [{}]}', "no COCO instances file"),
        ('{"images": [{"id": 1}], "annotations": []}', "no COCO instances file"),
        ('{"images": 5, "annotations": []}', "no COCO instances file"),
        ('{"images": [], "annotations": [3]}', "no COCO instances file"),
    ],
)
def test_files_that_are_not_coco(source, text, what):
    source[1].write_text(text)
    with pytest.raises(AnnotationError, match=f"instances.json.*{what}|{what}"):
        plan_coco(*source, "train")


def test_missing_folder_and_file(source, tmp_path):
    with pytest.raises(MissingInputError, match="nowhere is no folder"):
        plan_coco(tmp_path / "nowhere", source[1], "train")
    with pytest.raises(MissingInputError, match="nothing.json: No such file.*--annotations"):
        plan_coco(source[0], tmp_path / "nothing.json", "train")
