"""Workdirs: settings, checkpoints that survive kills and damage, and what a run restores."""

import logging
import shutil
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vos_jax.checkpoints.store import (
    Checkpoint,
    Store,
    load_params,
    load_settings,
    save_settings,
)
from vos_jax.core.errors import CheckpointError, MissingInputError, OutputError

SETTINGS = {"system": "hodor", "model": {"width": 8, "sizes": [1, 2]}, "partial": False}


def params(value=0.0):
    return {
        "encoder": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3) + value},
        "count": np.asarray(value, np.float32),
    }


def training(value=0.0):
    optimiser = optax.adamw(1e-3)
    tree = jax.tree.map(jnp.asarray, params(value))
    state = optimiser.init(tree)
    _, state = optimiser.update(jax.tree.map(jnp.ones_like, tree), state, tree)
    return {"optimiser": state, "key": jax.random.key_data(jax.random.key(3)), "updates": 7}


def full(value=0.0):
    return Checkpoint(params(value), params(value + 100), training(value), {"at": value})


def equal(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def save_steps(workdir, *steps, keep=3):
    with Store(workdir, keep) as store:
        for step in steps:
            store.save(step, full(step))


def files_of(workdir, step, item="params"):
    folder = workdir / "checkpoints" / str(step) / item
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_settings_come_back(tmp_path):
    save_settings(tmp_path / "new" / "workdir", SETTINGS)
    assert load_settings(tmp_path / "new" / "workdir") == SETTINGS
    assert [path.name for path in (tmp_path / "new" / "workdir").iterdir()] == ["config.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_damaged_settings(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match="config.json: damaged settings"):
        load_settings(tmp_path)


def test_no_settings(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere/config.json.*vos_jax.convert"):
        load_settings(tmp_path / "nowhere")


def test_settings_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/config.json"):
        save_settings(tmp_path / "file", SETTINGS)


def test_restore_gives_everything_back(tmp_path):
    save_steps(tmp_path, 5)
    with Store(tmp_path) as store:
        assert store.latest_step() == 5
        found, step = store.restore(full())
    assert step == 5
    equal(found.params, params(5))
    equal(found.ema, params(105))
    equal(found.training, jax.tree.map(np.asarray, training(5)))
    assert found.data == {"at": 5}


def test_arrays_on_devices_stay_there(tmp_path):
    with Store(tmp_path) as store:
        saved = Checkpoint(jax.tree.map(jnp.asarray, params(1)))
        store.save(1, saved)
        like = Checkpoint(jax.tree.map(ocp_struct, saved.params))
        found, _ = store.restore(like)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(found.params))
    assert found.training is None and found.data is None


def ocp_struct(array):
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=array.sharding)


@pytest.mark.parametrize("leaf", [np.float64(1 / 3), np.arange(3), 1 << 40, 1 / 3, True])
def test_nothing_is_rounded(tmp_path, leaf):
    with Store(tmp_path) as store:
        store.save(1, Checkpoint(params(), training={"leaf": leaf}))
        found, _ = store.restore(Checkpoint(params(), training={"leaf": leaf}))
    assert found.training["leaf"].dtype == np.asarray(leaf).dtype
    np.testing.assert_array_equal(found.training["leaf"], leaf)


def test_keeps_the_last_steps_only(tmp_path):
    save_steps(tmp_path, 1, 2, 3, 4, keep=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["3", "4"]


def test_old_steps_are_renamed_before_their_files_go(tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(Store, "_empty_removed", lambda store: None)
        save_steps(tmp_path, 1, 2, keep=1)
    assert files_of(tmp_path, "removed/1")
    assert not (tmp_path / "checkpoints" / "1").exists()
    Store(tmp_path).close()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["2"]


def test_nothing_saved_yet(tmp_path):
    with Store(tmp_path) as store:
        assert store.latest_step() is None
        with pytest.raises(CheckpointError, match="no checkpoint in it yet"):
            store.restore(full())
    with pytest.raises(CheckpointError, match="no checkpoint in it yet"):
        load_params(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint in it yet"):
        load_params(tmp_path / "nowhere")


def test_a_step_that_is_not_there(tmp_path):
    save_steps(tmp_path, 1, 2)
    with pytest.raises(CheckpointError, match=r"no step 7; there are \[1, 2\]"):
        load_params(tmp_path, 7)


def test_load_params_prefers_the_average(tmp_path):
    with Store(tmp_path) as store:
        store.save(1, Checkpoint(params(1)))
        store.save(2, full(2))
    tree, step = load_params(tmp_path)
    assert step == 2
    equal(tree, params(102))
    equal(load_params(tmp_path, 1)[0], params(1))
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(tree))


def test_load_params_leaves_the_workdir_alone(tmp_path):
    save_steps(tmp_path, 1)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    load_params(tmp_path)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("damage", ["gone", "half", "empty"])
def test_any_damaged_file_is_noticed_or_harmless(tmp_path, damage, caplog):
    """Whatever single file is lost, what comes back is one whole step, never zeros."""
    save_steps(tmp_path, 1, 2)
    passed_over = 0
    for path in files_of(tmp_path, 2, "ema"):
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2 if damage == "half" else 0])
        tree, step = load_params(tmp_path)
        equal(tree, params(100 + step))
        passed_over += step == 1
        path.write_bytes(content)
    assert passed_over >= 3
    assert caplog.text.count("continuing with step 1") == passed_over
    assert load_params(tmp_path)[1] == 2


@pytest.mark.parametrize("item", ["params", "training"])
def test_run_passes_over_a_gutted_step_and_can_write_it_again(tmp_path, item, caplog):
    save_steps(tmp_path, 1, 2)
    shutil.rmtree(tmp_path / "checkpoints" / "2" / item)
    with Store(tmp_path) as store:
        found, step = store.restore(full())
        assert step == 1 and found.data == {"at": 1}
        equal(found.params, params(1))
        store.save(2, full(20))
    assert f"holds no {item}; continuing with step 1" in caplog.text
    assert (tmp_path / "checkpoints" / "damaged_2").is_dir()
    equal(load_params(tmp_path)[0], params(120))


def test_a_gutted_step_asked_for_is_an_error(tmp_path):
    save_steps(tmp_path, 1, 2)
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "ema")
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "params")
    with pytest.raises(CheckpointError, match="checkpoints/2"):
        load_params(tmp_path, 2)


