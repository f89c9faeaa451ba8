"""Classes of objects: rules, and clips that name them, drop objects, and ignore regions."""

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame, write_set
from vos_jax.core.classes import YOUTUBE_VIS_2019, YOUTUBE_VIS_2021
from vos_jax.core.errors import ConfigError
from vos_jax.core.labels import VOID
from vos_jax.data.canvases import place
from vos_jax.data.classes import (
    COCO_NAMES,
    DROPPED,
    RULES,
    VOC_NAMES,
    class_names,
    classes_of,
)
from vos_jax.data.composed import ComposedClips
from vos_jax.data.frame_sampling import EvenlySpaced, Repeat
from vos_jax.data.objects import VisibleInstances
from vos_jax.data.operations import Chain
from vos_jax.data.recipes import stem_seg_video

SIZE = (64, 96)
LEFT, MIDDLE, RIGHT = (4, 4, 30, 24), (10, 40, 50, 60), (4, 70, 30, 90)
CAR, PERSON, PARKED = 56, 20, 21
"""Mapillary's categories: two with a class, one to ignore."""

RULE = "mapillary_kitti_mots"


def test_rules_name_ignore_and_drop():
    found = classes_of(RULE, np.array([CAR, PERSON, PARKED, 3, CAR]))
    assert found.tolist() == [1, 2, VOID, DROPPED, 1]


@pytest.mark.parametrize("rule", ["object", *RULES])
def test_a_region_to_ignore_is_one_under_every_rule(rule):
    assert classes_of(rule, np.array([VOID])).tolist() == [VOID]
    assert classes_of(rule, np.array([], int)).shape == (0,)


def test_objects_without_category_are_objects():
    assert classes_of("object", np.array([0, 7])).tolist() == [1, 1]
    assert classes_of("stored", np.array([0, 7])).tolist() == [0, 7]


@pytest.mark.parametrize("year, classes", [(2019, YOUTUBE_VIS_2019), (2021, YOUTUBE_VIS_2021)])
@pytest.mark.parametrize("data, names", [("coco", COCO_NAMES), ("voc", VOC_NAMES)])
def test_photographs_have_the_classes_of_both_years_by_name(year, classes, data, names):
    found = classes_of(f"{data}_youtube_vis_{year}", np.array(list(names)))
    called = [classes[number - 1].replace("car", "sedan") for number in found]
    assert called == list(names.values())


@pytest.mark.parametrize("rule", ["object", *sorted(RULES.keys() - {"stored"})])
def test_every_class_of_a_rule_has_a_name(rule):
    numbers = {1} if rule == "object" else set(RULES[rule].values()) - {VOID}
    assert max(numbers) <= len(class_names(rule, {}))


def test_stored_classes_have_the_names_of_the_set():
    assert class_names("stored", {3: "c", 1: "a"}) == ["a", "", "c"]
    assert class_names("stored", {}) == []


def test_an_unknown_rule_is_named():
    with pytest.raises(ConfigError, match="'cocoa'; known are object, stored, coco_object"):
        classes_of("cocoa", np.array([1]))


def clips(path, *videos, frames=None, rule=RULE, chain=None, overlapping=True, **options):
    """Clips of videos, each a list of frames, each a list of boxes."""
    content = [
        [BoxFrame(f"v{n}", t, SIZE, tuple(boxes), overlapping) for t, boxes in enumerate(video)]
        for n, video in enumerate(videos)
    ]
    return ComposedClips(
        write_set(path, *content),
        chain or Chain(()),
        frames or Repeat(2),
        VisibleInstances(),
        object_frames=1,
        classes=rule,
        **options,
    )


STREET = [
    Box(300, LEFT, category=PERSON),
    Box(7, MIDDLE, category=PARKED),
    Box(1, RIGHT, category=3),
    Box(9, RIGHT, category=CAR),
]


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("overlapping", [True, False], ids=["run lengths", "palette"])
def test_a_clip_names_classes_and_ignores_regions(tmp_path, overlapping):
    """Objects 9 and 200 in the order of their ids; a dropped one below another is not seen."""
    street = [Box(200, *[getattr(STREET[0], k) for k in ("corners", "crowd", "category")])]
    sample = clips(tmp_path, [street + STREET[1:]], overlapping=overlapping).clip(0, 4, rng())
    expected = np.zeros(SIZE, np.uint8)
    for (top, left, bottom, right), number in ((RIGHT, 1), (LEFT, 2), (MIDDLE, VOID)):
        expected[top:bottom, left:right] = number
    for labels in sample.labels:
        np.testing.assert_array_equal(labels, expected)
    assert sample.categories.tolist() == [1, 2] and sample.categories.dtype == np.int32


def test_instances_lie_above_regions_to_ignore(tmp_path):
    """Whatever their ids."""
    boxes = [Box(9, MIDDLE, category=PARKED), Box(2, MIDDLE, category=CAR)]
    sample = clips(tmp_path, [boxes]).clip(0, 4, rng())
    assert set(np.unique(sample.labels)) == {0, 1}


def test_frames_and_videos_without_a_class_are_left_out(tmp_path):
    """Regions to ignore and dropped objects make no frame usable."""
    nothing, something = STREET[1:3], STREET[:2]
    videos = [[nothing] * 9, [nothing, *[something] * 8, nothing]]
    source = clips(tmp_path, *videos, frames=EvenlySpaced(2, (6, 6)))
    assert len(source.sizes) == 1
    assert source.clip(0, 4, rng()).present.all()


@pytest.mark.parametrize("longest_gap, items", [(0, 1), (3, 1), (2, 2)])
def test_long_gaps_cut_a_video_in_two(tmp_path, longest_gap, items):
    """Two frames without objects lie three frames apart; clips stay on one side of a cut."""
    video = [[STREET[0]]] * 4 + [[]] * 2 + [[STREET[3]]] * 4
    source = clips(tmp_path, video, frames=EvenlySpaced(2, (2, 2)), longest_gap=longest_gap)
    assert len(source.sizes) == items
    seen = {tuple(source.clip(n % items, 4, rng()).categories.tolist()) for n in range(4)}
    assert items == 1 or seen == {(1,), (2,)}


def test_a_copy_has_the_class_of_its_original(tmp_path):
    """Also where another object of the video has the number that the copy gets."""
    hidden, shown = Box(1, RIGHT, category=CAR), Box(2, MIDDLE, category=PERSON)
    source = clips(tmp_path, [[shown], [shown], [hidden]], chain=stem_seg_video())
    sample = source.clip(0, 4, rng())
    assert sample.present.shape == (2, 2) and sample.categories.tolist() == [2, 2]


def test_unused_slots_have_class_0(tmp_path):
    sample = clips(tmp_path, [STREET]).clip(0, 4, rng())
    assert place(sample, (64, 96), 4)["categories"].tolist() == [1, 2, 0, 0]


def test_background_may_be_ignored():
    labels = np.array([[[0, 7, 255]]], np.uint8)
    chosen = VisibleInstances(void_background=True).choose(labels, 4, rng())
    assert chosen.labels.tolist() == [[[255, 1, 255]]] and list(chosen.numbers) == [7]
