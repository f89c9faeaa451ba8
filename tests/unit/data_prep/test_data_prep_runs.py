"""COCO masks in their three forms, against the COCO API's own decoding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from data_prep.runs import area_and_box, compressed_rle, rle_counts
from tests.prepared_sets import plain_counts, polygon
from vos_jax.core.errors import AnnotationError

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))


def random_mask(height: int, width: int, seed: int) -> np.ndarray:
    """A mask of one blocky region or noise."""
    generator = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    mask[: generator.integers(height + 1), generator.integers(width) :] = 1
    return mask ^ (generator.random(mask.shape) < generator.choice([0, 0.01, 0.3]))


def decode(counts: bytes, height: int, width: int) -> np.ndarray:
    """The COCO API's decoder."""
    return coco_mask.decode({"size": [height, width], "counts": counts})


@given(SHAPES)
@settings(max_examples=80, deadline=None)
def test_uncompressed_counts_stay_exact(shape):
    mask = random_mask(*shape)
    height, width = mask.shape
    counts = plain_counts(mask)
    for segmentation in ({"size": [height, width], "counts": counts}, {"counts": counts}):
        np.testing.assert_array_equal(
            decode(compressed_rle(segmentation, height, width), height, width), mask
        )


@given(SHAPES)
@settings(max_examples=80, deadline=None)
def test_compressed_counts_are_kept_as_they_are(shape):
    mask = random_mask(*shape)
    height, width = mask.shape
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"]
    assert compressed_rle(counts.decode(), height, width) == counts
    assert compressed_rle({"size": [height, width], "counts": counts}, height, width) == counts
    assert rle_counts(counts).tolist() == plain_counts(mask)


@given(SHAPES)
@settings(max_examples=80, deadline=None)
def test_area_and_box(shape):
    mask = random_mask(*shape)
    mask[0, 0] = 1
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"]
    area, (x, y, width, height) = area_and_box(counts, *mask.shape)
    rows, columns = np.nonzero(mask)
    assert area == mask.sum()
    assert (x, y, x + width, y + height) == (
        columns.min(),
        rows.min(),
        columns.max() + 1,
        rows.max() + 1,
    )


def test_several_polygons_are_one_mask():
    both = compressed_rle([polygon(2, 3, 5, 4), polygon(10, 3, 5, 4)], 12, 20)
    expected = np.zeros((12, 20), np.uint8)
    expected[3:7, 2:7] = 1
    expected[3:7, 10:15] = 1
    np.testing.assert_array_equal(decode(both, 12, 20), expected)


def test_polygons_may_stick_out():
    mask = decode(compressed_rle([polygon(-3, -3, 100, 8)], 12, 20), 12, 20)
    assert mask[:5].all()
    assert not mask[5:].any()


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        ([], "no polygon"),
        ([[]], "at least three"),
        ([[1, 2, 3, 4]], "at least three"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three"),
        ([[1, 2, 3, 4, 5, "x"]], "not a list of numbers"),
        ([[1, 2, 3, 4, 5, None]], "far outside"),
        ([[1, 2, 3, 4, 5, float("nan")]], "far outside"),
        ([[1, 2, 3, 4, 5, 1e9]], "far outside"),
        ([1, 2, 3, 4, 5, 6], "at least three"),
        ([[[1, 2], [3, 4], [5, 6]]], "at least three"),
        ({"size": [4, 5], "counts": [20]}, r"for \[4, 5\], the image is \[12, 20\]"),
        ({"size": [12, 20]}, "neither polygons nor run lengths"),
        ({"counts": [100, 20]}, "cover 120 pixels, the image 12 x 20 has 240"),
        ({"counts": [250, -10]}, "not whole numbers"),
        ({"counts": [239.5, 0.5]}, "not whole numbers"),
        ("", "cover 0 pixels"),
        ("garbage", "garbage"),
        ("\x00\x01", "garbage"),
        ("ooooooooooooooooooooooo", "garbage"),
        ("o", "cut"),
        ("O", "negative"),
        (None, "neither"),
        (3, "neither"),
    ],
)
def test_unusable_masks(segmentation, what):
    with pytest.raises(AnnotationError, match=what):
        compressed_rle(segmentation, 12, 20)


@given(st.binary(max_size=30))
@settings(max_examples=200, deadline=None)
def test_garbage_strings_never_reach_the_c_code(counts):
    try:
        kept = compressed_rle(counts, 12, 20)
    except AnnotationError:
        return
    assert rle_counts(kept).sum() == 240
