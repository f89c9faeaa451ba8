"""What a clip of AOT is made to do, and its loss: weights over time, slots and void left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.labels import VOID
from vos_jax.systems.aot.losses import clip_losses, clip_plan
from vos_jax.systems.base import Clip, Visit
from vos_jax.systems.rollout import Run

RNG = np.random.default_rng(0)
SIZE, SLOTS = (13, 17), 4
SETTINGS = {"aux_steps": 100, "end_warm": 50, "top_p": 0.2, "align_corners": True}


@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("frames", [3, 5])
def test_plan(auxiliary, own, frames):
    plan = clip_plan(auxiliary, own, frames)
    assert plan[0] == Visit(0, "given", read=False)
    later = [*range(1, frames)]
    assert [visit.frame for visit in plan[1:]] == ([0] if auxiliary else []) + later
    assert {visit.feed for visit in plan[1 - frames : -1]} == {"own" if own else "truth"}
    assert plan[-1].feed is None and all(visit.read for visit in plan[1:])


def made(plan, seed=0):
    """A run of random scores, and its clips: two objects of four, and one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (2, 5, *SIZE)).astype(np.uint8)
    labels[1] = labels[1] > 0
    labels[:, :, 0] = VOID
    scores = [jnp.asarray(rng.normal(size=(2, 5, 6, 1, SLOTS + 1)), jnp.float32) for _ in plan]
    scores = [s if visit.read else None for s, visit in zip(scores, plan, strict=True)]
    clip = Clip(
        frames=jnp.zeros((2, 5, *SIZE, 3), jnp.uint8),
        labels=jnp.asarray(labels),
        slots=jnp.asarray(np.arange(SLOTS) < np.array([[2], [1]])),
        present=jnp.ones((2, 5, SLOTS), bool),
        labelled=jnp.ones((2, 5), bool),
        valid=jnp.ones((2, 5, *SIZE), bool),
    )
    return Run(tuple(scores), (None,) * len(plan), None, None, plan), clip


@jax.jit
def compiled(run, clip, step):
    return clip_losses(run, clip, step, **SETTINGS)


def losses_of(run, clip, step=0):
    return {name: float(x) for name, x in compiled(run, clip, step).items()}


@pytest.mark.parametrize("step, weight", [(0, 1.0), (25, 0.75), (100, 0.0), (150, 0.0)])
def test_the_loss_is_the_mean_of_later_frames_and_the_weighted_first(step, weight):
    run, clip = made(clip_plan(True, False))
    losses = losses_of(run, clip, step)
    later = np.mean([losses[f"loss_{frame}"] for frame in range(1, 5)])
    assert losses["loss"] == pytest.approx(later + losses["auxiliary"], rel=1e-5)
    without = run.replace(scores=(None, None, *run.scores[2:]))
    alone = losses_of(without, clip, step)
    assert alone["auxiliary"] == 0 and alone["loss"] == pytest.approx(later, rel=1e-5)
    first = run.replace(scores=(None, *[run.scores[1]] * 5))
    other = clip.replace(labels=jnp.repeat(clip.labels[:, :1], 5, 1))
    frame = losses_of(first, other, step)["loss_1"]
    assert losses["auxiliary"] == pytest.approx(weight * frame, rel=1e-5, abs=1e-7)


def test_slots_without_object_and_void_pixels_do_not_matter():
    run, clip = made(clip_plan(True, False))
    loss = losses_of(run, clip)
    other = [s if s is None else s.at[1, ..., 2:].add(7.0).at[..., 3:].add(5.0) for s in run.scores]
    assert losses_of(run.replace(scores=tuple(other)), clip) == loss

    def total(scores):
        return compiled(run.replace(scores=scores), clip, 0)["loss"]

    gradients = jax.grad(total)(run.scores)
    for gradient in gradients[1:]:
        assert np.isfinite(gradient).all() and (gradient[..., 3:] == 0).all()
        assert (gradient[0, ..., :3] != 0).any() and (gradient[1, ..., :2] != 0).any()


def test_a_perfect_prediction_costs_little_and_overlaps_wholly():
    plan = clip_plan(False, True)
    run, clip = made(plan)
    sure = 50 * jax.nn.one_hot(clip.labels, SLOTS + 1)[..., None, :]
    scores = (None, *(sure[:, frame] for frame in range(1, 5)))
    losses = losses_of(run.replace(scores=scores), clip)
    assert losses["loss"] < 1e-5 and losses["iou"] == 1.0
    nothing = (None, *[jnp.zeros_like(sure[:, 0]).at[..., 0].set(50)] * 4)
    assert losses_of(run.replace(scores=nothing), clip)["iou"] < 0.01


@pytest.mark.parametrize("step, share", [(0, 1.0), (25, 0.6), (50, 0.2), (90, 0.2)])
def test_the_share_of_pixels_falls_to_the_hardest(step, share):
    run, clip = made(clip_plan(False, False))
    losses = losses_of(run, clip, step)
    assert losses["p"] == pytest.approx(share)
    if step:
        assert losses["loss"] > losses_of(run, clip, 0)["loss"]
