"""Learning rates over updates."""

import jax.numpy as jnp
import optax

from vos_jax.core.errors import ConfigError
from vos_jax.training.settings import ScheduleSettings


def learning_rate(settings: ScheduleSettings) -> optax.Schedule:
    """The rate of update number k, counted from 0.

    Warm-up: warmup_from + min(k, W) / W * (rate - warmup_from), W = `warmup_steps`. What of it
    lies above `floor` is multiplied by "constant": 1; "step": factor ** (number of drops <= k);
    "cosine": from 1 at W down to `factor` at `length`, constant afterwards; "power":
    (1 - (k - W) / (length - W + 1)) ** `power` from W on, AOT's rule; "exponential":
    factor ** (max(0, k + 1 - start) / (length - start)), STEm-Seg's rule, which goes on falling.

    Args:
        settings: the schedule.

    Returns:
        A function of the update number.

    Raises:
        ConfigError: unknown kind, or one that ends before it, or the warm-up, begins.
    """
    kinds = {
        "constant": _constant,
        "step": _step,
        "cosine": _cosine,
        "power": _power,
        "exponential": _exponential,
    }
    if settings.kind not in kinds:
        raise ConfigError(f"schedule.kind is {settings.kind!r}; known are {', '.join(kinds)}")
    before = {"cosine": "warmup_steps", "power": "warmup_steps", "exponential": "start"}
    name = before.get(settings.kind)
    if name and settings.length <= getattr(settings, name):
        raise ConfigError(
            f"schedule.length = {settings.length} must lie beyond schedule.{name} = "
            f"{getattr(settings, name)}"
        )

    def schedule(count):
        warm = jnp.minimum(count, settings.warmup_steps) / max(settings.warmup_steps, 1)
        warm = warm if settings.warmup_steps else 1.0
        rate = settings.warmup_from + warm * (settings.rate - settings.warmup_from)
        return settings.floor + (rate - settings.floor) * kinds[settings.kind](settings, count)

    return schedule


def _constant(settings: ScheduleSettings, count):
    return 1.0


def _step(settings: ScheduleSettings, count):
    drops = jnp.asarray(settings.drops, jnp.int32)
    return jnp.power(settings.factor, (drops <= count).sum())


def _cosine(settings: ScheduleSettings, count):
    span = settings.length - settings.warmup_steps
    part = jnp.clip((count - settings.warmup_steps) / span, 0.0, 1.0)
    return settings.factor + (1 - settings.factor) * 0.5 * (1 + jnp.cos(jnp.pi * part))


def _power(settings: ScheduleSettings, count):
    span = settings.length - settings.warmup_steps + 1
    left = jnp.clip((settings.length + 1 - count) / span, 0.0, 1.0)
    return jnp.power(left, settings.power)


def _exponential(settings: ScheduleSettings, count):
    fallen = jnp.maximum(count + 1 - settings.start, 0) / (settings.length - settings.start)
    return jnp.power(settings.factor, fallen)
