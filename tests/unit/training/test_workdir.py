"""A workdir keeps the settings it was started with."""

import dataclasses
import errno

import pytest

from vos_jax.checkpoints import store
from vos_jax.core.errors import ConfigError, OutputError
from vos_jax.training.settings import from_mapping
from vos_jax.training.workdir import agree, writing

START = {
    "steps": 10,
    "model": {"channels": 64, "sizes": (1, 2)},
    "data": {"root": "a", "sources": {"coco": {"share": 0.5}}, "canvases": ((64, 96),)},
}


def settings(**changes):
    return from_mapping({**START, **changes})


def test_writes_everything_that_rebuilds_the_system(tmp_path):
    agree(tmp_path, settings())
    document = store.load_settings(tmp_path)
    assert document["system"] == "hodor" and document["partial"] is False
    assert document["model"] == {"channels": 64, "sizes": [1, 2]}
    assert from_mapping(document["config"]).data == settings().data
    assert "class_names" not in document


def test_names_the_classes_for_inference(tmp_path):
    agree(tmp_path, settings(), ["oval", "trefoil"])
    assert store.load_settings(tmp_path)["class_names"] == ["oval", "trefoil"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"steps": 20},
        {"log": {"images_every": 3}},
        {"checkpoints": {"every": 3}},
        {"mesh": {"data": 8}},
        {"data": {**START["data"], "root": "b", "workers": 4}},
    ],
)
def test_what_does_not_alter_the_updates_may_change(tmp_path, changes):
    agree(tmp_path, settings())
    agree(tmp_path, settings(**changes))
    stored = from_mapping(store.load_settings(tmp_path)["config"])
    assert dataclasses.replace(stored, model={}) == dataclasses.replace(
        settings(**changes), model={}
    )


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"seed": 1}, r"seed \(was 42, now 1\)"),
        ({"model": {"channels": 32, "sizes": (1, 2)}}, r"model.channels \(was 64, now 32\)"),
        ({"model": {"channels": 64}}, "model.sizes"),
        ({"optimiser": {"clip": 1.0}}, "optimiser.clip"),
        ({"data": {**START["data"], "canvases": ((64, 64),)}}, "data.canvases"),
        ({"data": {**START["data"], "sources": {}}}, "data.sources.coco.share"),
    ],
)
def test_other_differences_are_listed(tmp_path, changes, named):
    agree(tmp_path, settings())
    with pytest.raises(ConfigError, match=named):
        agree(tmp_path, settings(**changes))
    assert from_mapping(store.load_settings(tmp_path)["config"]).seed == 42


def test_all_differences_are_in_one_message(tmp_path):
    agree(tmp_path, settings())
    with pytest.raises(ConfigError, match=r"batch .*seed "):
        agree(tmp_path, settings(seed=1, batch=4))


@pytest.mark.parametrize("name, named", [("a/file", "a/file"), (None, "runs/x")])
def test_what_the_system_refuses_to_write_is_named(name, named):
    with pytest.raises(OutputError, match=f"^{named}: cannot be written .No space.*same command"):
        with writing("runs/x"):
            raise OSError(errno.ENOSPC, "No space left on device", name)


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError


def test_converted_weights_are_no_training_run(tmp_path):
    store.save_settings(tmp_path, {"system": "hodor", "model": {}, "partial": False})
    with pytest.raises(ConfigError, match="--config.init_from="):
        agree(tmp_path, settings())
