"""From settings to batches."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.prepared_sets import ToyVideo, toy_set
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.training.configuration import complete
from vos_jax.training.data import named_classes, open_loader
from vos_jax.training.settings import Settings, from_mapping

ANY = {"min_area": 1, "min_side": 1}
STILLS = {"kind": "stills", "options": ANY, "augmentation": {"min_area": 1, "crop_share": 0.0}}
VIDEOS = {
    "kind": "videos",
    "options": {**ANY, "max_gap": 3},
    "augmentation": {"min_area": 1, "crop_share": 0.0, "colour": {"hue": 3}},
}
VISIBLE = {"kind": "composed", "augmentation": {"recipe": "stem_seg_video"}}
SPARSE = {**VIDEOS, "kind": "sparse_videos"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return toy_set(tmp_path_factory.mktemp("set"), *(ToyVideo(f"video{n}", 6) for n in range(3)))


def settings(root, sources, batch=4, **changes) -> Settings:
    data = {"root": str(root), "sources": sources, "canvases": ((32, 64),), "slots": 2}
    return from_mapping({"batch": batch, "data": data, **changes})


@pytest.mark.parametrize(
    "sources",
    [{"a": STILLS}, {"a": VIDEOS}, {"a": SPARSE}, {"a": STILLS, "b": VIDEOS}],
    ids=lambda sources: "+".join(each["kind"] for each in sources.values()),
)
def test_batches_are_clips_of_the_settings(prepared, sources):
    loader = open_loader(settings(prepared, sources))
    for batch in itertools.islice(loader, 2):
        assert batch["frames"].shape == (4, 3, 32, 64, 3)
        assert batch["present"].shape == (4, 3, 2)
        assert batch["slots"].any()
    loader.close()


def test_the_colour_of_sparse_videos_is_drawn_per_frame():
    kinds = {"a": {"kind": "videos"}, "b": {"kind": "sparse_videos"}}
    sources = complete({"data": {"sources": kinds}}).data.sources
    assert [sources[name].augmentation.colour_per_frame for name in "ab"] == [False, True]


def test_classes_are_named_by_the_rules_of_the_sources_or_by_the_set(prepared):
    def named(**rules):
        sources = {name: {**VISIBLE, "options": {"classes": rule}} for name, rule in rules.items()}
        return named_classes(settings(prepared, sources))

    assert named(a="object") == ["object"] and named(a="") == []
    assert named(a="kitti_mots", b="object") == ["car", "pedestrian"]
    assert named(a="stored") == [*[""] * 6, "cat", "", "dog"]


def test_classes_are_named_by_all_sources_or_by_none(prepared):
    sources = {
        name: {**VISIBLE, "options": {"classes": rule}}
        for name, rule in (("a", "object"), ("b", ""))
    }
    with pytest.raises(ConfigError, match="all sources or none"):
        open_loader(settings(prepared, sources))


def test_the_micro_batches_of_an_update_share_its_clips(prepared):
    loader = open_loader(settings(prepared, {"a": STILLS}, accumulate=2))
    assert next(loader)["frames"].shape[0] == 2
    loader.close()


def test_the_seed_makes_the_stream(prepared):
    def first(seed):
        loader = open_loader(settings(prepared, {"a": STILLS}, seed=seed))
        batch = next(loader)
        loader.close()
        return batch["frames"]

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))


@pytest.mark.parametrize(
    "rule, height, width",
    [
        ({"pixels": 16 * 21}, 15, 22),
        ({"short_side": 16, "long_side": 64}, 16, 21),
        ({"short_side": 20, "long_side": 24}, 18, 24),
        ({}, 32, 43),
    ],
)
def test_rules_set_the_training_size(prepared, rule, height, width):
    """Frames are 24x32 on a canvas of 32x64."""
    made = settings(prepared, {"a": STILLS})
    loader = open_loader(dataclasses.replace(made, data=dataclasses.replace(made.data, **rule)))
    valid = next(loader)["valid"][:, 0]
    loader.close()
    assert valid[:, :height, :width].all()
    assert valid.sum() == 4 * height * width


@pytest.mark.parametrize(
    "rule",
    [{"pixels": 300, "short_side": 16, "long_side": 20}, {"short_side": 16}, {"long_side": 20}],
)
def test_one_rule_of_size_is_enough(rule):
    with pytest.raises(ConfigError, match="or neither"):
        from_mapping({"data": rule})


def test_canvases_may_have_other_sides(prepared):
    made = settings(prepared, {"a": STILLS})
    data = dataclasses.replace(made.data, canvases=((31, 45),), multiple=1)
    loader = open_loader(dataclasses.replace(made, data=data))
    assert next(loader)["frames"].shape[2:4] == (31, 45)
    loader.close()
    with pytest.raises(ConfigError, match="multiple is 0"):
        dataclasses.replace(made.data, multiple=0)


@pytest.mark.parametrize("root", ["", "nowhere"])
def test_without_data_it_says_which_command_makes_some(root):
    with pytest.raises(MissingInputError, match=r"python -m data_prep\.coco"):
        open_loader(settings(root, {"a": STILLS}))


@pytest.mark.parametrize(
    "sources, said",
    [
        ({}, "sources is empty"),
        ({"a": {**STILLS, "kind": "film"}}, "known are stills, videos, sparse_videos, composed"),
        ({"a": {**STILLS, "options": {"min_volume": 1}}}, "sources.a: .*min_volume"),
        ({"a": {**STILLS, "augmentation": {"blur": 1}}}, "sources.a: .*blur"),
        ({"a": {**STILLS, "augmentation": {"colour": {"blur": 1}}}}, "sources.a: .*blur"),
    ],
)
def test_sources_that_cannot_work_are_named(prepared, sources, said):
    with pytest.raises(ConfigError, match=said):
        open_loader(settings(prepared, sources))


def test_a_split_that_is_not_there_is_named(prepared):
    with pytest.raises(MissingInputError, match="val"):
        open_loader(settings(prepared, {"a": {**STILLS, "split": "val"}}))
