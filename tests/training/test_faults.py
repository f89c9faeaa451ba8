"""What can break under a run: a named error, whole checkpoints, and the same command goes on."""

import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.write import SplitPlan, write_split
from tests.clip_sets import Box, BoxFrame, BoxVideo
from tests.kill_runs import PATIENCE_S, Victim
from tests.stored_arrays import assert_same
from tests.toy_training import ToyLoader, register, toy_settings, train_toy
from vos_jax.checkpoints.store import CHECKPOINTS, Store, load_params
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError, RecordError
from vos_jax.data.index import FrameIndex
from vos_jax.training import loop
from vos_jax.training.events import Events
from vos_jax.training.logging import METRICS

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12
SHARDS = 6


@pytest.fixture(autouse=True)
def toy():
    register()


def make_set(path: Path, right: int = 60) -> Path:
    """Stills of two objects in several shards; `right` changes pixels and record lengths."""
    boxes = (Box(1, (2, 2, 30, 30)), Box(2, (34, 34, 62, right)))
    videos = [
        BoxVideo((BoxFrame(f"v{number}", 0, (64, 64), boxes, overlapping=False),))
        for number in range(24)
    ]
    write_split(SplitPlan("boxes", "train", videos), path, shards=SHARDS)
    return path


def spoil(path: Path, *numbers: int) -> None:
    """Damages records on disk; the same call again mends them."""
    frames = FrameIndex.open(FrameIndex.folder(path, "train")).frames
    shards = sorted(path.glob("*.tfrecord-*"))
    for number in numbers:
        with shards[frames[number]["shard"]].open("r+b") as file:
            file.seek(int(frames[number]["offset"]) + 30)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 255]))


def settings(data: Path, **changes):
    """Settings of a toy run on a prepared set."""
    source = {"kind": "stills", "options": {"min_area": 100, "min_side": 8}}
    given = {
        "root": str(data),
        "sources": {"stills": source},
        "canvases": ((64, 64),),
        "slots": 3,
        **{key: changes.pop(key) for key in ("max_failed", "workers") if key in changes},
    }
    return toy_settings(**{"steps": STEPS, "data": given, "optimiser.ema": 0.5, **changes})


