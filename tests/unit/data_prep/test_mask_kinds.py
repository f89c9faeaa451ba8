"""What the values of mask files mean, and which masks reject their frame."""

import io
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask

from data_prep.folder import plan_folder
from data_prep.mapillary import decode_values
from data_prep.masks import read_labels
from data_prep.runs import label_rles
from data_prep.write import write_split
from tests.official_folders import grey, put, put_frame
from tests.official_layouts import LAYOUTS
from tests.prepared_sets import SIZE, photograph, square_labels
from vos_jax.core.errors import MaskError
from vos_jax.data.records import RecordSet
from vos_jax.io.images import encode_mask

ROW = np.array([[0, 1, 127, 128, 255]], np.uint8)
BILEVEL = io.BytesIO()
Image.fromarray(np.array([[0, 1, 1, 0, 1]], bool)).save(BILEVEL, format="PNG")


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("ids", grey(ROW), [0, 1, 127, 128, 255]),
        ("ids", encode_mask(ROW), [0, 1, 127, 128, 255]),
        ("ids", grey(np.where(ROW == 128, 255, 0).astype(np.uint8)), [0, 0, 0, 255, 0]),
        ("instances", grey(ROW), [0, 1, 127, 128, 255]),
        ("instances", grey(np.where(ROW == 128, 255, 0).astype(np.uint8)), [0, 0, 0, 1, 0]),
        (
            "instances",
            encode_mask(np.where(ROW == 128, 255, 0).astype(np.uint8)),
            [0, 0, 0, 255, 0],
        ),
        ("foreground", grey(ROW), [0, 1, 1, 1, 1]),
        ("saliency", grey(ROW), [0, 0, 0, 1, 1]),
        ("saliency", grey(cv2.merge([ROW] * 3)), [0, 0, 0, 1, 1]),
        ("saliency", grey(np.zeros_like(ROW)), [0, 0, 0, 0, 0]),
        ("saliency", grey(np.minimum(ROW, 1)), [0, 1, 1, 1, 1]),
        ("saliency", BILEVEL.getvalue(), [0, 1, 1, 0, 1]),
    ],
)
def test_kinds(kind, data, expected):
    labels = read_labels(data, "mask.png", ROW.shape, kind)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [expected]


def test_object_ids_are_no_saliency():
    with pytest.raises(MaskError, match=r"mask.png: no value is above 127, the largest is 9"):
        read_labels(encode_mask(np.minimum(ROW, 9)), "mask.png", ROW.shape, "saliency")


def sixteen_bits(path):
    """A mask with an object id that does not fit."""
    path.write_bytes(grey(square_labels(0).astype(np.uint16) * 300))


def transparent(path):
    """A mask with an alpha channel that is not opaque."""
    path.write_bytes(grey(np.zeros((*SIZE, 4), np.uint8)))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (sixteen_bits, "values up to 600; object ids must be whole numbers from 1 to 254"),
        (transparent, "transparent pixels"),
        (lambda path: path.write_bytes(photograph(3, ending=".png")), "RGB image with the colour"),
        (lambda path: path.write_bytes(photograph(3)), "JPEG blurs the object ids"),
        (lambda path: path.write_bytes(encode_mask(square_labels(0)[:, 1:])), "31x24, its frame"),
        (lambda path: path.write_bytes(path.read_bytes()[:70]), "cannot be decoded as a mask"),
        (lambda path: path.write_bytes(b""), "cannot be decoded as a mask"),
    ],
    ids=["16 bit", "alpha", "colours", "JPEG", "narrow", "cut", "empty"],
)
def test_bad_masks_reject_their_frame_and_no_other(tmp_path, spoil, what):
    LAYOUTS["folder"].build(tmp_path / "source")
    path = tmp_path / "source/Annotations/sea/00003.png"
    spoil(path)
    report = write_split(plan_folder(tmp_path / "source", "train", "mine"), tmp_path / "set")
    ((source, reason),) = report.rejected
    assert source == "JPEGImages/sea/00003.jpg"
    assert re.search(what, reason)
    assert str(path) in reason
    assert (report.read, report.written) == (8, 7)


