"""Conversion of small files of a small system: what is refused, what is kept, what is said."""

import flax.linen as nn
import numpy as np
import pytest

from tests.pth_writer import dictionary, integer, write_state_dict, write_zip
from vos_jax.checkpoints.claim import claim
from vos_jax.checkpoints.names import NameMap, Rule, layer
from vos_jax.checkpoints.store import load_params, load_settings, save_settings
from vos_jax.convert import convert, main
from vos_jax.core.errors import CheckpointError, ConfigError, MissingInputError, OutputError
from vos_jax.systems import official_files, registry
from vos_jax.systems.official_files import OfficialFile


class Toy(nn.Module):
    """Two linear layers."""

    width: int = 3

    @nn.compact
    def initialise(self, frames):
        """Makes the parameters."""
        return nn.Dense(2, name="head")(nn.Dense(self.width, name="body")(frames * 1.0))


BODY = NameMap([*layer("body", "body")], dropped=["body\\.(steps|spare)"])
WHOLE = BODY + NameMap([*layer("head", "head"), Rule("scale", "scale")])


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Registers the system `toy` with a whole file and a partial one."""
    monkeypatch.setitem(registry.SYSTEMS, "toy", registry.Entry(Toy, WHOLE, lambda params: params))
    files = {
        "model": OfficialFile(("model",), WHOLE),
        "body": OfficialFile(
            ("net",), BODY.under("a\\."), prefixes=("a.",), fills="body/.*", partial=True
        ),
    }
    monkeypatch.setitem(official_files.OFFICIAL_FILES, "toy", files)


def body(prefix=""):
    return {
        f"{prefix}body.weight": np.arange(9, dtype=np.float32).reshape(3, 3),
        f"{prefix}body.bias": np.arange(3, dtype=np.float32),
        f"{prefix}body.steps": np.zeros((), np.int64),
        f"{prefix}body.spare": np.zeros(2, np.float32),
    }


def whole():
    return body() | {
        "head.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "head.bias": np.ones(2, np.float32),
    }


@pytest.fixture
def write(tmp_path):
    """Writes tensors under a key and returns the path."""
    return lambda tensors, key="model": write_state_dict(tmp_path / "x.pth", tensors, key)


def test_every_tensor_is_used_or_listed(write, tmp_path, capsys):
    report = convert("toy", write(whole()), tmp_path / "W")
    assert sorted(report.used) == ["body.bias", "body.weight", "head.bias", "head.weight"]
    assert report.dropped == ("body.steps", "body.spare") and report.ignored == ()
    said = capsys.readouterr().out
    assert "6 tensors read" in said and "4 tensors used: 20 parameters in 4 arrays" in said
    assert "1 tensors dropped (integer tables, no parameters):\n  body.steps []\n" in said
    assert (
        "1 tensors dropped (constants, or never used by the official network):\n  body.spare [2]"
        in said
    )
    params, step = load_params(tmp_path / "W")
    assert step == 0
    np.testing.assert_array_equal(params["body"]["kernel"], np.arange(9).reshape(3, 3).T)
    assert load_settings(tmp_path / "W") == {
        "system": "toy",
        "model": {"width": 3},
        "partial": False,
        "source": {"file": "x.pth", "what": "model"},
    }


def test_partial_file(write, tmp_path, capsys):
    tensors = body("a.") | {"b.other": np.zeros(4, np.float32)}
    report = convert("toy", write(tensors, "net"), tmp_path / "W", "body")
    assert report.ignored == ("b.other",)
    assert "(they belong to another network):\n  b.other [4]" in capsys.readouterr().out
    assert load_settings(tmp_path / "W")["partial"] is True
    assert list(load_params(tmp_path / "W")[0]) == ["body"]


@pytest.mark.parametrize("name", ["body.weight", "head.bias"])
def test_missing_tensor(write, tmp_path, name):
    tensors = whole()
    del tensors[name]
    path = name.replace(".", "/").replace("weight", "kernel")
    with pytest.raises(CheckpointError, match=rf"x.pth: no toy model: 1 .*without.*\({path}\)"):
        convert("toy", write(tensors), tmp_path / "W")
    assert not (tmp_path / "W").exists()


def test_partial_file_must_fill_its_part(write, tmp_path):
    tensors = body("a.")
    del tensors["a.body.bias"]
    with pytest.raises(CheckpointError, match="no toy body: .*body/bias"):
        convert("toy", write(tensors, "net"), tmp_path / "W", "body")


@pytest.mark.parametrize("name", ["tail.weight", "scale", "body.weight.more"])
def test_unexpected_tensor(write, tmp_path, name):
    """A name no rule knows, and one that a rule knows but this model has no place for."""
    tensors = whole() | {name: np.zeros(3, np.float32)}
    with pytest.raises(CheckpointError, match=rf"1 unexpected tensors \({name}\)"):
        convert("toy", write(tensors), tmp_path / "W")


def test_other_settings(write, tmp_path):
    path = write(whole())
    with pytest.raises(CheckpointError, match=r"3 .*shape.*body.weight \[3, 3\] for .* \[3, 4\]"):
        convert("toy", path, tmp_path / "W", settings={"width": 4})
    with pytest.raises(ConfigError, match="toy has no setting 'depth'"):
        convert("toy", path, tmp_path / "W", settings={"depth": 4})


def test_settings_are_kept(write, tmp_path):
    tensors = whole() | {
        "body.weight": np.zeros((5, 3), np.float32),
        "body.bias": np.zeros(5, np.float32),
        "head.weight": np.zeros((2, 5), np.float32),
    }
    arguments = ["--system", "toy", "--checkpoint", write(tensors), "--workdir", tmp_path / "W"]
    main([*map(str, arguments), "--set", "width=5"])
    assert load_settings(tmp_path / "W")["model"] == {"width": 5}


def test_hint_at_the_right_kind(write, tmp_path):
    with pytest.raises(CheckpointError, match="looks like a file for --system toy --what model"):
        convert("toy", write(whole()), tmp_path / "W", "body")
    with pytest.raises(CheckpointError, match="looks like a file for --system toy --what body"):
        convert("toy", write(body("a."), "net"), tmp_path / "W")


def test_hint_at_the_right_system(write, tmp_path):
    tensors = {"encoder.fg_query_embed": np.zeros(4, np.float32)}
    with pytest.raises(CheckpointError, match="looks like a file for --system hodor --what model"):
        convert("toy", write(tensors), tmp_path / "W")


def test_no_hint_where_nothing_is_alike(write, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        convert("toy", write({"x.y": np.zeros(1, np.float32)}), tmp_path / "W")
    assert "looks like" not in str(caught.value)


@pytest.mark.parametrize("value", [dictionary({}), integer(3), b"]", dictionary({"a": b"N"})])
def test_no_tensors_under_the_key(tmp_path, value):
    path = write_zip(tmp_path / "x.pth", dictionary({"model": value}))
    with pytest.raises(CheckpointError, match="x.pth: 'model' holds"):
        convert("toy", path, tmp_path / "W")


@pytest.mark.parametrize("value", [integer(3), b"]", b"N"])
def test_no_dictionary_at_all(tmp_path, value):
    with pytest.raises(CheckpointError, match="nothing under 'model'"):
        convert("toy", write_zip(tmp_path / "x.pth", value), tmp_path / "W")


def test_unknown_system_and_kind(write, tmp_path):
    with pytest.raises(ConfigError, match="unknown system 'stm'"):
        convert("stm", write(whole()), tmp_path / "W")
    with pytest.raises(ConfigError, match="--what ema: toy has files of the kinds model, body"):
        convert("toy", write(whole()), tmp_path / "W", "ema")


def test_no_such_file(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere.pth"):
        convert("toy", tmp_path / "nowhere.pth", tmp_path / "W")


def test_workdir_with_checkpoints(write, tmp_path):
    path = write(whole())
    convert("toy", path, tmp_path / "W")
    with pytest.raises(ConfigError, match="holds checkpoints"):
        convert("toy", path, tmp_path / "W")


def test_workdir_of_a_training_run(write, tmp_path):
    save_settings(tmp_path / "W", {"system": "toy", "config": {}})
    with pytest.raises(ConfigError, match="holds a training run"):
        convert("toy", write(whole()), tmp_path / "W")
    assert load_settings(tmp_path / "W") == {"system": "toy", "config": {}}


def test_workdir_in_use(write, tmp_path):
    with claim(tmp_path / "W"), pytest.raises(ConfigError, match="in use by process"):
        convert("toy", write(whole()), tmp_path / "W")


def test_after_a_kill_it_can_be_run_again(write, tmp_path):
    """Settings written, checkpoint not: the same command finishes the job."""
    path = write(whole())
    save_settings(tmp_path / "W", {"system": "toy", "source": {}})
    (tmp_path / "W" / "checkpoints").mkdir()
    convert("toy", path, tmp_path / "W")
    assert load_params(tmp_path / "W")[1] == 0


def test_workdir_that_cannot_be_made(write, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        convert("toy", write(whole()), tmp_path / "file")


def test_settings_need_name_and_value():
    command = ["--system", "toy", "--checkpoint", "x", "--workdir", "w", "--set", "width"]
    with pytest.raises(ConfigError, match="'width' is not NAME=VALUE"):
        main(command)
