"""The smallest Mask-Propagation, untrained, in a workdir."""

from pathlib import Path

import jax
import numpy as np

from vos_jax.checkpoints.store import Checkpoint, Store, save_settings
from vos_jax.systems import registry

MODEL = {
    "backbone": "small",
    "channels": 16,
    "key_channels": 16,
    "value_channels": 16,
    "decoder_channels": (16, 16),
}


def untrained_workdir(folder: Path) -> Path:
    """Writes random parameters, whose network runs and finds nothing; returns the folder."""
    module, rng = registry.build("mask_propagation", **MODEL), np.random.default_rng(0)
    shapes = jax.eval_shape(
        lambda key: registry.initialise("mask_propagation", module, key), jax.random.key(0)
    )
    params = jax.tree.map(lambda leaf: 0.2 * rng.standard_normal(leaf.shape, np.float32), shapes)
    save_settings(folder, {"system": "mask_propagation", "model": MODEL})
    with Store(folder) as store:
        store.save(0, Checkpoint(params=params))
    return folder
