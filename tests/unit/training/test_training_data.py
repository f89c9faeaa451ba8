"""From settings to batches."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.prepared_sets import ToyVideo, toy_set
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.training.data import open_loader
from vos_jax.training.settings import Settings, from_mapping

ANY = {"min_area": 1, "min_side": 1}
STILLS = {"kind": "stills", "options": ANY, "augmentation": {"min_area": 1, "crop_share": 0.0}}
VIDEOS = {
    "kind": "videos",
    "options": {**ANY, "max_gap": 3},
    "augmentation": {"min_area": 1, "crop_share": 0.0, "colour": {"hue": 3}},
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return toy_set(tmp_path_factory.mktemp("set"), *(ToyVideo(f"video{n}", 6) for n in range(3)))


def settings(root, sources, batch=4, **changes) -> Settings:
    data = {"root": str(root), "sources": sources, "canvases": ((32, 64),), "slots": 2}
    return from_mapping({"batch": batch, "data": data, **changes})


@pytest.mark.parametrize(
    "sources", [{"a": STILLS}, {"a": VIDEOS}, {"a": STILLS, "b": VIDEOS}], ids=len
)
def test_batches_are_clips_of_the_settings(prepared, sources):
    loader = open_loader(settings(prepared, sources))
    for batch in itertools.islice(loader, 2):
        assert batch["frames"].shape == (4, 3, 32, 64, 3)
        assert batch["present"].shape == (4, 3, 2)
        assert batch["slots"].any()
    loader.close()


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


def test_pixels_set_the_training_size(prepared):
    made = settings(prepared, {"a": STILLS})
    small = dataclasses.replace(made, data=dataclasses.replace(made.data, pixels=16 * 21))
    loader = open_loader(small)
    assert not next(loader)["valid"][:, 0, 20:].any()
    loader.close()


@pytest.mark.parametrize("root", ["", "nowhere"])
def test_without_data_it_says_which_command_makes_some(root):
    with pytest.raises(MissingInputError, match=r"python -m data_prep\.coco"):
        open_loader(settings(root, {"a": STILLS}))


@pytest.mark.parametrize(
    "sources, said",
    [
        ({}, "sources is empty"),
        ({"a": {**STILLS, "kind": "film"}}, "known are stills, videos"),
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
