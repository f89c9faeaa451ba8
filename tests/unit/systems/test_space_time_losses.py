"""Losses of the space-time memories: which frames, slots and pixels count, and how much."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from vos_jax.losses.distillation import channel_divergence
from vos_jax.systems.base import Clip, Visit
from vos_jax.systems.rde.losses import clip_losses, halved
from vos_jax.systems.rollout import Run
from vos_jax.systems.space_time import BANK, EMBEDDING, triplet
from vos_jax.systems.space_time_losses import (
    LEAST,
    clip_logits,
    disagreement,
    frame_losses,
    matching_loss,
    overlaps,
    summed_losses,
)

SIZE = (16, 32)
RNG = np.random.default_rng(3)
FIVE = (
    Visit(0, "given", read=False),
    Visit(1, "own", BANK),
    Visit(2, None, EMBEDDING),
    Visit(2, "own", BANK),
    Visit(3, "own", BANK),
    Visit(4, None, EMBEDDING),
    Visit(4, None, BANK),
)


@struct.dataclass
class Memory:
    values: object


@struct.dataclass
class Remembered:
    bank: Memory


def clip(times=5, slots=((True, True), (True, False))):
    labels = RNG.integers(0, 3, (2, times, *SIZE)).astype(np.uint8)
    labels[1] = np.minimum(labels[1], 1)
    return Clip(
        frames=jnp.zeros((2, times, *SIZE, 3), jnp.uint8),
        labels=jnp.asarray(labels),
        slots=jnp.array(slots),
        present=jnp.ones((2, times, 2), bool),
        labelled=jnp.ones((2, times), bool),
        valid=jnp.ones((2, times, *SIZE), bool),
    )


def run(plan):
    """A rollout of random scores and traces; two frames are stored."""

    def random(*shape):
        return jnp.asarray(RNG.normal(size=shape), jnp.float32)

    scores = tuple(random(2, 4, 8, 2) if visit.read else None for visit in plan)
    traces = tuple(random(2, 2, 1, 2, 6) if visit.read else None for visit in plan)
    return Run(scores, traces, None, Remembered(Memory(random(2, 2, 2, 2, 5))), plan)


def of_rde(rolled, clips, true_values=None, **changes):
    if true_values is None:
        true_values = rolled.state.bank.values[:, :, 0]
    weights = {"consistency": 3.0, "guidance": {2: 5.0, 4: 7.0}, "temperature": 2.0} | changes
    return clip_losses(rolled, clips, jnp.float32(1.0), true_values, **weights)


def test_the_sum_of_the_frames_that_were_read():
    clips, rolled = clip(3), run(triplet())
    found = summed_losses(rolled, clips, jnp.float32(0.6))
    assert set(found) == {"loss", "loss_1", "loss_2", "p", "iou_1", "iou_2"}
    logits = {t: clip_logits(rolled.scores[t], clips) for t in (1, 2)}
    each = frame_losses(logits, clips, jnp.float32(0.6))
    np.testing.assert_allclose(found["loss"], each["loss_1"] + each["loss_2"], rtol=1e-6)
    assert float(found["p"]) == pytest.approx(0.6)


def test_a_slot_without_an_object_changes_nothing_and_learns_nothing():
    clips = clip(3)
    scores = jnp.asarray(RNG.normal(size=(2, 4, 8, 2)), jnp.float32)

    def loss(scores):
        return frame_losses({1: clip_logits(scores, clips)}, clips, jnp.float32(1.0))["loss_1"]

    gradient = jax.grad(loss)(scores)
    assert (gradient[1, ..., 1] == 0).all() and (np.abs(gradient[:, ..., 0]) > 0).all()
    np.testing.assert_allclose(loss(scores), loss(scores.at[1, ..., 1].set(50.0)), rtol=1e-6)


def test_one_object_is_the_cross_entropy_of_twice_its_logit():
    """Aggregating a single object doubles its log-odds."""
    one = clip(2, ((True, False), (True, False)))
    one = one.replace(labels=jnp.minimum(one.labels, 1))
    scores = jnp.asarray(RNG.normal(size=(2, *SIZE, 2)), jnp.float32)
    found = frame_losses({1: clip_logits(scores, one)}, one, jnp.float32(1.0))["loss_1"]
    signs = 2.0 * np.asarray(one.labels[:, 1]) - 1
    expected = np.logaddexp(0, -2 * signs * np.asarray(scores[..., 0])).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_void_is_background():
    clips = clip(2)
    void = clips.replace(labels=jnp.where(clips.labels == 0, 255, clips.labels).astype(jnp.uint8))
    logits = {1: clip_logits(jnp.asarray(RNG.normal(size=(2, 4, 8, 2)), jnp.float32), clips)}
    for name, value in frame_losses(logits, clips, jnp.float32(0.5)).items():
        assert value == frame_losses(logits, void, jnp.float32(0.5))[name]


def test_overlaps_are_counted_over_the_batch():
    labels = jnp.array([[[0, 1, 2, 2]], [[1, 1, 0, 2]]])
    masks = jnp.array([[[[0, 0], [1, 0], [0, 1], [1, 0]]], [[[1, 0], [0, 1], [0, 0], [0, 1]]]])
    assert overlaps(masks > 0, labels).tolist() == [[2, 2], [4, 4]]


@pytest.mark.parametrize("right", [True, False])
def test_iou_of_right_and_of_opposite_predictions(right):
    clips = clip(2)
    planes = jax.nn.one_hot(clips.labels[:, 1], 3)[..., 1:]
    logits = {1: clip_logits(jnp.where((planes > 0) == right, 9.0, -9.0), clips)}
    found = frame_losses(logits, clips, jnp.float32(1.0))
    assert (float(found["iou_1"]) == 1) == right and (float(found["iou_2"]) == 1) == right


@pytest.mark.parametrize("losses, total", [([8.0], 4), ([8.0, 4.0], 4), ([16, 8, 4, 2], 4)])
def test_the_running_total_is_halved(losses, total):
    assert halved(losses) == total


def test_embedding_frames_and_bank_frames_of_rde():
    clips, rolled = clip(), run(FIVE)
    found = of_rde(rolled, clips, consistency=0.0, guidance={2: 0.0, 4: 0.0})
    read = {1: 1, 2: 2, 3: 4, 4: 5}
    logits = {t: clip_logits(rolled.scores[visit], clips) for t, visit in read.items()}
    each = frame_losses(logits, clips, jnp.float32(1.0))
    for t in read:
        np.testing.assert_allclose(found[f"loss_{t}"], each[f"loss_{t}"], rtol=1e-6)
    expected = sum(each[f"loss_{t}"] / 2 ** (5 - t) for t in read)
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-6)


@pytest.mark.parametrize("frame, pair, weight", [(2, (2, 3), 5), (4, (5, 6), 7)])
def test_guidance_by_the_bank(frame, pair, weight):
    rolled = run(FIVE)
    found = of_rde(rolled, clip())[f"guidance_{frame}"]
    per_slot = [
        channel_divergence(*(rolled.traces[visit][:, slot] for visit in pair), 2.0)
        for slot in range(2)
    ]
    np.testing.assert_allclose(found, weight * sum(per_slot), rtol=1e-5)


def test_consistency_looks_at_what_is_stored_of_frame_0():
    rolled = run(FIVE)
    true_values = jnp.asarray(RNG.normal(size=(2, 2, 2, 5)), jnp.float32)
    found = of_rde(rolled, clip(), true_values)["mask_consistency"]
    stored = rolled.state.bank.values[:, :, 0]
    expected = sum(channel_divergence(stored[:, s], true_values[:, s], 2.0) for s in range(2))
    np.testing.assert_allclose(found, 3 * expected, rtol=1e-5)


def test_the_divergences_are_added_whole():
    clips, rolled = clip(), run(FIVE)
    true_values = jnp.asarray(RNG.normal(size=(2, 2, 2, 5)), jnp.float32)
    found = of_rde(rolled, clips, true_values)
    parts = [found[name] for name in ("mask_consistency", "guidance_2", "guidance_4")]
    frames = halved([found[f"loss_{t}"] for t in range(1, 5)])
    np.testing.assert_allclose(found["loss"], frames + sum(parts), rtol=1e-6)


def test_three_frames_have_no_guidance():
    found = of_rde(run(triplet()), clip(3))
    assert not any(name.startswith("guidance") for name in found)
    expected = found["loss_1"] / 4 + found["loss_2"] / 2 + found["mask_consistency"]
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-6)


def keys_of(clips, entries, width=6, scale=1.0):
    """Random keys of all frames [b t y x c] and of those remembered [b o m n c], cells of 8x8."""
    rows, columns = SIZE[0] // 8, SIZE[1] // 8
    queries = RNG.normal(size=(2, clips.frames.shape[1], rows, columns, width))
    keys = RNG.normal(size=(2, 2, entries, rows * columns, width))
    return tuple(jnp.asarray(scale * each, jnp.float32) for each in (queries, keys))


def carried_by_hand(queries, keys, clips):
    """The mean, over objects and later frames, of the cross entropy of carried masks."""
    batch, objects, entries, cells, width = keys.shape
    losses = []
    for b, o in np.ndindex(batch, objects):
        if not clips.slots[b, o]:
            continue
        planes = np.asarray(clips.labels[b]) == o + 1
        means = planes.reshape(len(planes), SIZE[0] // 8, 8, SIZE[1] // 8, 8).mean((2, 4))
        means = means.reshape(len(planes), cells)
        for frame in range(1, min(entries + 1, len(planes))):
            known = np.asarray(keys[b, o, :frame], np.float64).reshape(-1, width)
            masks = means[:frame].reshape(-1)
            for cell, query in enumerate(np.asarray(queries[b, frame]).reshape(-1, width)):
                weights = np.exp(known @ query / np.sqrt(width))
                carried = LEAST + (1 - 2 * LEAST) * (weights / weights.sum()) @ masks
                true = means[frame, cell]
                entropy = true * np.log(carried) + (1 - true) * np.log(1 - carried)
                losses.append(-entropy)
    return np.mean(losses)


@pytest.mark.parametrize(("times", "entries"), [(3, 2), (3, 1), (2, 2), (5, 2)])
def test_masks_are_carried_by_the_affinity_to_every_later_frame(times, entries):
    clips = clip(times)
    queries, keys = keys_of(clips, entries, scale=2.0)
    found = jax.jit(matching_loss)(queries, keys, clips)
    np.testing.assert_allclose(found, carried_by_hand(queries, keys, clips), rtol=1e-4)


def test_keys_that_match_carry_masks_better_than_keys_that_all_match_one_cell():
    labels = np.repeat(np.repeat(RNG.integers(0, 3, (2, 1, 2, 4)), 8, axis=2), 8, axis=3)
    labels[0, 0, :, :8], labels[0, 0, :, 8:16] = 1, 2
    clips = clip(3).replace(labels=jnp.asarray(np.repeat(labels, 3, axis=1), jnp.uint8))
    own = jnp.broadcast_to(40 * jnp.eye(8), (2, 2, 2, 8, 8))
    queries = jnp.broadcast_to(jnp.eye(8).reshape(2, 4, 8), (2, 3, 2, 4, 8))
    matched = matching_loss(queries, own, clips)
    assert float(matched) < 2 * LEAST
    hub = own.at[..., 3, :].set(200)
    assert float(matching_loss(queries, hub, clips)) > 100 * float(matched)


@pytest.mark.parametrize("loss", ["matching", "disagreement"])
def test_keys_of_slots_without_an_object_are_not_looked_at(loss):
    clips = clip(3)

    def value(queries, keys):
        if loss == "matching":
            return matching_loss(queries, keys, clips)
        return disagreement(queries, keys, clips.slots)

    queries, keys = keys_of(clips, 2)
    by_query, by_key = jax.jit(jax.grad(value, argnums=(0, 1)))(queries, keys)
    assert not np.asarray(by_key[1, 1]).any() and np.asarray(by_key[1, 0]).any()
    assert np.asarray(by_query).any() == (loss == "matching")
    nobody = clips.replace(slots=jnp.zeros_like(clips.slots))
    nothing = matching_loss(queries, keys, nobody), disagreement(queries, keys, nobody.slots)
    assert [float(each) for each in nothing] == [0, 0]


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_disagreement_is_relative_to_the_keys_of_the_frame(scale):
    clips = clip(3)
    queries, keys = keys_of(clips, 2, scale=scale)
    true = queries[:, :2].reshape(2, 1, 2, -1, 6)
    assert float(disagreement(queries, jnp.broadcast_to(true, keys.shape), clips.slots)) == 0
    apart = [
        np.square(keys[b, o] - true[b, 0]).mean() / np.square(true[b, 0]).mean()
        for b, o in ((0, 0), (0, 1), (1, 0))
    ]
    np.testing.assert_allclose(disagreement(queries, keys, clips.slots), np.mean(apart), rtol=1e-5)
    twice = jnp.broadcast_to(2 * true, keys.shape)
    np.testing.assert_allclose(disagreement(queries, twice, clips.slots), 1, rtol=1e-5)
