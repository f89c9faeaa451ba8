"""Average precision of video instances on sets small enough to work out by hand."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vos_jax.metrics.report import precision_table
from vos_jax.metrics.video_precision import LIMITS, Instance, track_iou, video_precision

SIZE = (20, 30)


def track(*boxes, category: int = 1, video: int = 1, **about) -> Instance:
    """An instance of rectangles (top, left, bottom, right), None where it is absent."""
    codes = []
    for box in boxes:
        mask = np.zeros(SIZE, np.uint8, order="F")
        if box is not None:
            top, left, bottom, right = box
            mask[top:bottom, left:right] = 1
        codes.append(coco_mask.encode(mask) if box is not None else None)
    entry = {"video_id": video, "category_id": category, "segmentations": codes}
    return Instance.of(entry | about)


def statistics(truth, found, category=None, categories=(1, 2)):
    """The twelve numbers; the official tool's precision falls short of 1 by a last digit."""
    found = video_precision(truth, found, categories).statistics(category)
    return {name: round(value, 12) for name, value in found.items()}


BOX, HALF, FAR = (0, 0, 10, 10), (0, 0, 5, 10), (10, 20, 20, 30)


def test_iou_is_summed_over_frames_and_counts_frames_of_one_alone():
    truth = [track(BOX, BOX, None), track(None, None, None)]
    found = [track(BOX, HALF, None), track(None, BOX, FAR), track(None, None, FAR)]
    expected = [[150 / 200, 0], [100 / 300, 0], [0, 0]]
    np.testing.assert_array_equal(track_iou(found, truth), expected)
    assert track_iou([], truth).shape == (0, 2) and track_iou(found, []).shape == (3, 0)


def test_area_is_the_mean_where_there_are_pixels_unless_it_is_stated():
    assert track(BOX, None, HALF).area == 75
    assert track(None).area == 0
    assert track(BOX, HALF, areas=[300, None]).area == 300


def test_perfect_results_score_one_and_empty_ones_zero():
    truth = [track(BOX, BOX), track(FAR, None), track(BOX, None, category=2)]
    perfect = statistics(truth, truth)
    assert perfect["AP"] == perfect["AR10"] == perfect["AP_small"] == 1
    assert perfect["AR1"] == (1 / 2 + 1) / 2
    assert perfect["AP_medium"] == perfect["AR_large"] == -1
    assert statistics(truth, [])["AP"] == statistics(truth, [])["AR100"] == 0


def test_precision_falls_with_what_ranks_above():
    truth = [track(BOX), track(FAR)]
    found = [track(BOX, score=0.9), track((0, 20, 5, 25), score=0.8), track(FAR, score=0.7)]
    first, second = 51 / 101, 50 / 101
    np.testing.assert_allclose(statistics(truth, found)["AP"], first + second * 2 / 3)
    assert statistics(truth, found[:2])["AP50"] == pytest.approx(first)
    assert statistics(truth, found)["AR1"] == 0.5 and statistics(truth, found)["AR10"] == 1


def test_thresholds_are_from_half_on():
    truth = [track((0, 0, 10, 10))]
    found = [track((0, 0, 10, 6), score=1.0)]
    scores = statistics(truth, found)
    assert scores["AP50"] == 1 and scores["AP75"] == 0
    np.testing.assert_allclose(scores["AP"], 0.3)


def test_a_true_instance_is_found_once_by_the_better_scored():
    found = [track(BOX, score=0.4), track(BOX, score=0.6)]
    assert statistics([track(BOX)], found)["AP"] == 1
    curves = video_precision([track(BOX), track(FAR)], found, (1,))
    assert curves.statistics()["AR100"] == 0.5


def test_videos_and_classes_are_apart():
    truth = [track(BOX), track(BOX, video=2)]
    for elsewhere in (track(BOX, video=3), track(BOX, category=2)):
        assert statistics(truth, [elsewhere])["AP"] == 0
    scores = statistics([*truth, track(BOX, category=2)], truth)
    assert scores["AP"] == 0.5
    assert statistics([*truth, track(BOX, category=2)], truth, category=1)["AP"] == 1


def test_crowds_need_not_be_found_and_do_not_count_against():
    truth = [track(BOX), track(FAR, iscrowd=1)]
    found = [track(FAR, score=0.9), track(FAR, score=0.8), track(BOX, score=0.7)]
    assert statistics(truth, found)["AP"] == 1
    assert statistics(truth, [])["AP"] == 0
    assert statistics([track(FAR, iscrowd=1)], found)["AP"] == -1


def test_a_plain_instance_is_preferred_to_a_crowd_that_fits_better():
    truth = [track(BOX, iscrowd=1), track((0, 0, 10, 8))]
    assert statistics(truth, [track(BOX)])["AP50"] == 1
    assert statistics(truth, [track(BOX)])["AP75"] == 1


def test_instances_of_another_size_are_left_out():
    big = track(BOX, areas=[300 * 300])
    small = track(FAR)
    found = [track(BOX, score=0.9), track(FAR, score=0.8)]
    scores = statistics([big, small], found)
    assert scores["AP_small"] == 1 and scores["AP_large"] == 1 and scores["AP_medium"] == -1


def test_only_so_many_detections_of_a_class_count():
    found = [track(HALF, score=1 - n / 1000) for n in range(LIMITS[-1])] + [track(FAR, score=0)]
    assert statistics([track(FAR)], found)["AR100"] == 0
    assert statistics([track(FAR)], found[1:])["AR100"] == 1


def test_order_of_the_lists_is_no_matter():
    draw = np.random.default_rng(0)
    truth = [track(BOX, category=1 + n % 2, video=n // 4) for n in range(8)]
    found = [
        track((0, 0, int(h), 10), category=1 + n % 2, video=n // 6, score=n / 12)
        for n, h in enumerate(draw.integers(4, 14, 12))
    ]
    shuffled = [found[n] for n in draw.permutation(12)]
    assert statistics(truth, found) == statistics(truth[::-1], shuffled)
    assert 0 < statistics(truth, found)["AP"] < 1


def test_the_table_names_classes_and_leaves_out_what_does_not_apply():
    curves = video_precision([track(BOX)], [track(BOX)], (1, 2))
    rows = [line.split(",") for line in precision_table(curves, {1: "cat", 2: "dog"}).splitlines()]
    assert rows[0][:3] == ["class", "AP", "AP50"] and {len(row) for row in rows} == {13}
    assert rows[1][0] == "all" and rows[1][1] == "1.000"
    assert rows[2][0] == "cat" and rows[2][1] == "1.000"
    assert rows[3] == ["dog"] + [""] * 12
