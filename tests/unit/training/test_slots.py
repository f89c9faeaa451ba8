"""Objects in other slots: the same clips after undoing it, every slot used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.toy_systems import Toy
from vos_jax.core.labels import VOID
from vos_jax.systems.base import Clip
from vos_jax.training.optimisers import optimiser
from vos_jax.training.settings import MeshSettings, OptimiserSettings, ScheduleSettings
from vos_jax.training.sharding import make_mesh
from vos_jax.training.slots import move_slots, shuffle_slots
from vos_jax.training.step import Trainer, create_state

RNG = np.random.default_rng(0)
SLOTS = 5


def clip_of(given=False):
    labels = RNG.integers(0, 4, (2, 3, 8, 8)).astype(np.uint8)
    labels[:, :, 0] = VOID
    slots = np.arange(SLOTS) < np.array([[3], [2]])
    planes = RNG.integers(0, 255, (2, 8, 8, SLOTS)).astype(np.uint8)
    return Clip(
        frames=jnp.zeros((2, 3, 8, 8, 3), jnp.uint8),
        labels=jnp.asarray(np.where((labels < VOID) & (labels > 2), 0, labels)),
        slots=jnp.asarray(slots),
        present=jnp.asarray(slots[:, None] & (RNG.random((2, 3, SLOTS)) < 0.5)),
        labelled=jnp.ones((2, 3), bool),
        valid=jnp.ones((2, 3, 8, 8), bool),
        given=jnp.asarray(planes) if given else None,
        categories=jnp.asarray(RNG.integers(0, 9, (2, SLOTS))) if given else None,
    )


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("given", [False, True])
def test_slot_s_is_found_in_its_target(given):
    clip, target = clip_of(given), jnp.array([[3, 0, 4, 1, 2], [1, 2, 3, 4, 0]])
    moved = move_slots(clip, target)
    assert moved.labels.dtype == jnp.uint8
    for video, row in enumerate(np.asarray(target)):
        for slot, new in enumerate(row):
            np.testing.assert_array_equal(
                moved.labels[video] == new + 1, clip.labels[video] == slot + 1
            )
            assert moved.slots[video, new] == clip.slots[video, slot]
            np.testing.assert_array_equal(
                moved.present[video, :, new], clip.present[video, :, slot]
            )
            if given:
                np.testing.assert_array_equal(
                    moved.given[video, ..., new], clip.given[video, ..., slot]
                )
                assert moved.categories[video, new] == clip.categories[video, slot]
    for value in (0, VOID):
        np.testing.assert_array_equal(moved.labels == value, clip.labels == value)
    same(move_slots(moved, jnp.argsort(target, -1)), clip)


def test_the_identity_changes_nothing():
    clip = clip_of(given=True)
    same(move_slots(clip, jnp.tile(jnp.arange(SLOTS), (2, 1))), clip)


def test_every_slot_is_drawn_and_clips_differ():
    clip = clip_of()
    drawn = [np.asarray(shuffle_slots(clip, jax.random.key(seed)).slots) for seed in range(40)]
    assert np.mean(drawn, axis=0).min() > 0.1
    np.testing.assert_array_equal(np.sum(drawn, axis=-1), [[3, 2]] * 40)
    assert len({each[0].tobytes() for each in drawn}) > 5
    assert any((each[0] != each[1]).sum() > 1 for each in drawn)


class Placed(Toy):
    """Says in which slot the first video's object is."""

    def plan(self, step, micro):
        return ()

    def losses(self, run, clip, step):
        return {"loss": run.features.mean(), "slot": jnp.argmax(clip.slots[0])}


@pytest.mark.parametrize("policy, moves", [("labels", True), ("odds", False)])
def test_training_moves_objects_where_slots_share_a_bank(policy, moves):
    system, mesh = Placed(policy=policy), make_mesh(MeshSettings())
    clip = clip_of().replace(slots=jnp.zeros((2, SLOTS), bool).at[:, 1].set(True))
    params = {"embed": {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}}
    transform = optimiser(OptimiserSettings(), ScheduleSettings(), params)
    trainer, state = Trainer(system, transform, mesh), create_state(params, transform, 0, 1, mesh)
    found = set()
    for step in range(12):
        state, metrics = trainer.update(state, step, [clip])
        found.add(int(metrics["slot"]))
    assert len(found) > 2 if moves else found == {1}
