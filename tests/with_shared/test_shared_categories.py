"""Our classes against the official lists and maps of STEm-Seg and YouTube-VIS."""

import json
from pathlib import Path

import numpy as np
import pytest

from vos_jax.core.classes import YOUTUBE_VIS_2019, YOUTUBE_VIS_2021
from vos_jax.core.labels import VOID
from vos_jax.data.classes import classes_of

MAPS = json.loads(
    (Path(__file__).parents[3] / "shared/parity/vishv/category_maps.json").read_text()
)


@pytest.mark.parametrize(
    "name, ours",
    [("youtube_vis_2019", YOUTUBE_VIS_2019), ("youtube_vis_2021", YOUTUBE_VIS_2021)],
)
def test_classes_have_the_official_numbers_and_names(name, ours):
    assert {str(number): each for number, each in enumerate(ours, start=1)} == MAPS[name]


def mapped(rule: str, categories: list[int]) -> dict[str, int]:
    """What a rule makes of categories, those it drops left out."""
    found = classes_of(rule, np.array(categories)).tolist()
    return {str(c): each for c, each in zip(categories, found, strict=True) if each >= 0}


@pytest.mark.parametrize("ours, theirs", [("coco", "coco"), ("voc", "pascal_voc")])
def test_photographs_have_the_official_classes(ours, theirs):
    official = MAPS[theirs]
    ids = official["all_ids"]
    assert mapped(f"{ours}_youtube_vis_2019", ids) == official["to_youtube_vis_2019"]
    assert mapped(f"{ours}_object", ids) == {str(each): 1 for each in official["kept_for_davis"]}


def test_streets_have_the_official_classes_and_regions_to_ignore():
    official = MAPS["mapillary"]
    ignored = {str(each): VOID for each in official["ignore_region"]}
    expected = official["to_kitti_mots"] | ignored
    assert mapped("mapillary_kitti_mots", list(range(1, 67))) == expected
