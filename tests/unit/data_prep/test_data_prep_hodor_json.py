"""HODOR's JSON annotations to records: images, training videos, inference videos."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from data_prep.hodor_json import plan_hodor_json
from data_prep.write import write_split
from tests.prepared_sets import SIZE, photograph, square_labels
from vos_jax.core.errors import AnnotationError, ConfigError, MissingInputError
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet


def rle(mask: np.ndarray) -> str:
    """A compressed count string."""
    return coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()


def squares(time: int) -> list[np.ndarray]:
    """Two overlapping masks."""
    labels = square_labels(time)
    return [labels == 1, (labels == 2) | (labels == 1)]


def images_form() -> dict:
    """Two stills; the first has areas, boxes and a crowd, the second nothing optional."""
    masks = [rle(mask) for mask in squares(0)]
    still = {"height": SIZE[0], "width": SIZE[1], "segmentations": masks}
    stated = {"areas": [70, 71], "bboxes": [[1, 2, 3, 4], [5, 6, 7, 8]], "iscrowd": [0, 1]}
    return {
        "meta": {"category_labels": {"3": "car", "18": "dog"}},
        "images": [
            {"image_path": "v/0.jpg", "categories": [18, 3], **still, **stated},
            {"image_path": "v/1.jpg", "categories": [3, 3], **still, "id": 77},
        ],
    }


def training_form() -> dict:
    """A video whose object 5 is only on the first frame, and nothing on the last."""
    tracks = [
        {
            str(number): {"seg": rle(mask), "area": 40 + number, "box": [0, 0, 1, 1]}
            for number, mask in zip((5, 2), squares(t), strict=True)
        }
        for t in range(3)
    ]
    del tracks[1]["5"]
    tracks[2] = {}
    video = {
        "id": 12,
        "height": SIZE[0],
        "width": SIZE[1],
        "image_paths": [f"v/{t}.jpg" for t in range(3)],
        "categories": {"2": 3, "5": 18},
        "tracks": tracks,
    }
    return {"meta": {"category_labels": {"3": "car", "18": "dog"}}, "sequences": [video]}


def inference_form() -> dict:
    """A video whose object 1 starts on frame 0 and object 4 on frame 2."""
    first, second = squares(0)
    video = {
        "id": "judo",
        "image_paths": [f"v/{t}.jpg" for t in range(3)],
        "segmentations": {"0": {"1": rle(first)}, "2": {"4": rle(second)}},
        "eval_files": ["0.jpg"],
    }
    return {"sequences": [video]}


@pytest.fixture
def folder(tmp_path):
    """Three images."""
    (tmp_path / "images" / "v").mkdir(parents=True)
    for t in range(3):
        (tmp_path / "images" / "v" / f"{t}.jpg").write_bytes(photograph(t))
    return tmp_path


def prepared(folder, content):
    """Writes a JSON's records; returns (report, records)."""
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    plan = plan_hodor_json(folder / "images", path, "train", "hodor")
    return write_split(plan, folder / "set"), RecordSet(folder / "set", "train")


def test_images(folder):
    report, found = prepared(folder, images_form())
    assert (report.written, report.rejected, found.dataset) == (2, [], "hodor")
    first, second = found[0], found[1]
    assert [video.name for video in found.videos] == ["v/0", "v/1"]
    assert first.image == (folder / "images" / "v" / "0.jpg").read_bytes()
    for frame in (first, second):
        assert frame.objects.ids.tolist() == [1, 2]
        np.testing.assert_array_equal(object_planes(frame), squares(0))
    assert first.objects.categories.tolist() == [18, 3]
    assert first.objects.areas.tolist() == [70, 71]
    assert first.objects.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert first.objects.crowds.tolist() == [False, True]
    assert second.objects.areas.tolist() == [15, 30]
    assert second.objects.boxes[0].tolist() == [3, 4, 5, 3]
    assert not second.objects.crowds.any()


