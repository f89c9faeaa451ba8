"""One update: what the gradients are, how often programs are compiled, what is predicted."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.toy_systems import toy_params
from tests.toy_training import SIZE, Learner, ToyLoader
from tests.toy_windows import ToyWindows, blocks
from vos_jax.systems.base import Clip, Verbs
from vos_jax.systems.rollout import rollout
from vos_jax.training.optimisers import optimiser
from vos_jax.training.settings import MeshSettings, OptimiserSettings, ScheduleSettings
from vos_jax.training.sharding import make_mesh
from vos_jax.training.step import Trainer, create_state, state_shapes

RATE = 0.05


def batches(count, batch=2):
    loader = ToyLoader(batch)
    return [Clip(**jax.tree.map(jnp.asarray, next(loader))) for _ in range(count)]


@pytest.fixture(scope="module")
def system():
    return Learner()


@pytest.fixture
def made(system):
    """Makes a trainer and its state; the large eps turns Adam into a scaled gradient step."""

    def make(ema=0.0):
        params = toy_params(system)
        settings = OptimiserSettings(decay=0.0, eps=1e6)
        transform = optimiser(settings, ScheduleSettings(rate=RATE * 1e6), params)
        mesh = make_mesh(MeshSettings())
        return Trainer(system, transform, mesh, ema), create_state(params, transform, ema, 3, mesh)

    return make


def by_hand(system, params, clips, step):
    """The mean gradient of micro-batches with the keys the trainer gives them."""

    def objective(params, micro, clip):
        key = jax.random.key(3)
        for number in (step, micro):
            key = jax.random.fold_in(key, number)
        verbs = Verbs(system, {"params": params}, key)
        run = rollout(verbs, clip, system.plan(step, micro))
        return verbs.losses(run, clip, step)["loss"]

    both = [jax.value_and_grad(objective)(params, *item) for item in enumerate(clips)]
    return jax.tree.map(lambda *each: sum(each) / len(each), *both)


def test_parameters_are_primed_by_the_first_clips_and_so_is_the_average(system):
    class Primed(Learner):
        def primed(self, params, clip):
            return jax.tree.map(lambda x: jnp.full_like(x, clip.frames.mean()), params)

    (clip,), params = batches(1), toy_params(system)
    transform, mesh = (
        optimiser(OptimiserSettings(), ScheduleSettings(), params),
        make_mesh(MeshSettings()),
    )
    for ema in (0.0, 0.9):
        state = create_state(params, transform, ema, 3, mesh)
        primed = Trainer(Primed(), transform, mesh, ema).primed(state, clip)
        for leaf in jax.tree.leaves((primed.params, primed.average)):
            np.testing.assert_array_equal(leaf, clip.frames.mean())
        assert (primed.average is None) == (ema == 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_update_follows_the_mean_gradient_of_its_micro_batches(system, made, count):
    trainer, state = made()
    clips, before = batches(count), jax.tree.map(np.asarray, state.params)
    loss, gradient = by_hand(system, before, clips, step=5)
    state, metrics = trainer.update(state, 5, clips)
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
    norm = np.sqrt(sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(gradient)))
    assert float(metrics["gradient_norm"]) == pytest.approx(norm, rel=1e-5)
    expected = jax.tree.map(lambda old, slope: old - RATE * slope, before, gradient)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), state.params, expected
    )


def test_one_compilation_per_distinct_plan(made):
    trainer, state = made()
    for step in range(5):
        state, _ = trainer.update(state, step, batches(2))
    assert trainer.micro_step._cache_size() == 2


def test_step_and_micro_batch_change_the_noise(made):
    clip = batches(1)
    losses = []
    for step in (0, 2, 4):
        trainer, state = made()
        losses.append(float(trainer.update(state, step, clip)[1]["loss"]))
    assert len(set(losses)) == 3


def test_the_average_lags_behind_the_parameters(made):
    trainer, state = made(ema=0.75)
    before = np.asarray(state.average["embed"]["bias"])
    state, _ = trainer.update(state, 100, batches(1))
    after = np.asarray(state.params["embed"]["bias"])
    np.testing.assert_allclose(
        state.average["embed"]["bias"], 0.75 * before + 0.25 * after, rtol=1e-6
    )
    assert made()[1].average is None


def test_the_old_state_is_given_up(made):
    trainer, state = made()
    old = jax.tree.leaves(state.params)[0]
    trainer.update(state, 0, batches(1))
    assert old.is_deleted()


def test_state_shapes_are_those_of_the_state(made):
    trainer, state = made(ema=0.5)
    mesh = make_mesh(MeshSettings())
    transform = optimiser(OptimiserSettings(), ScheduleSettings(), state.params)
    shapes = state_shapes(state.params, transform, 0.5, mesh)
    for wanted, leaf in zip(jax.tree.leaves(shapes), jax.tree.leaves(state), strict=True):
        assert (wanted.shape, wanted.dtype) == (leaf.shape, leaf.dtype)
        assert wanted.sharding.is_equivalent_to(leaf.sharding, leaf.ndim)


def test_predictions_are_one_label_map_per_visit_that_reads(system, made):
    trainer, state = made()
    (clip,) = batches(1, batch=3)
    labels = trainer.predict(state.params, clip, plan=system.plan(0, 0))
    assert [each.shape for each in labels] == [SIZE, SIZE]
    assert all(each.dtype == jnp.uint8 and int(each.max()) <= 2 for each in labels)
    again = trainer.predict(state.params, clip, plan=system.plan(0, 0))
    np.testing.assert_array_equal(np.stack(labels), np.stack(again))


def test_dense_maps_of_the_first_video_are_shown():
    """Those that a read of the clip gives, whatever the plan of the update reads."""
    system, params = ToyWindows(), {"scale": jnp.ones(())}
    frames = jnp.asarray(np.stack([blocks(4), blocks(4)[::-1]]))
    none = jnp.zeros((2, 4, 1), bool)
    clip = Clip(frames, frames[..., 0], none[:, 0], none, none[..., 0], frames[..., 0] >= 0)
    trainer = Trainer(system, optax.identity(), make_mesh(MeshSettings()))
    embedding, seediness = trainer.maps(params, clip)
    prepared = system.spec.prepare(frames[0], system.spec.unchanged((32, 48)))
    features = system.apply({"params": params}, prepared, method="encode")[None]
    maps, _ = system.apply({"params": params}, None, features, method="read")
    np.testing.assert_allclose(embedding, maps.embedding[0], rtol=1e-5)
    np.testing.assert_allclose(seediness, maps.seediness[0], rtol=1e-5)
