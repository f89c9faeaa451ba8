"""The convert command on files with every tensor of full-size official HODOR checkpoints."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from tests import pth_writer
from vos_jax.checkpoints.store import load_params, load_settings
from vos_jax.checkpoints.transfer import initialise_from
from vos_jax.convert import main
from vos_jax.core.commands import run_command
from vos_jax.systems import registry
from vos_jax.systems.hodor.weights import HODOR

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "hodor" / "state_dict_keys.json").read_text()
)


def seeded(entries):
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, 49, entry["shape"])
        if entry["dtype"] == "int64"
        else rng.standard_normal(entry["shape"], np.float32)
        for name, entry in entries.items()
    }


@pytest.fixture(scope="module")
def model():
    return seeded(REFERENCE["tensors"])


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    """Official files in the layouts they come in: `model.pth` zip, `backbone.pth` legacy."""
    folder = tmp_path_factory.mktemp("official")
    pth_writer.write_state_dict(folder / "model.pth", model, "model")
    backbone = seeded(REFERENCE["pretrained_backbone_file"])
    backbone |= {"rpn_head.rpn_conv.weight": np.ones((2, 2, 3, 3), np.float32)}
    refs = {name: pth_writer.contiguous(name, array) for name, array in backbone.items()}
    body = pth_writer.dictionary({"state_dict": pth_writer.dictionary(refs)})
    pth_writer.write_legacy(folder / "backbone.pth", body, backbone)
    return folder


@pytest.fixture(scope="module")
def drawn():
    """The tree a model is built with, without its values."""
    module = registry.build("hodor")
    return jax.eval_shape(lambda key: registry.initialise("hodor", module, key), jax.random.key(0))


def arguments(checkpoint, workdir, *more):
    return ["--system", "hodor", "--checkpoint", checkpoint, "--workdir", workdir, *more]


def test_whole_model(run_python, files, model, drawn, tmp_path):
    command = arguments(files / "model.pth", tmp_path / "W")
    done = run_python("-m", "vos_jax.convert", *command)
    assert done.returncode == 0, done.stderr
    assert "469 tensors read" in done.stdout
    assert "452 tensors used: 42,024,508 parameters in 452 arrays" in done.stdout
    dropped = re.findall(r"^  (\S+) \[", done.stdout, re.MULTILINE)
    unused = [name for name in model if re.search(r"fmap_proj_4x|norm_layers\.4", name)]
    assert sorted(dropped) == sorted(REFERENCE["integer_buffers"] + unused)
    assert len(unused) == 5
    settings = load_settings(tmp_path / "W")
    assert settings["system"] == "hodor" and settings["partial"] is False
    assert (settings["model"]["min_dim"], settings["model"]["max_dim"]) == (448, 864)
    assert registry.build("hodor", **settings["model"]) == registry.build("hodor")
    params, step = load_params(tmp_path / "W")
    assert step == 0
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, drawn)
    exported = HODOR.export(params, model)
    assert len(exported) == 452
    for name, array in exported.items():
        np.testing.assert_array_equal(array, model[name], err_msg=name)


def test_backbone_as_initialisation(run_python, files, drawn, tmp_path):
    command = arguments(files / "backbone.pth", tmp_path / "W", "--what", "backbone")
    done = run_python("-m", "vos_jax.convert", *command)
    assert done.returncode == 0, done.stderr
    assert "206 tensors read" in done.stdout
    assert "193 tensors used: 30,250,682 parameters" in done.stdout
    assert "1 tensors dropped (they belong to another network):\n  rpn_head" in done.stdout
    assert load_settings(tmp_path / "W")["partial"] is True
    params, _ = load_params(tmp_path / "W")
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), drawn)
    transfer = initialise_from(zeros, params, jax.random.key(0))
    assert len(transfer.loaded) == 193 and transfer.unused == []
    assert all(re.match("encoder/|decoder/|extractor/pyramid/norm", p) for p in transfer.missing)


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("model.pth", ["--what", "backbone"], "nothing under 'state_dict'.*--what model"),
        ("backbone.pth", [], "nothing under 'model'.*it looks like.*--what backbone"),
        ("model.pth", ["--set", "channels=128"], r"255 tensors of another shape.*\[256, 96, 1, 1]"),
        (
            "model.pth",
            ["--set", "decoder_layers=4"],
            r"24 unexpected tensors \(decoder.attn_layers.4",
        ),
        ("model.pth", ["--set", "decoder_layers=6"], r"24 parameters without.*decoder/layer_5"),
        ("model.pth", ["--set", "layers=6"], "hodor has no setting 'layers'"),
        (
            "model.pth",
            ["--what", "ema"],
            "--what ema: hodor has files of the kinds model, backbone",
        ),
        ("nothing.pth", [], "nothing.pth: no such file"),
    ],
)
def test_wrong_files_and_settings(files, tmp_path, capsys, name, more, said):
    command = arguments(files / name, tmp_path / "W", *more)
    assert run_command(main, [*map(str, command)]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert error.count("\n") == 1 and error.startswith("error: ")
    assert not (tmp_path / "W").exists()
