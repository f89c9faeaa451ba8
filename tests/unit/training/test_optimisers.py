"""Adam, AdamW and SGD against their definition; who decays, who stands still, who is clipped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.training.optimisers import moving_average, named, optimiser, paths
from vos_jax.training.settings import OptimiserSettings, ScheduleSettings

RATE = 0.1
PARAMS = {
    "encoder": {"dense": {"kernel": np.full((2, 2), 3.0), "bias": np.full(2, 2.0)}},
    "decoder": {"norm": {"scale": np.full(2, 1.0)}},
    "unused": {"kernel": np.full((2,), 5.0)},
}
PARAMS = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), PARAMS)


def gradients(step: int):
    """Different for every leaf and update."""
    numbers = iter(range(10))
    return jax.tree.map(lambda x: jnp.full_like(x, np.sin(step + next(numbers))), PARAMS)


def trained(updates=3, untrained=(), given=gradients, **changes):
    """Parameters after some updates."""
    settings = OptimiserSettings(**changes)
    transform = optimiser(settings, ScheduleSettings(rate=RATE), PARAMS, untrained)
    params, state = PARAMS, transform.init(PARAMS)
    for step in range(updates):
        change, state = transform.update(given(step), state, params)
        params = optax.apply_updates(params, change)
    return params


def adamw(value, slopes, decay, rate=RATE, betas=(0.9, 0.999), eps=1e-8):
    """The definition, in float64."""
    first = second = 0.0
    for k, slope in enumerate(slopes, start=1):
        first = betas[0] * first + (1 - betas[0]) * slope
        second = betas[1] * second + (1 - betas[1]) * slope**2
        corrected = first / (1 - betas[0] ** k), second / (1 - betas[1] ** k)
        value -= rate * (corrected[0] / (np.sqrt(corrected[1]) + eps) + decay * value)
    return value


def leaves(tree):
    return dict(zip(paths(tree), jax.tree.leaves(tree), strict=True))


@pytest.mark.parametrize("path", paths(PARAMS))
@pytest.mark.parametrize("decay", [0.0, 0.01, 0.3])
def test_is_adamw_with_decay_on_everything(path, decay):
    slopes = [leaves(gradients(step))[path] for step in range(3)]
    expected = adamw(np.asarray(leaves(PARAMS)[path], float), slopes, decay)
    np.testing.assert_allclose(leaves(trained(decay=decay))[path], expected, rtol=1e-5)


def nesterov(value, slopes, l2, momentum):
    """PyTorch's SGD, in float64: its velocity is the first slope, not a share of it."""
    velocity = 0.0
    for slope in slopes:
        slope = slope + l2 * value
        velocity = momentum * velocity + slope
        value = value - RATE * (slope + momentum * velocity)
    return value


@pytest.mark.parametrize("path", paths(PARAMS))
def test_sgd_looks_ahead_and_decays_everything(path):
    slopes = [np.asarray(leaves(gradients(step))[path], float) for step in range(3)]
    expected = nesterov(np.asarray(leaves(PARAMS)[path], float), slopes, l2=0.1, momentum=0.8)
    moved = trained(kind="sgd", momentum=0.8, decay=0.0, l2=0.1)
    np.testing.assert_allclose(leaves(moved)[path], expected, rtol=1e-5)


def test_an_unknown_kind_of_optimiser_is_named():
    with pytest.raises(ConfigError, match="'lamb'; known are adam, sgd"):
        trained(kind="lamb")


@pytest.mark.parametrize("path", paths(PARAMS))
@pytest.mark.parametrize("l2", [0.03, 0.5])
def test_l2_is_part_of_the_gradient(path, l2):
    """One update from the sum; the second one sees the parameters that the first one left."""
    value, slopes = np.asarray(leaves(PARAMS)[path], float), []
    for updates in (1, 2):
        before = leaves(trained(updates=updates - 1, decay=0.0, l2=l2))[path]
        slopes.append(leaves(gradients(updates - 1))[path] + l2 * np.asarray(before, float))
        expected = adamw(value, slopes, 0.0)
        after = leaves(trained(updates=updates, decay=0.0, l2=l2))[path]
        np.testing.assert_allclose(after, expected, rtol=1e-5)


def test_l2_spares_what_does_not_decay_and_what_stands_still():
    plain = leaves(trained(decay=0.0))
    mixed = leaves(trained(decay=0.0, l2=0.5, no_decay=("*/bias",), frozen=(("unused/*", 0),)))
    for path, value in mixed.items():
        expected = leaves(PARAMS)[path] if path.startswith("unused") else plain[path]
        same = path.endswith("bias") or path.startswith("unused")
        assert np.array_equal(value, expected) == same


def test_parameters_no_gradient_reaches_do_not_decay():
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    after = leaves(trained(untrained=("unused/*",), given=lambda _: zero, decay=0.3))
    for path, before in leaves(PARAMS).items():
        if path == "unused/kernel":
            np.testing.assert_array_equal(after[path], before)
        else:
            np.testing.assert_allclose(after[path], before * (1 - RATE * 0.3) ** 3, rtol=1e-6)


