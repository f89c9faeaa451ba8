"""`python -m vos_jax.train` as a user runs it: train, resume, be refused."""

import json

import numpy as np
import pytest

from tests.tiny_hodor import FAST, one_image_set, train_command
from vos_jax.checkpoints.claim import claim
from vos_jax.checkpoints.store import load_params
from vos_jax.train import main

CONFIG = ["--config", "configs/hodor_static.py"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return one_image_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {**FAST, "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


def test_trains_resumes_and_refuses_other_settings(run_python, tmp_path, prepared, cache):
    workdir = tmp_path / "run"
    log = ("log.scalars_every=1", "log.images_every=2", "model.dtype=bfloat16")
    first = run_python(*train_command(prepared, workdir, "steps=2", *log), env=cache)
    assert first.returncode == 0, first.stderr
    assert "config.init_from is '': training from scratch" in first.stdout
    assert "step/s" in first.stderr or "s/step" in first.stderr
    made = {path.name for path in workdir.iterdir()}
    assert {"config.json", "checkpoints", "parameters.txt", "metrics.jsonl"} <= made
    assert "extractor" in (workdir / "parameters.txt").read_text()
    assert json.loads((workdir / "config.json").read_text())["model"]["dtype"] == "bfloat16"

    again = run_python(*train_command(prepared, workdir, "steps=3", *log), env=cache)
    assert again.returncode == 0, again.stderr
    assert "resuming after update 2 of 3" in again.stdout
    params, step = load_params(workdir)
    assert step == 3
    assert {leaf.dtype for leaf in _leaves(params)} == {np.dtype("float32")}
    steps = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").open()]
    assert steps == [1, 2, 3]

    refused = run_python(*train_command(prepared, workdir, "steps=3", "seed=1", *log))
    assert refused.returncode == 2
    assert "seed (was 42, now 1)" in refused.stderr and "Traceback" not in refused.stderr


def _leaves(tree):
    for value in tree.values():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield value


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([*CONFIG, "--config.stepss=3"], "unknown config.stepss"),
        ([*CONFIG, "--config.steps=many"], "many"),
        (["--config", "configs/none.py"], "no config file"),
        (CONFIG, "python -m data_prep.coco"),
        ([*CONFIG, "--config.data.root=nowhere"], "python -m data_prep.coco"),
        ([*CONFIG, "--confg.steps=3"], "write --config.key=value"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(run_python, tmp_path, arguments, said):
    done = run_python("-m", "vos_jax.train", "--workdir", tmp_path / "run", *arguments)
    assert done.returncode == 2
    (line,) = [each for each in done.stderr.splitlines() if each]
    assert line.startswith("error: ") and said in line


def test_a_workdir_in_use_is_refused(run_python, tmp_path, prepared):
    with claim(tmp_path):
        done = run_python(*train_command(prepared, tmp_path))
    assert done.returncode == 2
    assert "in use by process" in done.stderr


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    taught = "--config.data.root --config.init_from='' 75 data_prep.coco resumes `unreadable`"
    for word in taught.split():
        assert word in text