def metrics(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / METRICS).read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A set, and a run on it that nothing disturbed."""
    register()
    folder = tmp_path_factory.mktemp("whole")
    make_set(folder / "set")
    assert loop.train(settings(folder / "set"), folder / "run") == 0
    return folder


@pytest.fixture
def data(whole, tmp_path):
    """A copy of the set, to be broken."""
    return Path(shutil.copytree(whole / "set", tmp_path / "set"))


def interrupt(monkeypatch, step: int, action) -> None:
    """Does something once when that update is about to be made."""
    update = loop.Trainer.update

    def disturbed(self, state, at, clips):
        if at == step:
            action()
        return update(self, state, at, clips)

    monkeypatch.setattr(loop.Trainer, "update", disturbed)


def goes_on(config, workdir, whole, capsys):
    """The last checkpoint can be read, and the same command ends where an undisturbed one does."""
    last_good = load_params(workdir)[1]
    assert 2 <= last_good < STEPS
    capsys.readouterr()
    assert loop.train(config, workdir) == 0
    assert f"resuming after update {last_good} of {STEPS}" in capsys.readouterr().out
    assert_same(workdir, whole / "run", STEPS)
    assert [each["loss"] for each in metrics(workdir)] == [
        each["loss"] for each in metrics(whole / "run")
    ]


def test_damaged_records_are_named_counted_and_replaced(data, tmp_path, caplog):
    spoil(data, 3, 7)
    with caplog.at_level(logging.WARNING):
        assert loop.train(settings(data), tmp_path / "run") == 0
    lines = metrics(tmp_path / "run")
    counts = [line["unreadable"] for line in lines]
    assert counts == sorted(counts) and counts[-1] > 0
    named = [each.message for each in caplog.records if "unreadable, replaced" in each.message]
    assert len(named) >= counts[-1]
    assert all("boxes-train.tfrecord" in line and "byte" in line for line in named)


def test_the_command_names_and_counts_damaged_records(tmp_path):
    """A real run with a worker: it goes on, and where nothing may be replaced, it ends."""
    command = Victim(tmp_path, np.random.default_rng(0), workers=1)
    spoil(tmp_path / "set", *range(0, 16, 3))
    command.finish(tmp_path / "run", 3, every=3)
    said = (tmp_path / "start1.txt").read_text()
    assert "unreadable, replaced by the next one: sample" in said
    assert "moving_objects-train.tfrecord-00000-of-00001: record at byte" in said
    assert metrics(tmp_path / "run")[-1]["unreadable"] > 0
    process, said = command.start(tmp_path / "strict", "steps=3", "data.max_failed=0.0")
    assert process.wait(PATIENCE_S) == 2
    (line,) = [each for each in said.read_text().splitlines() if each.startswith("error: ")]
    assert "more than the fraction 0.0 allowed" in line and "record at byte" in line


def test_readable_records_count_as_nothing(whole):
    assert {line["unreadable"] for line in metrics(whole / "run")} == {0}


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_damaged_records_stop_the_run(data, whole, tmp_path, monkeypatch, capsys, workers):
    """Damage that begins in the middle; nothing may be replaced."""
    config = settings(data, max_failed=0.0, workers=workers)
    interrupt(monkeypatch, 2, lambda: spoil(data, *range(24)))
    with pytest.raises(RecordError, match="set/boxes-train.tfrecord-.*byte") as caught:
        loop.train(config, tmp_path / "run")
    assert "\n" not in str(caught.value)
    spoil(data, *range(24))
    monkeypatch.undo()
    goes_on(config, tmp_path / "run", whole, capsys)


def test_a_fraction_of_damaged_records_stops_the_run(data, tmp_path):
    spoil(data, 3, 7)
    with pytest.raises(RecordError, match="more than the fraction 0.001 allowed"):
        loop.train(settings(data, max_failed=0.001), tmp_path / "run")


def test_a_folder_of_data_that_vanishes(data, whole, tmp_path, monkeypatch, capsys):
    """Shards that are open would stay readable; the next start says what is missing."""
    config = settings(data)
    monkeypatch.setattr("vos_jax.data.records.MAX_OPEN_SHARDS", 0)
    interrupt(monkeypatch, 2, lambda: data.rename(tmp_path / "elsewhere"))
    with pytest.raises(MissingInputError, match="boxes-train.tfrecord-0000.*No such file"):
        loop.train(config, tmp_path / "run")
    with pytest.raises(MissingInputError, match=f"config.data.root = '{data}' is no folder"):
        loop.train(config, tmp_path / "run")
    (tmp_path / "elsewhere").rename(data)
    monkeypatch.undo()
    goes_on(config, tmp_path / "run", whole, capsys)


def test_a_shard_that_vanishes_between_runs(data, whole, tmp_path, capsys):
    config = settings(data)
    assert loop.train(settings(data, steps=4), tmp_path / "run") == 0
    shard = next(data.glob("*.tfrecord-00003*"))
    shard.rename(tmp_path / "shard")
    with pytest.raises(MissingInputError, match=f"{shard.name} is missing: run the data_prep"):
        loop.train(config, tmp_path / "run")
    (tmp_path / "shard").rename(shard)
    goes_on(config, tmp_path / "run", whole, capsys)


def test_another_set_in_the_same_place_is_refused(data, whole, tmp_path, capsys):
    config = settings(data)
    assert loop.train(settings(data, steps=4), tmp_path / "run") == 0
    data.rename(tmp_path / "first")
    make_set(data, right=50)
    with pytest.raises(ConfigError, match="data stream had content"):
        loop.train(config, tmp_path / "run")
    shutil.rmtree(data)
    (tmp_path / "first").rename(data)
    goes_on(config, tmp_path / "run", whole, capsys)


def full(*arguments, **keywords):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/file")


@pytest.mark.parametrize(
    "place, last_good",
    [
        ((Events, "__init__"), None),
        ((Events, "scalars"), None),
        ((loop, "write_overview"), None),
        ((loop, "_checkpoint"), None),
    ],
)
def test_a_full_disk_is_named_wherever_it_is_noticed(tmp_path, monkeypatch, place, last_good):
    monkeypatch.setattr(*place, full)
    with pytest.raises(OutputError, match="some/file: cannot be written .No space left on device"):
        train_toy(toy_settings(), tmp_path)
    assert Store(tmp_path).latest_step() == last_good


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), ValueError("EXHAUSTED")])
def test_a_failed_save_is_named_at_the_next_call(tmp_path, monkeypatch, error):
    """What fails in Orbax's thread, as Python's or as TensorStore's error."""
    write = "orbax.checkpoint._src.handlers.base_pytree_checkpoint_handler"

    def fail(*arguments, **keywords):
        raise error

    train_toy(toy_settings(steps=2), tmp_path)
    monkeypatch.setattr(f"{write}.BasePyTreeCheckpointHandler._write_metadata_after_commits", fail)
    with pytest.raises(OutputError, match="checkpoints: a checkpoint cannot be saved .*make room"):
        train_toy(toy_settings(steps=4), tmp_path)
    assert load_params(tmp_path)[1] == 2
    done = run_toy(tmp_path, "steps=4")
    assert done.returncode == 0 and "resuming after update 2 of 4" in done.stdout


