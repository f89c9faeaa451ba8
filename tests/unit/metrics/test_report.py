"""Tables: text, averages and groups."""

import numpy as np
import pytest

from vos_jax.core.errors import AnnotationError
from vos_jax.metrics import report
from vos_jax.metrics.categories import TRAINING_CATEGORIES, group_scores
from vos_jax.metrics.statistics import row_statistics
from vos_jax.metrics.video_objects import ObjectScores


def scores(number, j, f, object_id=None, proposal=None):
    """An object with these rows."""
    return ObjectScores(number, object_id or number, np.array(j), np.array(f), proposal)


VIDEOS = {
    "judo": [scores(1, [1.0, 0.5], [0.75, 0.75]), scores(2, [0.0, 0.25], [0.0, 0.0])],
    "dog": [scores(1, [0.9, 0.9], [0.6, 0.7])],
}


def test_means_are_over_objects_not_over_videos():
    summary = report.summarise(VIDEOS)
    assert summary.j.mean == pytest.approx((0.75 + 0.125 + 0.9) / 3)
    assert summary.j.recall == pytest.approx((0.5 + 0 + 1) / 3)
    assert summary.j.decay == pytest.approx((0.5 - 0.25 + 0) / 3)
    assert summary.f.mean == pytest.approx((0.75 + 0 + 0.65) / 3)
    assert summary.jf == pytest.approx((summary.j.mean + summary.f.mean) / 2)


def test_global_table():
    summary = report.Summary(
        report.Statistics(0.5, 0.62049, -0.0216), report.Statistics(0.75, 1.0, 0.0)
    )
    assert report.global_table(summary) == (
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n"
        "0.625,0.500,0.620,-0.022,0.750,1.000,0.000\n"
    )


def test_sequence_table_keeps_the_order():
    assert report.sequence_table(VIDEOS) == (
        "Sequence,J-Mean,F-Mean\njudo_1,0.750,0.750\njudo_2,0.125,0.000\ndog_1,0.900,0.650\n"
    )


def test_scores_text():
    summary = report.Summary(report.Statistics(0.5, 0.25, 0.125), report.Statistics(1.0, 1.0, 0.0))
    assert report.scores_text(summary) == (
        "GlobalMean: 0.750000\nJMean: 0.500000\nJRecall: 0.250000\nJDecay: 0.125000\n"
        "FMean: 1.000000\nFRecall: 1.000000\nFDecay: 0.000000\n"
    )


def test_matches_table():
    videos = {"dog": [scores(1, [1.0], [1.0], object_id=2, proposal=4)]}
    assert report.matches_table(videos) == "Sequence,Proposal,Object\ndog_1,4,2\n"


def test_shown_table_has_every_object_and_the_means():
    lines = report.shown_table(VIDEOS).splitlines()
    assert lines[2].split() == ["judo_1", "75.0", "75.0", "75.0"]
    assert lines[-1].split() == ["all", "objects", "52.9", "59.2", "46.7"]
    assert len({len(line) for line in lines}) == 1


CATEGORIES = {"judo": {1: "person", 2: "kangaroo"}, "dog": {1: "dog"}}


def test_groups_are_means_over_their_objects():
    groups = group_scores(VIDEOS, CATEGORIES, TRAINING_CATEGORIES)
    assert groups["J_seen"] == pytest.approx((0.75 + 0.9) / 2)
    assert groups["J_unseen"] == pytest.approx(0.125)
    assert groups["F_seen"] == pytest.approx(0.7) and groups["F_unseen"] == 0
    assert groups["overall"] == pytest.approx((0.825 + 0.125 + 0.7 + 0) / 4)
    assert report.group_table(groups) == (
        "J_seen,J_unseen,F_seen,F_unseen,overall\n82.500,12.500,70.000,0.000,41.250\n"
    )


def test_a_group_without_objects_is_left_out_and_shown_empty():
    groups = group_scores({"dog": VIDEOS["dog"]}, CATEGORIES, TRAINING_CATEGORIES)
    assert np.isnan(groups["J_unseen"]) and groups["overall"] == pytest.approx((0.9 + 0.65) / 2)
    assert report.group_table(groups).splitlines()[1] == "90.000,,65.000,,77.500"


def test_an_object_without_category_is_named():
    with pytest.raises(AnnotationError, match=r"judo: objects \[2\]"):
        group_scores(VIDEOS, {"judo": {1: "person"}, "dog": {1: "dog"}}, TRAINING_CATEGORIES)


def test_training_categories_are_65():
    assert len(TRAINING_CATEGORIES) == 65
    assert {"person", "earless_seal", "zebra"} <= TRAINING_CATEGORIES
    assert not {"kangaroo", "panda"} & TRAINING_CATEGORIES


def test_nan_is_an_empty_field():
    videos = {"dog": [scores(1, [np.nan], [np.nan])]}
    assert report.sequence_table(videos).splitlines()[1] == "dog_1,,"
    assert np.isnan(row_statistics(np.array([np.nan])).mean)