def test_other_models_are_refused_and_nothing_set_aside(tmp_path):
    save_steps(tmp_path, 1, 2)
    other = Checkpoint({"decoder": np.zeros(3, np.float32)})
    wider = Checkpoint({**params(), "encoder": {"kernel": np.zeros((4, 3), np.float32)}})
    for like in (other, wider):
        with (
            Store(tmp_path) as store,
            pytest.raises(
                CheckpointError, match="another model.*s/2: .*shape|another model.*s/2: .*decoder"
            ),
        ):
            store.restore(like)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1", "2"]


def test_workdir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/checkpoints"):
        Store(tmp_path / "file")


WRITER = """
import sys, numpy as np
from vos_jax.checkpoints.store import Checkpoint, Store
with Store(sys.argv[1], keep=1) as store:
    for step in range(1, 1000):
        tree = {str(i): np.full(50_000, step, np.float32) for i in range(20)}
        store.save(step, Checkpoint(tree))
        print(step, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_killed_while_saving_and_removing(tmp_path, delay):
    """Whenever the kill comes, the newest number still names a whole step."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    for _ in range(4):
        writer.stdout.readline()
    time.sleep(delay)
    writer.kill()
    writer.wait()
    tree, step = load_params(tmp_path)
    assert step >= 3
    assert all((leaf == step).all() and leaf.size == 50_000 for leaf in tree.values())
    with Store(tmp_path) as store:
        like = Checkpoint({name: leaf for name, leaf in tree.items()})
        assert store.restore(like)[1] == step
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert all(name.isdecimal() for name in names), names


DEVICES = """
import sys, jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from vos_jax.checkpoints.store import Checkpoint, Store, load_params
count, workdir = jax.device_count(), sys.argv[1]
mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,))
values = np.arange(16, dtype=np.float32)
shape = jax.ShapeDtypeStruct((16,), np.float32, sharding=NamedSharding(mesh, P("data")))
with Store(workdir) as store:
    if count == 4:
        store.save(1, Checkpoint({"w": jax.device_put(values, shape.sharding)}))
    else:
        found, _ = store.restore(Checkpoint({"w": shape}))
        assert found.params["w"].sharding.num_devices == count
        np.testing.assert_array_equal(found.params["w"], values)
        np.testing.assert_array_equal(load_params(workdir)[0]["w"], values)
"""


def test_written_on_four_devices_read_on_one_and_two(tmp_path, run_python):
    for devices in (4, 1, 2):
        done = run_python("-c", DEVICES, tmp_path, devices=devices)
        assert done.returncode == 0, done.stderr


def test_passing_over_is_said_on_the_log(tmp_path, caplog):
    save_steps(tmp_path, 1, 2)
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "ema" / "d")
    with caplog.at_level(logging.WARNING, logger="vos_jax.checkpoints.store"):
        assert load_params(tmp_path)[1] == 1
    (record,) = [entry for entry in caplog.records if entry.name.startswith("vos_jax")]
    assert "checkpoints/2" in record.message and "\n" not in record.message


def test_a_workdir_may_be_named_from_where_one_stands(tmp_path, monkeypatch):
    save_steps(tmp_path / "runs", 4)
    monkeypatch.chdir(tmp_path)
    assert load_params("runs")[1] == 4
