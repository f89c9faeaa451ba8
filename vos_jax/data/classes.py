"""Which class an object of a data set has for training, by the category its record names.

Facts: `data/metainfo` of STEm-Seg; 10 of its specification.
"""

from collections.abc import Mapping

import numpy as np

from vos_jax.core.classes import YOUTUBE_VIS_2019, YOUTUBE_VIS_2021
from vos_jax.core.errors import ConfigError
from vos_jax.core.labels import VOID

DROPPED = -1
"""Class of what is background."""

COCO_NAMES = {
    1: "person",
    2: "motorbike",
    3: "sedan",
    4: "motorbike",
    5: "airplane",
    7: "train",
    8: "truck",
    9: "boat",
    17: "cat",
    18: "dog",
    19: "horse",
    21: "cow",
    22: "elephant",
    23: "bear",
    24: "zebra",
    25: "giraffe",
    36: "snowboard",
    41: "skateboard",
    42: "surfboard",
    43: "tennis_racket",
}
"""COCO's categories under the names of YouTube-VIS 2019; bicycles are motorbikes."""

VOC_NAMES = {
    1: "airplane",
    4: "boat",
    7: "sedan",
    8: "cat",
    10: "cow",
    12: "dog",
    13: "horse",
    14: "motorbike",
    15: "person",
    19: "train",
}
COCO_OBJECTS = (*range(1, 10), *range(16, 26), 27, *range(34, 40), 41, 42, 43)
VOC_OBJECTS = (1, 2, 3, 4, 6, 7, 8, 10, 12, 13, 14, 15, 17, 19)
"""What counts as an object where classes are not told apart."""

MAPILLARY_IGNORED = (21, 22, 23, 53, 55, *range(57, 64))


def _named(names: Mapping[int, str], classes: list[str]) -> dict[int, int]:
    """Categories under the numbers of their classes; the cars of 2019 are called sedans."""
    told = {"sedan": "car"} if "car" in classes else {}
    return {each: 1 + classes.index(told.get(name, name)) for each, name in names.items()}


RULES: dict[str, dict[int, int] | None] = {
    "stored": None,
    "coco_object": dict.fromkeys(COCO_OBJECTS, 1),
    "coco_youtube_vis_2019": _named(COCO_NAMES, YOUTUBE_VIS_2019),
    "coco_youtube_vis_2021": _named(COCO_NAMES, YOUTUBE_VIS_2021),
    "voc_object": dict.fromkeys(VOC_OBJECTS, 1),
    "voc_youtube_vis_2019": _named(VOC_NAMES, YOUTUBE_VIS_2019),
    "voc_youtube_vis_2021": _named(VOC_NAMES, YOUTUBE_VIS_2021),
    "mapillary_kitti_mots": {56: 1, 20: 2, **dict.fromkeys(MAPILLARY_IGNORED, VOID)},
    "kitti_mots": {1: 1, 2: 2, 3: VOID},
}
"""By the name a configuration gives: classes of categories, others are background.

"stored" takes the categories as they are; "object", which is not listed, makes all class 1.
"""


NAMES = {
    "object": ["object"],
    "youtube_vis_2019": YOUTUBE_VIS_2019,
    "youtube_vis_2021": YOUTUBE_VIS_2021,
    "kitti_mots": ["car", "pedestrian"],
}
"""Of classes, by how a rule ends."""


def class_names(rule: str, stored: Mapping[int, str]) -> list[str]:
    """Names of the classes 1, 2, ... under a rule.

    Args:
        rule: one of `RULES`, or "object".
        stored: names of a set's categories.
    """
    if rule == "stored":
        return [stored.get(number, "") for number in range(1, 1 + max(stored, default=0))]
    return next(names for ending, names in NAMES.items() if rule.endswith(ending))


def classes_of(rule: str, categories: np.ndarray) -> np.ndarray:
    """The classes of objects.

    Args:
        rule: one of `RULES`, or "object".
        categories: int [n], as records name them; 255 is a region to ignore in all sets.

    Returns:
        int64 [n]; 255 for a region to ignore, `DROPPED` for background.

    Raises:
        ConfigError: an unknown rule.
    """
    categories = np.asarray(categories, np.int64)
    if rule == "object":
        return np.where(categories == VOID, VOID, 1)
    if rule not in RULES:
        raise ConfigError(f"classes is {rule!r}; known are object, {', '.join(RULES)}")
    table = RULES[rule]
    if table is None:
        return categories
    known = {**table, VOID: VOID}
    distinct, inverse = np.unique(categories, return_inverse=True)
    found = np.array([known.get(each, DROPPED) for each in distinct.tolist()], np.int64)
    return found[inverse.reshape(-1)]
