"""Kills a short training run again and again and compares its end with an undisturbed run's.

A small HODOR trains on a few generated videos through `python -m vos_jax.train`, saving after
every update. Half of the kills (SIGKILL, the training process alone) come at random times from
the first moment on, a quarter when a checkpoint is being saved, a quarter when an old one is being
deleted. Every start must go on from the newest complete checkpoint and leave no process behind; in
the end parameters, their average, the optimiser's state, the state of the data and the losses of
all updates must equal, to the bit, those of a run that nobody disturbed.
"""

import argparse
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.moving_objects import main as make_videos
from tests.stored_arrays import assert_same
from tests.tiny_hodor import FAST
from vos_jax.checkpoints.store import CHECKPOINTS, REMOVED, _steps
from vos_jax.core.commands import run_command
from vos_jax.training.logging import METRICS

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 400
LAST_UPDATES = 3
TEMPORARY = "*orbax-checkpoint-tmp*"
SETTINGS = (
    "model.channels=32 model.encoder_layers=1 model.decoder_layers=1 model.encoder_ffn=16 "
    "model.decoder_ffn=16 data.canvases=((32,64),) batch=2 optimiser.ema=0.9 log.images_every=0 "
    "log.scalars_every=1 checkpoints.keep=2"
).split()


@dataclasses.dataclass
class Kill:
    """One kill, and what the start after it said.

    Attributes:
        number: of the kill.
        aim: "random", "save" or "delete".
        seconds: from the start of the process.
        phase: what was going on: "start-up", "update", "save", "delete" or "save+delete".
        update: last one in the log of scalars.
        checkpoint: newest complete one, 0 for none.
        resumed: where the next start that got so far went on.
    """

    number: int
    aim: str
    seconds: float
    phase: str
    update: int
    checkpoint: int
    resumed: int | None = None

    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.number:4d}  {self.aim:7s} {self.seconds:7.2f}  {self.phase:11s}"
            f"{self.update:7d} {self.checkpoint:11d}"
        )


HEAD = "kill  aim     seconds  phase       update  checkpoint  resumed from"


class Victim:
    """The run that is killed."""

    def __init__(self, folder: Path, rng: np.random.Generator, workers: int):
        """Makes the data; starts nothing."""
        self.folder, self.workdir, self._rng = folder, folder / "killed", rng
        self._overrides = [*SETTINGS, f"data.workers={workers}", f"data.root={folder / 'set'}"]
        self._starts, self._ready = 0, 20.0
        make_videos(["--output", str(folder / "set"), "--videos", "4", "--frames", "4"])

    def start(self, workdir: Path, *overrides: str) -> tuple[subprocess.Popen, Path]:
        """Starts the command; returns the process and the file of what it says."""
        self._starts += 1
        said = self.folder / f"start{self._starts}.txt"
        options = [f"--config.{each}" for each in (*self._overrides, *overrides)]
        with said.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "vos_jax.train", "--config", "configs/quickstart.py"]
                + ["--workdir", str(workdir), *options],
                cwd=ROOT,
                env={**environment(self.folder), **FAST},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, said

    def finish(self, workdir: Path, steps: int, every: int) -> Path:
        """Runs to the end; returns what the command said."""
        process, said = self.start(workdir, f"steps={steps}", f"checkpoints.every={every}")
        assert process.wait(PATIENCE_S + 10 * steps) == 0, said.read_text()[-2000:]
        return said

    def kill(self, number: int, aim: str) -> tuple[Kill, Path]:
        """Starts the run and kills it; returns also what it said until then."""
        began = time.monotonic()
        process, said = self.start(self.workdir, "steps=1000000", "checkpoints.every=1")
        try:
            self._wait(process, said, aim, self.newest())
        finally:
            process.kill()
        seconds = time.monotonic() - began
        process.wait()
        nothing_left(process.pid)
        phase = self._phase(said)
        return Kill(number, aim, seconds, phase, self.update(), self.newest()), said

    def newest(self) -> int:
        """The last step under its final name."""
        return max(_steps(self.workdir / CHECKPOINTS), default=0)

    def update(self) -> int:
        """The last whole line of the log of scalars."""
        path = self.workdir / METRICS
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        return json.loads(whole[-1])["step"] if whole else 0

    def _wait(self, process: subprocess.Popen, said: Path, aim: str, newest: int) -> None:
        began, folder = time.monotonic(), self.workdir / CHECKPOINTS
        if aim == "random":
            time.sleep(self._rng.uniform(0, 1.5 * self._ready))
            return
        until(lambda: self.newest() > newest, process, said)
        self._ready = time.monotonic() - began
        if aim == "save":
            until(lambda: any(folder.glob(TEMPORARY)), process, said)
            time.sleep(self._rng.uniform(0, 0.1))
            until(lambda: any(folder.glob(TEMPORARY)), process, said)
            return
        until(lambda: leaving(folder) > 0, process, said)
        if self._rng.integers(2):
            whole = leaving(folder)
            until(lambda: 0 < leaving(folder) < whole, process, said, pause=0)

    def _phase(self, said: Path) -> str:
        if went_on_from(said) is None:
            return "start-up"
        folder = self.workdir / CHECKPOINTS
        seen = {"save": any(folder.glob(TEMPORARY)), "delete": leaving(folder) > 0}
        return "+".join(name for name, there in seen.items() if there) or "update"


