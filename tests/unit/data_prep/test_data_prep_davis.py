"""DAVIS to records: palette and grey masks, exact ids, missing sequences, bad frames."""

import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from data_prep.davis import plan_davis
from data_prep.masks import label_objects
from data_prep.write import write_split
from tests.prepared_sets import SIZE, davis_folder, photograph, square_labels
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet
from vos_jax.io.images import encode_mask


def prepared(root, output, year=2017, **options):
    """Writes the val split of a root; returns (report, records)."""
    plan = plan_davis(root, year, "val", **options)
    return write_split(plan, output), RecordSet(output, "val")


def test_palette_masks_are_kept_byte_for_byte(tmp_path):
    root = davis_folder(tmp_path / "davis")
    for path in root.glob("Annotations/480p/*/*.png"):
        with Image.open(path) as mask:
            mask.load()
        mask.save(path, compress_level=0)
    report, found = prepared(root, tmp_path / "set")
    assert (report.read, report.written, report.videos, report.objects) == (6, 6, 2, 12)
    assert found.dataset == "davis2017"
    for name in ("bear", "dance"):
        for t in range(3):
            frame = found.frame(name, t)
            image = root / "JPEGImages" / "480p" / name / f"{t:05d}.jpg"
            mask = root / "Annotations" / "480p" / name / f"{t:05d}.png"
            assert (frame.image, frame.mask) == (image.read_bytes(), mask.read_bytes())
            assert frame.source == f"JPEGImages/480p/{name}/{t:05d}.jpg"
            assert (frame.name, frame.time, frame.annotated) == (f"{t:05d}", t, True)
            np.testing.assert_array_equal(frame_labels(frame), square_labels(t))


def test_grey_masks_of_2016_become_object_1(tmp_path):
    root = davis_folder(tmp_path / "davis", 2016)
    _, found = prepared(root, tmp_path / "set", 2016)
    assert found.dataset == "davis2016"
    assert [video.object_ids for video in found.videos] == [(1,), (1,)]
    frame = found.frame("dance", 2)
    np.testing.assert_array_equal(frame_labels(frame), square_labels(2) > 0)
    assert frame.objects.areas.tolist() == [30]


def test_several_objects_are_one_in_2016(tmp_path):
    root = davis_folder(tmp_path / "davis")
    (root / "ImageSets" / "2017").rename(root / "ImageSets" / "2016")
    _, found = prepared(root, tmp_path / "set", 2016)
    np.testing.assert_array_equal(frame_labels(found.frame(0, 1)), square_labels(1) > 0)


def test_grey_ids_of_2017_become_a_palette_of_equal_ids(tmp_path):
    root = davis_folder(tmp_path / "davis", names=("bear",))
    labels = square_labels(0)
    labels[0, :3] = (9, 254, 255)
    path = root / "Annotations" / "480p" / "bear" / "00000.png"
    path.write_bytes(cv2.imencode(".png", labels)[1].tobytes())
    _, found = prepared(root, tmp_path / "set")
    frame = found.frame("bear", 0)
    np.testing.assert_array_equal(frame_labels(frame), labels)
    assert frame.mask == encode_mask(labels)
    assert frame.objects.ids.tolist() == [1, 2, 9, 254]


def test_test_sets_have_masks_on_some_frames_only(tmp_path):
    root = davis_folder(tmp_path / "davis", names=("bear",))
    for t in (1, 2):
        (root / "Annotations" / "480p" / "bear" / f"{t:05d}.png").unlink()
    report, found = prepared(root, tmp_path / "set")
    assert report.annotated == 1
    assert [found.frame(0, t).annotated for t in range(3)] == [True, False, False]
    assert found.frame(0, 1).mask is None
    assert len(found.objects(0, 1)) == 0
    assert found.videos[0].object_ids == (1, 2)