def test_training_videos(folder):
    _, found = prepared(folder, training_form())
    (video,) = found.videos
    assert (video.name, video.frames, video.object_ids) == ("12", 3, (2, 5))
    first, second, third = (found.frame("12", t) for t in range(3))
    assert first.objects.ids.tolist() == [5, 2]
    assert first.objects.categories.tolist() == [18, 3]
    assert first.objects.areas.tolist() == [45, 42]
    np.testing.assert_array_equal(object_planes(first), squares(0))
    assert second.objects.ids.tolist() == [2]
    np.testing.assert_array_equal(object_planes(second), squares(1)[1:])
    assert third.annotated
    assert len(third.objects) == 0


def test_inference_videos(folder):
    _, found = prepared(folder, inference_form())
    frames = [found.frame("judo", t) for t in range(3)]
    assert [frame.annotated for frame in frames] == [True, False, True]
    assert [frame.objects.ids.tolist() for frame in frames] == [[1], [], [4]]
    np.testing.assert_array_equal(object_planes(frames[2]), squares(0)[1:])
    assert frames[0].objects.areas.tolist() == [15]


def test_category_names_are_kept(folder):
    prepared(folder, images_form())
    names = json.loads((folder / "set" / "metadata.json").read_text())
    assert names == {"categories": {"3": "car", "18": "dog"}}


def test_a_mask_of_another_size_rejects_the_frame(folder):
    content = training_form()
    content["sequences"][0]["tracks"][1]["2"]["seg"] = rle(np.ones((4, 4)))
    report, found = prepared(folder, content)
    ((source, reason),) = report.rejected
    assert source == "v/1.jpg"
    assert reason.startswith("annotation 2 is unusable: its run lengths cover 16 pixels")
    assert [found.frame(0, t).time for t in range(2)] == [0, 2]


def test_stated_sizes_are_checked(folder):
    content = images_form()
    content["images"][1]["width"] = 33
    report, _ = prepared(folder, content)
    assert "24x32 pixels (height x width) but its annotation says 24x33" in report.rejected[0][1]


def test_missing_images_are_listed(folder):
    (folder / "images" / "v" / "1.jpg").unlink()
    report, _ = prepared(folder, inference_form())
    assert report.rejected[0][0] == "v/1.jpg"


def spoil(form, change):
    """A form after a change."""
    content = form()
    change(content)
    return content


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"images": [{}]},
        {"images": 3},
        {"sequences": [{"id": 1, "image_paths": []}]},
        spoil(images_form, lambda c: c["images"][0]["categories"].pop()),
        spoil(images_form, lambda c: c["images"][0]["areas"].pop()),
        spoil(images_form, lambda c: c["images"][0].pop("height")),
        spoil(images_form, lambda c: c["meta"].update(category_labels={"x": "y"})),
        spoil(training_form, lambda c: c["sequences"][0]["tracks"].pop()),
        spoil(training_form, lambda c: c["sequences"][0]["tracks"][0]["5"].pop("seg")),
        spoil(training_form, lambda c: c["sequences"][0]["categories"].update({"5": "dog"})),
        spoil(inference_form, lambda c: c["sequences"][0]["segmentations"].update({"3": {}})),
        spoil(inference_form, lambda c: c["sequences"][0]["segmentations"].update({"x": {}})),
        spoil(inference_form, lambda c: c["sequences"][0].update(segmentations=[])),
    ],
)
def test_files_of_none_of_the_forms(folder, content):
    with pytest.raises(AnnotationError, match="annotations.json is none of HODOR's JSON forms"):
        prepared(folder, content)


def test_no_sequences_at_all(folder):
    with pytest.raises(AnnotationError, match="lists no images"):
        prepared(folder, {"sequences": []})


def test_missing_folder_and_bad_name(folder):
    path = folder / "annotations.json"
    path.write_text(json.dumps(images_form()))
    with pytest.raises(MissingInputError, match="is no folder: --images"):
        plan_hodor_json(folder / "nowhere", path, "train", "hodor")
    with pytest.raises(ConfigError, match="--name 'a-b'"):
        plan_hodor_json(folder / "images", path, "train", "a-b")