def test_no_decay_leaves_the_matching_ones_to_their_gradient():
    with_decay, without = trained(decay=0.3), trained(decay=0.0)
    mixed = leaves(trained(decay=0.3, no_decay=("*/bias", "*norm*")))
    for path, value in mixed.items():
        same = without if path.endswith("bias") or "norm" in path else with_decay
        np.testing.assert_array_equal(value, leaves(same)[path])


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_frozen_parameters_keep_their_value_from_that_update_on(first):
    after = leaves(trained(updates=3, frozen=(("encoder/*", first),)))
    reached = leaves(trained(updates=first))
    free = leaves(trained(updates=3))
    for path, value in after.items():
        expected = reached if path.startswith("encoder") else free
        np.testing.assert_array_equal(value, expected[path])


def test_frozen_gradients_do_not_count_in_the_clipped_norm():
    def given(step):
        return {
            "encoder": {"dense": {"kernel": jnp.full((2, 2), 1e6), "bias": jnp.zeros(2)}},
            "decoder": {"norm": {"scale": jnp.array([0.3, 0.4])}},
            "unused": {"kernel": jnp.zeros(2)},
        }

    # A large eps makes the step proportional to the gradient, so that clipping shows.
    common = {"given": given, "updates": 1, "decay": 0.0, "eps": 10.0, "clip": 1.0}
    frozen = trained(frozen=(("encoder/*", 0),), **common)
    free = trained(**common)
    moved = jnp.abs(frozen["decoder"]["norm"]["scale"] - 1)
    np.testing.assert_allclose(moved, RATE * np.array([0.3, 0.4]) / 10, rtol=0.1)
    assert float(jnp.abs(free["decoder"]["norm"]["scale"] - 1).max()) < 1e-6


@pytest.mark.parametrize("clip, share", [(0.0, 1.0), (10.0, 1.0), (2.5, 0.5)])
def test_clips_by_the_global_norm(clip, share):
    def given(step):
        zero = jax.tree.map(jnp.zeros_like, PARAMS)
        return {**zero, "unused": {"kernel": jnp.array([3.0, 4.0])}}

    after = trained(given=given, updates=1, decay=0.0, eps=1e4, clip=clip)
    expected = 5 - RATE * share * np.array([3.0, 4.0]) / 1e4
    np.testing.assert_allclose(after["unused"]["kernel"], expected, rtol=1e-6)


def test_rates_scale_the_first_group_that_matches():
    rates = (("encoder/*/bias", 0.5), ("encoder/*", 0.1))
    full, scaled = leaves(trained(updates=1)), leaves(trained(updates=1, rates=rates))
    for path, before in leaves(PARAMS).items():
        factor = {"encoder/dense/bias": 0.5, "encoder/dense/kernel": 0.1}.get(path, 1.0)
        np.testing.assert_allclose(
            scaled[path] - before, factor * (full[path] - before), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize(
    "changes",
    [{"no_decay": ("nothing/*",)}, {"rates": (("nope", 0.1),)}, {"frozen": (("encodr/*", 3),)}],
)
def test_a_pattern_that_matches_nothing_is_an_error(changes):
    with pytest.raises(ConfigError, match="no parameter matches"):
        trained(**changes)


@pytest.mark.parametrize("update, decay", [(1, 2 / 11), (2, 3 / 12), (80, 0.9), (10**6, 0.9)])
def test_moving_average_moves_by_one_minus_its_decay_and_faster_at_first(update, decay):
    average = moving_average({"a": jnp.array(1.0)}, {"a": jnp.array(3.0)}, 0.9, jnp.int32(update))
    assert float(average["a"]) == pytest.approx(3 - 2 * decay)


def test_the_average_of_what_does_not_move_is_exactly_that():
    still = {"a": jnp.float32(0.1)}
    for update in range(1, 50):
        assert moving_average(still, still, 0.9999, jnp.int32(update)) == still


@pytest.mark.parametrize("floor", [0.0, 0.04])
def test_factors_apply_to_the_rate_above_the_floor(floor):
    settings = OptimiserSettings(decay=0.0, rates=(("encoder/*", 0.1),))
    transform = optimiser(settings, ScheduleSettings(rate=RATE, floor=floor), PARAMS)
    updates, _ = transform.update(
        jax.tree.map(jnp.ones_like, PARAMS), transform.init(PARAMS), PARAMS
    )
    slow = floor + 0.1 * (RATE - floor)
    for path, update in leaves(updates).items():
        expected = slow if path.startswith("encoder") else RATE
        np.testing.assert_allclose(update, -expected, rtol=2e-5)


def test_paths_join_names_by_slashes():
    assert paths(PARAMS)[0] == "decoder/norm/scale"
    assert named(PARAMS, len)["unused"]["kernel"] == len("unused/kernel")


def test_defaults_are_those_of_the_hodor_recipe():
    assert dataclasses.asdict(OptimiserSettings()) == {
        "kind": "adam",
        "momentum": 0.9,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "decay": 0.01,
        "l2": 0.0,
        "no_decay": (),
        "clip": 0.0,
        "rates": (),
        "frozen": (),
        "ema": 0.0,
    }