def test_an_empty_mask_is_an_annotation(tmp_path):
    root = davis_folder(tmp_path / "davis", names=("bear",))
    path = root / "Annotations" / "480p" / "bear" / "00001.png"
    path.write_bytes(encode_mask(np.zeros(SIZE, np.uint8)))
    frame = prepared(root, tmp_path / "set")[1].frame(0, 1)
    assert frame.annotated
    assert object_planes(frame).shape == (0, *SIZE)


def test_other_resolutions_are_another_data_set(tmp_path):
    root = davis_folder(tmp_path / "davis")
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p").rename(root / kind / "Full-Resolution")
    _, found = prepared(root, tmp_path / "set", resolution="Full-Resolution")
    assert found.dataset == "davis2017_full_resolution"


class TestMissing:
    """Folders, lists and sequences that are not there."""

    @pytest.fixture
    def root(self, tmp_path):
        """A root whose list has two sequences more than the disk."""
        root = davis_folder(tmp_path / "davis")
        with (root / "ImageSets" / "2017" / "val.txt").open("a") as listing:
            listing.write("horse\nkite\n")
        return root

    def test_missing_sequences_are_named(self, root):
        with pytest.raises(MissingInputError, match="2 of 4 listed sequences: horse, kite"):
            plan_davis(root, 2017, "val")

    def test_skipping_them_reports_them(self, root, tmp_path):
        report, found = prepared(root, tmp_path / "set", skip_missing=True)
        assert [video.name for video in found.videos] == ["bear", "dance"]
        assert [source for source, _ in report.rejected] == [
            "JPEGImages/480p/horse",
            "JPEGImages/480p/kite",
        ]

    def test_missing_lists_folders_and_years(self, root):
        with pytest.raises(MissingInputError, match=r"2017/test-dev.txt: no such list"):
            plan_davis(root, 2017, "test-dev")
        with pytest.raises(MissingInputError, match="1080p: no such folder"):
            plan_davis(root, 2017, "val", "1080p")
        with pytest.raises(MissingInputError, match="nowhere: no such folder"):
            plan_davis(root / "nowhere", 2017, "val")
        with pytest.raises(ConfigError, match="2015"):
            plan_davis(root, 2015, "val")


@pytest.mark.parametrize(
    ("part", "spoil", "what"),
    [
        ("JPEGImages", lambda path: path.write_bytes(path.read_bytes()[:150]), "cut off"),
        ("JPEGImages", lambda path: path.write_bytes(photograph(0, (20, 20))), "mask is 32x24"),
        ("Annotations", lambda path: path.write_bytes(b"no mask"), "cannot be decoded as a mask"),
        ("Annotations", lambda path: path.write_bytes(path.read_bytes()[:60]), "as a mask"),
        (
            "Annotations",
            lambda path: path.write_bytes(encode_mask(np.zeros((24, 31), np.uint8))),
            "mask is 31x24, its frame 32x24",
        ),
        ("Annotations", lambda path: path.write_bytes(photograph(0, ending=".png")), "RGB image"),
    ],
    ids=["cut frame", "other size", "garbage mask", "cut mask", "narrow mask", "colours"],
)
def test_bad_frames_are_rejected(tmp_path, part, spoil, what):
    root = davis_folder(tmp_path / "davis")
    (path,) = (root / part / "480p" / "dance").glob("00001.*")
    spoil(path)
    report, found = prepared(root, tmp_path / "set")
    ((source, reason),) = report.rejected
    assert source == "JPEGImages/480p/dance/00001.jpg"
    assert re.search(what, reason)
    assert [found.frame("dance", t).time for t in range(2)] == [0, 2]


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_label_objects_counts_and_boxes(labels):
    objects = label_objects(labels, {2: 7})
    ids = sorted(set(labels.ravel().tolist()) - {0, 255})
    assert objects.ids.tolist() == ids
    for number, area, (x, y, width, height) in zip(
        ids, objects.areas, objects.boxes.astype(int), strict=True
    ):
        inside = labels[y : y + height, x : x + width] == number
        assert inside.sum() == (labels == number).sum() == area
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()
