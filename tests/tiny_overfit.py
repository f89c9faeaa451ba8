"""A small space-time memory learns one clip by heart; prints the scalars of every update.

    python -m tests.tiny_overfit SYSTEM UPDATES

The clip shows two squares and is in the batch twice, with the slots swapped: the frames alone do
not tell which square is wanted where.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.systems import registry
from vos_jax.systems.base import Clip
from vos_jax.training.optimisers import optimiser
from vos_jax.training.settings import MeshSettings, OptimiserSettings, ScheduleSettings
from vos_jax.training.sharding import make_mesh
from vos_jax.training.step import Trainer, create_state

SIDE, SQUARE, STEP = 48, 16, 5
COLOURS = ((220, 60, 60), (60, 60, 220))
MODEL = {
    "backbone": "small",
    "channels": 16,
    "key_channels": 8,
    "value_channels": 16,
    "decoder_channels": (16, 16),
}
FRAMES = {"mask_propagation": 3, "stcn": 3, "rde": 5}


def swapped_clip(times: int) -> Clip:
    """The batch; the upper square moves right, the lower one left."""
    frames = np.random.default_rng(0).integers(60, 90, (2, times, SIDE, SIDE, 3)).astype(np.uint8)
    frames[1] = frames[0]
    labels = np.zeros((2, times, SIDE, SIDE), np.uint8)
    for square, colour in enumerate(COLOURS):
        for time in range(times):
            top = 4 + 24 * square
            left = 4 + STEP * (times - 1 - time if square else time)
            inside = np.s_[:, time, top : top + SQUARE, left : left + SQUARE]
            frames[inside] = colour
            labels[inside] = np.array([1 + square, 2 - square])[:, None, None]
    return Clip(
        frames=jnp.asarray(frames),
        labels=jnp.asarray(labels),
        slots=jnp.ones((2, 2), bool),
        present=jnp.ones((2, times, 2), bool),
        labelled=jnp.ones((2, times), bool),
        valid=jnp.ones(labels.shape, bool),
    )


def main(name: str, updates: str) -> None:
    """Trains and prints."""
    system = registry.build(name, **MODEL)
    params = registry.initialise(name, system, jax.random.key(1))
    settings = OptimiserSettings(decay=0.0, clip=1.0)
    transform = optimiser(settings, ScheduleSettings(rate=4e-3), params, system.untrained)
    mesh, clip = make_mesh(MeshSettings()), swapped_clip(FRAMES[name])
    trainer = Trainer(system, transform, mesh)
    state = create_state(params, transform, 0.0, 0, mesh)
    for step in range(int(updates)):
        state, metrics = trainer.update(state, step, [clip])
        print(json.dumps({key: float(value) for key, value in metrics.items()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
