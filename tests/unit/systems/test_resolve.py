"""The three policies: what is known, what was given, and what comes out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.geometry import Geometry
from vos_jax.systems import resolve
from vos_jax.systems.base import Given

SIZE = (16, 24)
GEOMETRY = Geometry.unchanged(SIZE)
SLOTS = 20


def draw_scores(policy, batch=2, seed=0):
    """Random scores of a policy's shape at stride 4."""
    shape = {"softmax": (10 + SLOTS,), "odds": (SLOTS,), "labels": (2, 11)}[policy]
    rng = np.random.default_rng(seed)
    return jnp.asarray(3 * rng.normal(size=(batch, 4, 6, *shape)), jnp.float32)


def known_slots(*slots, batch=2):
    """Flags of the named slots, in every video."""
    return jnp.zeros((batch, SLOTS), bool).at[:, list(slots)].set(True)


def square(slot, top=2, left=3, side=6, batch=2, flagged=True):
    """A given square of one slot."""
    masks = jnp.zeros((batch, *SIZE, SLOTS))
    masks = masks.at[:, top : top + side, left : left + side, slot].set(1.0)
    return Given(masks=masks, slots=known_slots(slot, batch=batch) & flagged)


POLICIES = {"softmax": resolve.softmax, "odds": resolve.odds, "labels": resolve.labels}
every_policy = pytest.mark.parametrize("policy", POLICIES)