def test_masks_that_are_no_png_inside_become_png(tmp_path):
    LAYOUTS["folder"].build(tmp_path / "source")
    path, labels = tmp_path / "source/Annotations/air/00001.png", square_labels(2, 4)
    image = Image.fromarray(labels)
    image.putpalette(bytes([0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 9, 9, 3, 0, 0]))
    image.save(path, format="GIF")
    assert path.read_bytes()[25] == 3, "at the place where a PNG says that it has a palette"
    write_split(plan_folder(tmp_path / "source", "train", "mine"), tmp_path / "set")
    assert RecordSet(tmp_path / "set", "train").frame("air", 1).mask == encode_mask(labels)


def test_gaps_in_the_numbering_are_no_gaps_in_the_records(tmp_path):
    for t in (3, 10, 40):
        put_frame(tmp_path / "source", "JPEGImages", "Annotations", f"v/{t:05d}", t, 2)
    write_split(plan_folder(tmp_path / "source", "train", "mine"), tmp_path / "set")
    found = RecordSet(tmp_path / "set", "train")
    assert [found.frame("v", t).name for t in range(3)] == ["00003", "00010", "00040"]
    assert [found.frame("v", t).time for t in range(3)] == [0, 1, 2]


def test_frames_of_another_size_than_the_first_are_rejected(tmp_path):
    LAYOUTS["folder"].build(tmp_path / "source")
    put(tmp_path / "source/JPEGImages/air/00002.jpg", photograph(0, (20, 20)))
    report = write_split(plan_folder(tmp_path / "source", "train", "mine"), tmp_path / "set")
    ((source, reason),) = report.rejected
    assert source == "JPEGImages/air/00002.jpg"
    assert "20x20 pixels but its video began with 24x32" in reason


@given(
    arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))
)
def test_label_rles_are_those_of_each_mask(labels):
    found = label_rles(labels)
    assert list(found) == np.unique(labels).tolist()
    for value, counts in found.items():
        plane = np.asfortranarray(labels == value, np.uint8)
        assert counts == coco_mask.encode(plane)["counts"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"no mask", "cannot be decoded"),
        (grey(np.full((9, 9), 3, np.uint16))[:60], "cannot be decoded"),
        (grey(np.zeros(SIZE, np.uint8)), "not a grey PNG of 16 bits"),
        (photograph(0, ending=".png"), "not a grey PNG of 16 bits"),
    ],
)
def test_values_of_16_bits(data, what):
    with pytest.raises(MaskError, match=f"mask.png: {what}"):
        decode_values(data, "mask.png")


@pytest.mark.parametrize(
    ("name", "path", "content", "what"),
    [
        ("mapillary", "training/instances/im1.png", None, "No such file"),
        (
            "mapillary",
            "training/instances/im1.png",
            grey(np.zeros((24, 31), np.uint16)),
            r"\(24, 31\) pixels, its image \(24, 32\)",
        ),
        ("pascal_voc", "SegmentationObject/2007_000039.png", None, "No such file"),
        ("pascal_voc", "SegmentationClass/2007_000039.png", None, "No such file"),
        (
            "pascal_voc",
            "SegmentationClass/2007_000039.png",
            encode_mask(np.zeros((20, 32), np.uint8)),
            "32x20, its frame 32x24",
        ),
        (
            "duts_tr",
            "DUTS-TR-Mask/ILSVRC_2.png",
            encode_mask(square_labels(1)),
            "no value is above",
        ),
        ("aot", "Annotations/PASCAL-S/3.png", photograph(1, ending=".png"), "RGB image"),
    ],
)
def test_bad_masks_of_stills(tmp_path, name, path, content, what):
    LAYOUTS[name].build(tmp_path / "source")
    plan = LAYOUTS[name].plan(tmp_path / "source")
    (tmp_path / "source" / path).unlink()
    if content is not None:
        put(tmp_path / "source" / path, content)
    report = write_split(plan, tmp_path / "set")
    ((_, reason),) = report.rejected
    assert re.search(what, reason)
    assert str(tmp_path / "source" / path) in reason
    assert report.written == len(plan.videos) - 1
