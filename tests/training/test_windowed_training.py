"""The training loop with a system that reads whole clips: it learns, and shows its maps."""

import json

import flax.linen as nn
import jax
import numpy as np

from tests.toy_training import toy_settings
from tests.toy_windows import ToyWindows, blocks
from vos_jax.checkpoints.names import NameMap
from vos_jax.systems import registry
from vos_jax.systems.base import Visit
from vos_jax.systems.vishv.losses import clip_losses
from vos_jax.training import loop

STEPS = 8


class Learner(ToyWindows):
    """Learns how strongly colours set pixels apart."""

    def setup(self):
        super().setup()
        self.strength = self.param("strength", nn.initializers.constant(0.3), ())

    def read(self, state, features, given=None, view=None):
        maps, trace = super().read(state, jax.lax.stop_gradient(features))
        own = {"embedding": maps.embedding, "semantic": maps.semantic}
        return maps.replace(**jax.tree.map(lambda x: self.strength * x, own)), trace

    def plan(self, step, micro):
        return (Visit(None),)

    def losses(self, run, clip, step):
        return clip_losses(run.scores[0], clip, self.free_stds)


class Blocks:
    """The same two clips of coloured blocks over and over; each is an object of a class."""

    failed = 0

    def __next__(self):
        frames = np.stack([blocks(4, seed=seed) for seed in range(2)])
        labels = np.where(frames.max(-1) > 200, 1 + frames.argmax(-1), 0).astype(np.uint8)
        return {
            "frames": frames,
            "labels": labels,
            "slots": np.ones((2, 3), bool),
            "present": np.ones((2, 4, 3), bool),
            "labelled": np.ones((2, 4), bool),
            "valid": np.ones(labels.shape, bool),
            "categories": np.array([[1, 2, 3]] * 2, np.int32),
        }

    def get_state(self):
        return {}


def test_whole_clips_train_and_their_maps_are_shown(tmp_path):
    registry.SYSTEMS["toy_windows"] = registry.Entry(Learner, NameMap([]))
    changes = {"log.images_every": STEPS, "schedule.rate": 0.05, "batch": 2}
    settings = toy_settings(system="toy_windows", steps=STEPS, **changes)
    assert loop.run(settings, tmp_path, Learner(), Blocks()) == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert {"lovasz", "smoothness", "seediness", "foreground", "semantic"} <= lines[0].keys()
    (file,) = (tmp_path / "tensorboard").glob("events*")
    text = file.read_bytes()
    assert b"predictions" in text and b"\x89PNG" in text
