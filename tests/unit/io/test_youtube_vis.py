"""YouTube-VIS files: every form of a mask, results that fit them, and what is wrong with others."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vos_jax.core.errors import AnnotationError, MissingInputError, ResultsError
from vos_jax.io.youtube_vis import annotation_file, read_vis, read_vis_results, youtube_vis

SIZE = (6, 8)
MASK = np.zeros(SIZE, np.uint8, order="F")
MASK[1:4, 2:5] = 1
COMPRESSED = coco_mask.encode(MASK)
COMPRESSED["counts"] = COMPRESSED["counts"].decode()
PLAIN = {"size": list(SIZE), "counts": [13, 3, 3, 3, 3, 3, 20]}
POLYGON = [[2, 1, 5, 1, 5, 4, 2, 4]]


def content(segmentations=(COMPRESSED, None), **changes):
    """A file of one video of two frames and one track."""
    track = {"id": 1, "video_id": 5, "category_id": 3, "segmentations": list(segmentations)}
    video = {"id": 5, "height": 6, "width": 8, "file_names": ["v/00000.jpg", "v/00005.jpg"]}
    whole = {"videos": [video], "categories": [{"id": 3, "name": "dog"}], "annotations": [track]}
    return whole | changes


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("code", [COMPRESSED, PLAIN, POLYGON], ids=["packed", "plain", "polygon"])
def test_every_form_of_a_mask_becomes_a_compressed_code(tmp_path, code):
    file = read_vis(put(tmp_path / "a.json", content([code, None])))
    assert file.categories == {3: "dog"} and file.videos[5].size == SIZE
    (track,) = file.annotations
    assert track["segmentations"][1] is None
    np.testing.assert_array_equal(coco_mask.decode(track["segmentations"][0]), MASK)


@pytest.mark.parametrize("annotations", [None, []])
def test_a_file_without_tracks(tmp_path, annotations):
    assert read_vis(put(tmp_path / "a", content(annotations=annotations))).annotations == ()


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"videos": None}, "is not YouTube-VIS JSON"),
        ({"videos": []}, "video_id 5 is not among the videos"),
        ({"annotations": [{"id": 1}]}, "'video_id'"),
        ({"segmentations": [COMPRESSED]}, "has 2 frames, an instance 1 segmentations"),
        ({"segmentations": [None, {**COMPRESSED, "size": [8, 6]}]}, "is 8x6, a mask 6x8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_of_another_form_are_named(tmp_path, changes, says):
    path = put(tmp_path / "bad.json", content(**changes))
    with pytest.raises(AnnotationError, match="bad.json: .*" + says):
        read_vis(path)


def test_results_are_held_against_the_videos(tmp_path):
    truth = read_vis(put(tmp_path / "truth.json", content()))
    entry = {"video_id": 5, "score": 0.5, "category_id": 3, "segmentations": [None, COMPRESSED]}
    (read,) = read_vis_results(put(tmp_path / "r.json", [entry]), truth)
    assert read == entry
    assert read_vis_results(put(tmp_path / "none.json", []), truth) == []
    for wrong, says in [
        ({"video_id": 6}, "video_id 6 is not among the videos"),
        ({"score": None}, "cannot be scored"),
        ({"segmentations": [COMPRESSED] * 3}, "has 2 frames, an instance 3 segmentations"),
    ]:
        with pytest.raises(ResultsError, match=says):
            read_vis_results(put(tmp_path / "r.json", [entry | wrong]), truth)
    with pytest.raises(ResultsError, match="not a list"):
        read_vis_results(put(tmp_path / "r.json", {}), truth)
    (tmp_path / "r.json").write_text("[{")
    with pytest.raises(ResultsError, match="cannot be read as JSON"):
        read_vis_results(tmp_path / "r.json", truth)
    with pytest.raises(MissingInputError, match="nowhere.json: no such file"):
        read_vis_results(tmp_path / "nowhere.json", truth)


@pytest.mark.parametrize(
    "name", ["valid/instances.json", "valid.json", "annotations/instances_val.json"]
)
@pytest.mark.parametrize("folder", ["valid", "val"])
def test_videos_are_listed_by_their_ids_wherever_the_file_lies(tmp_path, name, folder):
    put(tmp_path / name, content())
    for frame in ("00000", "00005"):
        put(tmp_path / folder / f"JPEGImages/v/{frame}.jpg", "")
    (video,) = youtube_vis(tmp_path, "valid")
    assert video.name == "5" and video.stems == ("00000", "00005")
    assert all(frame.is_file() for frame in video.frames) and video.annotations == (None, None)


def test_listed_videos_that_are_not_there_are_named_or_left_out(tmp_path):
    videos = [content()["videos"][0] | {"id": n, "file_names": [f"v{n}/0.jpg"]} for n in (1, 2, 3)]
    put(tmp_path / "valid/instances.json", content(videos=videos, annotations=None))
    put(tmp_path / "valid/JPEGImages/v2/0.jpg", "")
    with pytest.raises(MissingInputError, match=r"no frames of 2 of 3 videos.*1 \(v1\), 3 \(v3\)"):
        youtube_vis(tmp_path, "valid")
    assert [video.name for video in youtube_vis(tmp_path, "valid", skip_missing=True)] == ["2"]
    with pytest.raises(MissingInputError, match="has none of test/instances.json, test.json"):
        annotation_file(tmp_path, "test")