@every_policy
def test_planes_sum_to_one_and_labels_follow_them(policy):
    masks = POLICIES[policy](draw_scores(policy), known_slots(0, 1, 12), None, GEOMETRY)
    np.testing.assert_allclose(masks.memory.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(masks.probabilities.sum(-1), 1, atol=1e-5)
    assert masks.memory.shape == (2, *SIZE, SLOTS + 1)
    assert masks.labels.dtype == jnp.uint8
    if policy != "softmax":
        np.testing.assert_array_equal(masks.labels, masks.probabilities.argmax(-1))


@every_policy
def test_unknown_slots_take_no_part(policy):
    known = known_slots(1, 3)
    scores = draw_scores(policy)
    masks = POLICIES[policy](scores, known, None, GEOMETRY)
    assert set(np.unique(masks.labels)) <= {0, 2, 4}
    np.testing.assert_allclose(masks.memory[..., 6:], 0, atol=1e-4)


@every_policy
def test_nothing_known_is_background(policy):
    masks = POLICIES[policy](draw_scores(policy), known_slots(), None, GEOMETRY)
    assert not np.any(masks.labels)
    np.testing.assert_array_equal(masks.memory[..., 0], 1)
    assert np.isfinite(masks.probabilities).all()


@every_policy
def test_given_without_slots_is_bitwise_nothing_given(policy):
    scores, known = draw_scores(policy), known_slots(0, 2)
    nothing = Given(masks=jnp.zeros((2, *SIZE, SLOTS)), slots=known_slots())
    plain = jax.jit(POLICIES[policy], static_argnums=3)(scores, known, None, GEOMETRY)
    empty = jax.jit(POLICIES[policy], static_argnums=3)(scores, known, nothing, GEOMETRY)
    for ours, theirs in zip(jax.tree.leaves(plain), jax.tree.leaves(empty), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@every_policy
@pytest.mark.parametrize("read", [True, False])
def test_first_masks_are_what_comes_out(policy, read):
    given = square(0)
    scores = draw_scores(policy) if read else None
    masks = POLICIES[policy](scores, known_slots(), given, GEOMETRY)
    np.testing.assert_array_equal(masks.labels, given.masks[..., 0].astype(jnp.uint8))
    np.testing.assert_allclose(masks.memory[..., 1:], given.masks, atol=1e-6)


@every_policy
def test_given_pixels_win_and_given_slots_are_cleared_elsewhere(policy):
    scores, known = draw_scores(policy), known_slots(0, 1)
    given = square(1)
    masks = POLICIES[policy](scores, known, given, GEOMETRY)
    inside = given.masks[..., 1] > 0
    assert (np.asarray(masks.labels)[inside] == 2).all()
    assert not (np.asarray(masks.labels)[~inside] == 2).any()


@every_policy
def test_planes_without_slots_are_laid_over(policy):
    scores, known = draw_scores(policy), known_slots(0, 1)
    plain = np.asarray(POLICIES[policy](scores, known, None, GEOMETRY).labels)
    given = square(1, flagged=False)
    masks = POLICIES[policy](scores, known, given, GEOMETRY)
    inside = np.asarray(given.masks[..., 1] > 0)
    assert (np.asarray(masks.labels)[inside] == 2).all()
    if policy != "odds":
        np.testing.assert_array_equal(np.asarray(masks.labels)[~inside], plain[~inside])


@every_policy
def test_videos_of_a_batch_do_not_see_each_other(policy):
    scores = draw_scores(policy)
    known = known_slots(0, 1).at[0].set(False)
    together = POLICIES[policy](scores, known, None, GEOMETRY)
    alone = POLICIES[policy](scores[1:], known[1:], None, GEOMETRY)
    np.testing.assert_allclose(together.memory[1:], alone.memory, atol=1e-6)
    assert not np.any(together.labels[0])


@every_policy
def test_output_size_is_the_frames(policy):
    geometry = Geometry(frame=(11, 17), resized=SIZE, network=SIZE)
    masks = POLICIES[policy](draw_scores(policy), known_slots(0), None, geometry)
    assert masks.labels.shape == (2, 11, 17)
    assert masks.memory.shape[1:3] == SIZE


def test_odds_of_one_object_sharpen_its_logit():
    logit = jnp.full((1, 4, 6, 1), 0.8)
    masks = resolve.odds(logit, jnp.ones((1, 1), bool), None, GEOMETRY)
    np.testing.assert_allclose(masks.memory[..., 1], jax.nn.sigmoid(1.6), rtol=1e-5)


def test_an_object_must_beat_each_background_channel_not_their_sum():
    scores = jnp.zeros((1, 4, 6, 11)).at[..., 10].set(0.1)
    masks = resolve.softmax(scores, jnp.ones((1, 1), bool), None, GEOMETRY)
    assert (masks.labels == 1).all()
    assert (masks.probabilities[..., 0] > 0.8).all()


def test_a_closed_group_is_as_good_as_absent():
    scores = draw_scores("labels")
    known = known_slots(0, 4)
    both = resolve.labels(scores, known, None, GEOMETRY)
    one = resolve.labels(scores[..., :1, :], known[:, :10], None, GEOMETRY)
    np.testing.assert_array_equal(both.labels, one.labels)
    np.testing.assert_allclose(both.probabilities[..., :11], one.probabilities, atol=1e-6)


def test_two_groups_multiply_their_backgrounds_and_weigh_odds():
    scores = draw_scores("labels", batch=1)
    known = known_slots(*range(20), batch=1)
    geometry = Geometry(frame=(4, 6), resized=(4, 6), network=(4, 6))
    masks = resolve.labels(scores, known, None, geometry)
    single = np.asarray(jax.nn.softmax(scores, -1))
    planes = np.concatenate(
        [single[..., :, 0].prod(-1)[..., None], single[..., 0, 1:], single[..., 1, 1:]], -1
    ).clip(1e-5, 1 - 1e-5)
    odds = planes / (1 - planes)
    np.testing.assert_allclose(masks.probabilities, odds / odds.sum(-1, keepdims=True), rtol=1e-4)


def test_bare_first_masks_have_no_background():
    geometry = Geometry(frame=(24, 36), resized=SIZE, network=SIZE)
    given, known = square(0), known_slots()
    plain = resolve.softmax(None, known, given, geometry)
    bare = resolve.softmax(None, known, given, geometry, bare_first=True)
    assert (bare.labels == 1).sum() > (plain.labels == 1).sum()


@every_policy
def test_soft_memory_passes_gradient_hard_memory_none(policy):
    def total(scores):
        masks = POLICIES[policy](scores, known_slots(0, 1), None, GEOMETRY)
        return (masks.memory[..., 1] ** 2).sum()

    gradient = jax.grad(total)(draw_scores(policy))
    assert np.isfinite(gradient).all()
    assert bool(np.any(gradient)) == (policy != "labels")
