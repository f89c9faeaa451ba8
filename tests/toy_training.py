"""A toy system that can be trained in a second, its data, and a program that trains it.

    python -m tests.toy_training WORKDIR [KEY=VALUE ...]

Keys are those of the settings, "model.nan_at=3" for instance. The losses of all updates go to
WORKDIR/losses.txt as hexadecimal floats.
"""

import ast
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.toy_systems import STRIDE, Toy
from vos_jax.checkpoints.names import NameMap
from vos_jax.core.commands import run_command
from vos_jax.systems import registry
from vos_jax.systems.base import Visit
from vos_jax.training import loop
from vos_jax.training.logging import Log
from vos_jax.training.settings import from_mapping

SIZE = (16, 24)


class Learner(Toy):
    """Learns an embedding of colours; draws noise when given a key, so that keys matter."""

    policy: str = "softmax"
    nan_at: int = -1

    untrained = ()

    def encode(self, frames):
        features = super().encode(frames)
        if self.has_rng("dropout"):
            features += 0.1 * jax.random.normal(self.make_rng("dropout"), features.shape)
        return features

    def plan(self, step, micro):
        last = Visit(2, None, (0, 1) if (step + micro) % 2 else (1,))
        return (Visit(0, "given", None, read=False), Visit(1, "own_cut", (0,)), last)

    def losses(self, run, clip, step):
        scores = jnp.stack([scores for scores in run.scores if scores is not None], axis=1)
        backgrounds = scores.shape[-1] - clip.slots.shape[1]
        wanted = clip.labels[:, 1:, ::STRIDE, ::STRIDE].astype(jnp.int32)
        wanted = jnp.where(wanted > 0, wanted + backgrounds - 1, 0)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores / 50, wanted).mean()
        return {"loss": jnp.where(step == self.nan_at, jnp.nan, loss)}


class ToyLoader:
    """Batch n of a seed: squares of two colours over noise, moving right."""

    def __init__(self, batch: int = 4, seed: int = 0):
        self.batch, self.seed, self.number, self.closed = batch, seed, 0, False
        self.failed = 0

    def __next__(self):
        rng = np.random.default_rng([self.seed, self.number])
        self.number += 1
        frames = rng.integers(0, 80, (self.batch, 3, *SIZE, 3), np.uint8)
        labels = np.zeros((self.batch, 3, *SIZE), np.uint8)
        for video in range(self.batch):
            colours = rng.integers(120, 255, (2, 3), np.uint8)
            for slot in range(2):
                top, left = 8 * slot, int(rng.integers(0, 8))
                for time in range(3):
                    at = (video, time, slice(top, top + 8), slice(left + 4 * time, left + 8 + time))
                    labels[at], frames[at] = slot + 1, colours[slot]
        present = np.stack([(labels == slot).any((2, 3)) for slot in (1, 2, 3)], axis=-1)
        return {
            "frames": frames,
            "labels": labels,
            "slots": np.tile(np.array([True, True, False]), (self.batch, 1)),
            "present": present,
            "labelled": np.ones((self.batch, 3), bool),
            "valid": np.ones(labels.shape, bool),
        }

    def get_state(self):
        return {"number": self.number}

    def set_state(self, state):
        self.number = state["number"]

    def close(self):
        self.closed = True


def register() -> None:
    """Makes the toy a system of the registry."""
    registry.SYSTEMS["toy"] = registry.Entry(Learner, NameMap([]), lambda params: dict(params))


def toy_settings(**changes):
    """Settings of a short run; keys with dots reach into groups, as `**{"log.images_every": 2}`."""
    nested = {
        "system": "toy",
        "steps": 6,
        "batch": 4,
        "schedule": {"rate": 1e-2},
        "log": {"scalars_every": 1, "images_every": 0},
        "checkpoints": {"every": 2, "keep": 3},
    }
    for key, value in changes.items():
        *groups, name = key.split(".")
        at = nested
        for group in groups:
            at = at.setdefault(group, {})
        at[name] = value
    return from_mapping(nested)


def train_toy(settings, workdir: Path, loader: ToyLoader | None = None) -> int:
    """Runs the training loop with the toy in a workdir."""
    workdir.mkdir(parents=True, exist_ok=True)
    system = registry.build("toy", **settings.model)
    share = settings.batch // settings.accumulate // jax.process_count()
    return loop.run(settings, workdir, system, loader or ToyLoader(share, settings.seed))


def main(argv=None) -> int:
    """Trains as the command line says and writes down all losses."""
    workdir, *changes = sys.argv[1:] if argv is None else argv
    register()
    losses = []
    settle = Log.settle

    def note(self):
        if self._latest is not None:
            losses.append(float(self._latest[1]["loss"]))
        settle(self)

    Log.settle = note
    pairs = (change.split("=", 1) for change in changes)
    settings = toy_settings(**{key: ast.literal_eval(value) for key, value in pairs})
    code = train_toy(settings, Path(workdir))
    Path(workdir, "losses.txt").write_text("\n".join(loss.hex() for loss in losses))
    return code


if __name__ == "__main__":
    sys.exit(run_command(main))
