"""Trains the toy on clips that carry their number in a pixel, alone or as one of several processes.

    python -m tests.numbered_training WORKDIR [KEY=VALUE ...]

Keys are those of the settings. With JAX_NUM_PROCESSES in the environment the process joins the
others. Each process writes which clips its devices got to WORKDIR/placed/PROCESS.jsonl. The
clips are made by the real loader from two sources of `ITEMS` items; a source named "broken"
cannot be read by the last process.
"""

import ast
import json
import os
import sys
from pathlib import Path

import jax
import numpy as np

from tests.toy_training import register, toy_settings
from vos_jax.core.commands import run_command
from vos_jax.core.errors import RecordError
from vos_jax.data.augment import Sample
from vos_jax.data.pipeline import make_loader
from vos_jax.training import loop, sharding
from vos_jax.training.processes import run_joined

ITEMS = 100
SIDE = 32
HEARTBEAT_S = 20


class NumberedClips:
    """Two moving squares over noise; the first pixel holds the source and the item."""

    times = 3
    scheduled = gives = False
    counts = np.ones(ITEMS, int)
    sizes = np.full((ITEMS, 2), SIDE)

    def __init__(self, name: str):
        """Takes the source's name; the sources are told apart by its first letter."""
        self.name = name

    def clip(self, item, objects, rng, progress=0.0):
        """An item whose noise, but not whose number, depends on the random generator."""
        if self.name == "broken" and jax.process_index() == jax.process_count() - 1:
            raise RecordError(f"item {item} of {self.name} cannot be read")
        frames = rng.integers(0, 80, (self.times, SIDE, SIDE, 3), np.uint8)
        labels = np.zeros((self.times, SIDE, SIDE), np.uint8)
        for time in range(self.times):
            square = time, slice(4, 16), slice(4 + 4 * time, 16 + 4 * time)
            labels[square], frames[square] = 1, rng.integers(120, 255, 3, np.uint8)
        frames[:, 0, 0] = ord(self.name[0]), item, 0
        everywhere = np.ones(labels.shape, bool)
        return Sample(frames, labels, everywhere, np.ones((3, 1), bool), np.ones(3, bool))


def numbered_loader(settings):
    """This process's share of the batches, from the sources the settings name."""
    return make_loader(
        [(NumberedClips(name), each.share) for name, each in settings.data.sources.items()],
        batch_size=settings.batch // settings.accumulate,
        seed=settings.seed,
        canvases=((SIDE, SIDE),),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        max_failed=0.0,
    )


def note_placed(workdir: Path) -> None:
    """Has the loop write down the rows of every batch on this process's devices."""
    place = loop.global_batch

    def note(batch, mesh):
        placed = place(batch, mesh)
        rows = {}
        for shard in placed["frames"].addressable_shards:
            first = shard.index[0].start or 0
            for row, clip in enumerate(np.asarray(shard.data), start=first):
                rows[row] = f"{chr(clip[0, 0, 0, 0])}{clip[0, 0, 0, 1]}"
        path = workdir / "placed" / f"{jax.process_index()}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(rows) + "\n")
        return placed

    loop.global_batch = note


def main(argv=None) -> int:
    """Trains as the command line says."""
    workdir, *changes = sys.argv[1:] if argv is None else argv
    register()
    sharding.SMALLEST_SPLIT = 8
    loop.open_loader = numbered_loader
    note_placed(Path(workdir))
    pairs = (change.split("=", 1) for change in changes)
    given = {
        "batch": 8,
        "model.channels": 8,
        "schedule.rate": 3e-2,
        "optimiser.ema": 0.9,
        "optimiser.frozen": (("embed/bias", 0),),  # cancels out, so its gradient is rounding
        "data.sources": {"a": {}, "b": {"share": 3.0}},
        **{key: ast.literal_eval(value) for key, value in pairs},
    }
    settings = toy_settings(**given)
    if "JAX_NUM_PROCESSES" in os.environ:
        return run_joined(lambda: loop.train(settings, workdir), HEARTBEAT_S)
    return loop.train(settings, workdir)


if __name__ == "__main__":
    sys.exit(run_command(main))
