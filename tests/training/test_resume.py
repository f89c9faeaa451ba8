"""k updates, stop, restart, n - k updates equal n updates, to the bit."""

import json

import jax
import numpy as np
import pytest

from tests.stored_arrays import assert_same, everything
from tests.toy_training import Learner, ToyLoader, register, toy_settings, train_toy
from vos_jax.checkpoints.store import Checkpoint, Store, load_params
from vos_jax.core.errors import CheckpointError
from vos_jax.training.logging import METRICS


@pytest.fixture(autouse=True)
def toy():
    register()


def losses(workdir):
    lines = (workdir / METRICS).read_text().splitlines()
    return [(each["step"], each["loss"]) for each in map(json.loads, lines)]


def test_only_a_fresh_run_is_primed(tmp_path, monkeypatch):
    primed = []

    def note(self, params, clip):
        primed.append(int(np.asarray(clip.frames).sum()))
        return params

    monkeypatch.setattr(Learner, "primed", note)
    for steps in (1, 3):
        assert train_toy(toy_settings(steps=steps), tmp_path) == 0
    assert primed == [int(next(ToyLoader(4, 42))["frames"].sum())]


CASES = {
    "plain": {},
    "accumulated": {"accumulate": 2},
    "averaged": {"optimiser.ema": 0.9},
    "scheduled": {"schedule.kind": "cosine", "schedule.length": 9, "schedule.warmup_steps": 2},
    "frozen": {"optimiser.frozen": (("embed/bias", 4),), "optimiser.clip": 0.5},
}


@pytest.mark.parametrize("case", CASES)
def test_interrupted_equals_uninterrupted(tmp_path, case):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train_toy(toy_settings(steps=7, **CASES[case]), whole) == 0
    for steps in (3, 5, 7):
        assert train_toy(toy_settings(steps=steps, **CASES[case]), parts) == 0
    assert losses(parts) == losses(whole)
    assert_same(parts, whole, 7)


def test_resuming_says_so_and_starting_does_too(tmp_path, capsys):
    train_toy(toy_settings(steps=2), tmp_path)
    assert "training from scratch" in capsys.readouterr().out
    train_toy(toy_settings(steps=4), tmp_path)
    said = capsys.readouterr().out
    assert "resuming after update 2 of 4" in said and "scratch" not in said


def test_a_finished_run_does_nothing_more(tmp_path):
    train_toy(toy_settings(steps=4), tmp_path)
    loader = ToyLoader()
    assert train_toy(toy_settings(steps=4), tmp_path, loader) == 0
    assert loader.number == 4 and Store(tmp_path).latest_step() == 4


def test_keeps_as_many_checkpoints_as_asked(tmp_path):
    train_toy(toy_settings(steps=7, **{"checkpoints.keep": 2}), tmp_path)
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal()}
    assert kept == {"6", "7"}


def test_another_optimiser_does_not_fit_the_checkpoint(tmp_path):
    train_toy(toy_settings(steps=2), tmp_path)
    with pytest.raises(CheckpointError):
        train_toy(toy_settings(steps=4, **{"model.channels": 6}), tmp_path)


def test_starting_from_another_run_loads_what_matches_and_lists_the_rest(tmp_path, capsys):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    train_toy(toy_settings(steps=4), first)
    settings = toy_settings(steps=1, seed=1, init_from=str(first), **{"schedule.rate": 0.0})
    train_toy(settings, second)
    assert f"loaded 2 parameters of {first}, update 4" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, load_params(second)[0], load_params(first)[0])

    source = {"embed": {"bias": load_params(first)[0]["embed"]["bias"]}, "old": np.ones(3)}
    with Store(third) as store:
        store.save(9, Checkpoint(source))
    train_toy(
        toy_settings(steps=1, init_from=str(third / "checkpoints" / "9")), tmp_path / "fourth"
    )
    said = capsys.readouterr().out
    assert "loaded 1 parameters" in said
    assert "not in it: embed/kernel" in said and "in it, unused: old" in said


def stored(folder, params):
    """A workdir that holds these parameters."""
    with Store(folder) as store:
        store.save(1, Checkpoint(params))
    return str(folder)


@pytest.mark.parametrize("separator", [",", ", "])
def test_starting_from_several_workdirs(tmp_path, capsys, separator):
    """The later one wins."""
    kernel, both, bias = np.full((3, 4), 0.5, "f"), np.full(4, 1.0, "f"), np.full(4, 2.0, "f")
    first = stored(tmp_path / "first", {"embed": {"kernel": kernel, "bias": both}})
    second = stored(tmp_path / "second", {"embed": {"bias": bias}, "old": np.ones(3)})
    names = separator.join([first, second])
    train_toy(toy_settings(steps=1, init_from=names, **{"schedule.rate": 0.0}), tmp_path / "run")
    said = capsys.readouterr().out
    assert f"loaded 2 parameters of {first}" in said and f"loaded 1 parameters of {second}" in said
    assert "in it, unused: old" in said and "in none of them" not in said
    found = load_params(tmp_path / "run")[0]["embed"]
    np.testing.assert_array_equal(found["kernel"], kernel)
    np.testing.assert_array_equal(found["bias"], bias)


def test_what_none_of_several_has_and_one_that_has_nothing(tmp_path, capsys):
    half = stored(tmp_path / "half", {"embed": {"bias": np.ones(4, "f")}})
    other = stored(tmp_path / "other", {"else": np.ones(3, "f")})
    train_toy(toy_settings(steps=1, init_from=f"{half},{half}"), tmp_path / "run")
    assert "in none of them: embed/kernel" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="other: none of its 1 parameters fits"):
        train_toy(toy_settings(init_from=f"{half},{other}"), tmp_path / "again")


def test_starting_from_a_run_with_nothing_in_common_is_refused(tmp_path):
    with Store(tmp_path / "other") as store:
        store.save(1, Checkpoint({"else": np.ones(3)}))
    settings = toy_settings(init_from=str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="none of its 1 parameters fits"):
        train_toy(settings, tmp_path / "run")


def test_inference_reads_the_average(tmp_path):
    train_toy(toy_settings(steps=4, **{"optimiser.ema": 0.5}), tmp_path)
    arrays, _ = everything(tmp_path, 4)
    params, step = load_params(tmp_path)
    assert step == 4
    np.testing.assert_array_equal(params["embed"]["bias"], arrays["ema['embed']['bias']"])
    assert not np.array_equal(params["embed"]["bias"], arrays["params['embed']['bias']"])