def environment(folder: Path) -> dict[str, str]:
    """Compiled programs are kept between starts, and everything said is written at once."""
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }
    return {**kept, **os.environ, "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}


def leaving(folder: Path) -> int:
    """Files of old checkpoints that are being deleted."""
    return sum(len(files) for _, _, files in os.walk(folder / REMOVED))


def until(
    condition: Callable[[], bool], process: subprocess.Popen, said: Path, pause: float = 0.002
) -> None:
    """Waits while the process lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"the run ended: {said.read_text()[-2000:]}"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)


def nothing_left(group: int) -> None:
    """Waits until no process of a group is there any more."""
    deadline = time.monotonic() + 60
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
            raise AssertionError(f"processes of group {group} outlived the killed run")
        time.sleep(0.01)


def went_on_from(said: Path) -> int | None:
    """The update after which a start went on, 0 from scratch; None if it did not get so far."""
    text = said.read_text()
    assert "damaged" not in text and "continuing with step" not in text, text[-2000:]
    if "training from scratch" in text:
        return 0
    found = re.search(r"resuming after update (\d+)", text)
    return int(found[1]) if found else None


def losses(workdir: Path) -> list[tuple[int, float]]:
    """Losses by update."""
    lines = map(json.loads, (workdir / METRICS).read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines]


def plan(kills: int, rng: np.random.Generator) -> list[str]:
    """Aims in random order: half at random times, a quarter each at saves and deletions."""
    aimed = ["save", "delete"] * max(1, kills // 4)
    return rng.permutation([*aimed, *["random"] * kills][:kills]).tolist()


def check_resumption(row: Kill, said: Path) -> bool:
    """Holds what a start said against the kill before it; False where it did not get so far."""
    row.resumed = went_on_from(said)
    if row.resumed is None:
        return False
    assert row.resumed == row.checkpoint, f"went on from {row.resumed}, not {row.checkpoint}"
    return True


def run(folder: Path, kills: int, seed: int, workers: int) -> list[Kill]:
    """Kills, resumes, compares; prints as it goes.

    Raises:
        AssertionError: the run did not go on as it should.
    """
    rng = np.random.default_rng(seed)
    victim = Victim(folder, rng, workers)
    rows: list[Kill] = []
    print(HEAD, flush=True)
    for number, aim in enumerate(plan(kills, rng), start=1):
        row, said = victim.kill(number, aim)
        if rows:
            told = check_resumption(rows[-1], said)
            print(f"{rows[-1].line()}  {rows[-1].resumed if told else 'killed first'}", flush=True)
        rows.append(row)
    steps = victim.newest() + LAST_UPDATES
    said = victim.finish(victim.workdir, steps, every=1)
    assert check_resumption(rows[-1], said)
    print(f"{rows[-1].line()}  {rows[-1].resumed}", flush=True)
    whole = folder / "undisturbed"
    victim.finish(whole, steps, every=steps)
    arrays = assert_same(victim.workdir, whole, steps)
    assert losses(victim.workdir) == losses(whole)
    print(
        f"{kills} kills: after {steps} updates {arrays} arrays, the state of the data and all "
        "losses equal those of the undisturbed run to the bit"
    )
    return rows


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="scripts/kill_test", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of moments (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="data workers (%(default)s)")
    parser.add_argument("--workdir", type=Path, required=True, help="a new folder for everything")
    arguments = parser.parse_args(argv)
    arguments.workdir.mkdir(parents=True)
    run(arguments.workdir.resolve(), arguments.kills, arguments.seed, arguments.workers)


if __name__ == "__main__":
    sys.exit(run_command(main))