def test_the_only_checkpoint_outlives_a_failed_save(tmp_path, monkeypatch):
    once = {"checkpoints.keep": 1, "checkpoints.every": 2}
    train_toy(toy_settings(steps=2, **once), tmp_path)
    monkeypatch.setattr("orbax.checkpoint._src.path.async_path.write_text", full)
    with pytest.raises(OutputError):
        train_toy(toy_settings(steps=6, **once), tmp_path)
    assert load_params(tmp_path)[1] == 2


def test_a_workdir_that_vanishes(tmp_path):
    class Thief(ToyLoader):
        def __next__(self):
            if self.number == 3:
                shutil.rmtree(tmp_path / "run")
            return super().__next__()

    with pytest.raises(OutputError, match="run"):
        train_toy(toy_settings(steps=6), tmp_path / "run", Thief())


def run_toy(workdir: Path, *changes: str, limit: int | None = None) -> subprocess.CompletedProcess:
    """The toy as a command, with files of at most `limit` KiB."""
    return subprocess.run(
        ["bash", "-c", f'ulimit -f {limit or "unlimited"}; exec "$@"', "bash"]
        + [sys.executable, "-m", "tests.toy_training", str(workdir), *changes],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_real_limit_on_files_ends_the_command_and_nothing_is_lost(tmp_path):
    """The arrays of a checkpoint do not fit."""
    wide = {"model.channels": 4000}
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    train_toy(toy_settings(steps=6, **wide), whole)
    train_toy(toy_settings(steps=2, **wide), workdir)
    done = run_toy(workdir, "model.channels=4000", "steps=6", limit=30)
    assert done.returncode == 2
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert f"{workdir / CHECKPOINTS}: a checkpoint cannot be saved" in line
    assert load_params(workdir)[1] == 2
    assert train_toy(toy_settings(steps=6, **wide), workdir) == 0
    assert_same(workdir, whole, 6)


def test_a_killed_worker_changes_nothing(whole, tmp_path, monkeypatch, caplog):
    interrupt(
        monkeypatch,
        2,
        lambda: multiprocessing.active_children()[0].kill(),
    )
    assert loop.train(settings(whole / "set", workers=2), tmp_path / "run") == 0
    assert "made by new workers" in caplog.text
    assert_same(tmp_path / "run", whole / "run", STEPS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_spares_the_workers(whole, tmp_path, monkeypatch, number):
    """Terminals and schedulers signal every process of a run."""

    def tell_everybody():
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, number)
        os.kill(os.getpid(), number)

    interrupt(monkeypatch, 2, tell_everybody)
    config = settings(whole / "set", workers=1)
    assert loop.train(config, tmp_path / "run") == loop.EXIT_STOPPED
    assert Store(tmp_path / "run").latest_step() == 3
    monkeypatch.undo()
    assert loop.train(config, tmp_path / "run") == 0
    assert_same(tmp_path / "run", whole / "run", STEPS)
