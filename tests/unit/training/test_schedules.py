"""Learning rates: the official tables, shapes of each kind, refusals."""

import math

import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import ScheduleSettings

# parity/hodor/tables.json, learning_rate: rate of update k of the official program.
STATIC = {
    0: 1e-07,
    1: 1.0999e-07,
    2: 1.1998e-07,
    100: 1.099e-06,
    4999: 5.004001e-05,
    9999: 9.999001000000001e-05,
    10000: 0.0001,
    10001: 0.0001,
    50000: 0.0001,
    99999: 0.0001,
    100000: 1e-05,
    100001: 1e-05,
    119999: 1e-05,
    249999: 1e-05,
}
VIDEO = {
    0: 1e-08,
    1: 1.0999e-08,
    2: 1.1998e-08,
    100: 1.099e-07,
    4999: 5.004001e-06,
    9999: 9.999001e-06,
    10000: 1e-05,
    99999: 1e-05,
    100000: 1e-05,
    119999: 1e-05,
}
STATIC_SETTINGS = ScheduleSettings(
    kind="step", rate=1e-4, warmup_from=1e-7, warmup_steps=10_000, drops=(100_000,), factor=0.1
)
VIDEO_SETTINGS = ScheduleSettings(kind="constant", rate=1e-5, warmup_from=1e-8, warmup_steps=10_000)
COSINE = ScheduleSettings(kind="cosine", rate=2.0, warmup_steps=10, factor=0.05, length=110)


@pytest.mark.parametrize("update", STATIC)
def test_static_recipe_equals_the_official_table(update):
    assert math.isclose(learning_rate(STATIC_SETTINGS)(update), STATIC[update], rel_tol=2e-6)


@pytest.mark.parametrize("update", VIDEO)
def test_video_recipes_equal_the_official_table(update):
    assert math.isclose(learning_rate(VIDEO_SETTINGS)(update), VIDEO[update], rel_tol=2e-6)


@pytest.mark.parametrize(
    "update, rate",
    [(0, 0.0), (5, 1.0), (10, 2.0), (60, 2.0 * 0.525), (110, 0.1), (500, 0.1)],
)
def test_cosine_falls_from_the_warm_up_to_its_last_rate(update, rate):
    assert float(learning_rate(COSINE)(update)) == pytest.approx(rate, rel=1e-6)


POWER = ScheduleSettings(
    kind="power", rate=1.0, floor=0.2, warmup_from=0.2, warmup_steps=10, length=109, power=2.0
)


@pytest.mark.parametrize(
    "update, rate",
    [(0, 0.2), (5, 0.6), (10, 1.0), (60, 0.4), (109, 0.20008), (110, 0.2), (999, 0.2)],
)
def test_power_falls_to_the_floor_just_after_the_last_update(update, rate):
    assert float(learning_rate(POWER)(update)) == pytest.approx(rate, rel=1e-6)


EXPONENTIAL = ScheduleSettings(kind="exponential", rate=1.0, factor=0.01, start=40, length=60)


@pytest.mark.parametrize(
    "update, rate", [(0, 1.0), (38, 1.0), (39, 1.0), (40, 0.01**0.05), (59, 0.01), (79, 1e-4)]
)
def test_exponential_reaches_the_factor_at_the_last_update_and_goes_on(update, rate):
    assert float(learning_rate(EXPONENTIAL)(update)) == pytest.approx(rate, rel=1e-6)


def test_exponential_must_have_updates_to_fall_in():
    with pytest.raises(ConfigError, match="length = 40 must lie beyond schedule.start = 40"):
        learning_rate(ScheduleSettings(kind="exponential", start=40, length=40))


@pytest.mark.parametrize("kind", ["constant", "step", "cosine"])
def test_the_floor_is_left_alone_by_every_kind(kind):
    settings = ScheduleSettings(kind=kind, rate=1.0, floor=0.3, drops=(5,), factor=0.1, length=10)
    last = 1.0 if kind == "constant" else 0.3 + 0.07
    assert float(learning_rate(settings)(10)) == pytest.approx(last)


@pytest.mark.parametrize("update, drops", [(0, 0), (4, 0), (5, 1), (8, 1), (9, 2), (50, 2)])
def test_every_drop_multiplies_once(update, drops):
    settings = ScheduleSettings(kind="step", rate=1.0, drops=(5, 9), factor=0.5)
    assert float(learning_rate(settings)(update)) == pytest.approx(0.5**drops)


def test_without_warm_up_the_first_update_has_the_whole_rate():
    assert float(learning_rate(ScheduleSettings(rate=0.3))(0)) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "settings, said",
    [
        (ScheduleSettings(kind="poly"), "known are constant, step, cosine"),
        (ScheduleSettings(kind="cosine", warmup_steps=10, length=10), "beyond"),
        (ScheduleSettings(kind="power", warmup_steps=10, length=10), "beyond"),
    ],
)
def test_refuses_what_it_cannot_follow(settings, said):
    with pytest.raises(ConfigError, match=said):
        learning_rate(settings)
