"""Adam, AdamW and SGD with rates, decay and freezing by parameter name."""

import fnmatch
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from vos_jax.core.errors import ConfigError
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import OptimiserSettings, ScheduleSettings


def optimiser(
    settings: OptimiserSettings,
    schedule: ScheduleSettings,
    params: PyTree,
    untrained: Sequence[str] = (),
) -> optax.GradientTransformation:
    """Adam or SGD as the references run them, with both kinds of weight decay.

    In this order: gradients of parameters that stand still are zeroed, the rest is clipped
    by its global norm, classic L2 is added, Adam's or momentum's direction, decoupled decay, the
    rate of each group. Parameters that stand still keep their value to the bit: no momentum, no
    decay.

    Args:
        settings: the optimiser.
        schedule: the rate.
        params: the tree that will be trained (only its paths and shapes matter).
        untrained: patterns of parameters that no gradient ever reaches. The official AdamW
            skips such tensors entirely, so they do not decay either.

    Returns:
        The transformation; its update needs the parameters.

    Raises:
        ConfigError: an unknown kind, or a pattern of the settings that matches no parameter.
    """
    frozen = [*settings.frozen, *((pattern, 0) for pattern in untrained)]
    _check_patterns(settings, params)
    first_frozen = named(params, lambda path: _first_frozen(path, frozen))
    decaying = named(params, lambda path: not _matches(path, settings.no_decay))
    factors = named(params, lambda path: _factor(path, settings.rates))
    return optax.chain(
        _stand_still(first_frozen),
        optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity(),
        optax.add_decayed_weights(settings.l2, mask=decaying) if settings.l2 else optax.identity(),
        _direction(settings),
        optax.add_decayed_weights(settings.decay, mask=decaying),
        _scale_by_rates(factors, schedule),
        _stand_still(first_frozen),
    )


def _direction(settings: OptimiserSettings) -> optax.GradientTransformation:
    kinds = {
        "adam": lambda: optax.scale_by_adam(*settings.betas, eps=settings.eps),
        "sgd": lambda: optax.trace(settings.momentum, nesterov=True),
    }
    if settings.kind not in kinds:
        raise ConfigError(f"optimiser.kind is {settings.kind!r}; known are {', '.join(kinds)}")
    return kinds[settings.kind]()


def paths(params: PyTree) -> list[str]:
    """Paths of all parameters, joined by slashes, in the order of `jax.tree.leaves`."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def named(params: PyTree, function: Callable[[str], object]) -> PyTree:
    """The tree with every parameter replaced by a function of its path."""
    treedef = jax.tree.structure(params)
    return jax.tree.unflatten(treedef, [function(path) for path in paths(params)])


def moving_average(average: PyTree, params: PyTree, decay: float, update: Array) -> PyTree:
    """One step of the exponential moving average: d * average + (1 - d) * params.

    Args:
        average: so far.
        params: after the update.
        decay: d of late updates.
        update: n, its number from 1; d is at most (1 + n) / (10 + n) (AOT `utils/ema.py`).
    """
    kept = jnp.minimum(decay, (1 + update) / (10 + update))
    return jax.tree.map(lambda old, new: old - (1 - kept) * (old - new), average, params)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _factor(path: str, rates: Sequence[tuple[str, float]]) -> float:
    """The factor of the first pattern that matches."""
    return next((factor for pattern, factor in rates if _matches(path, [pattern])), 1.0)


def _first_frozen(path: str, frozen: Sequence[tuple[str, int]]) -> int:
    steps = [step for pattern, step in frozen if _matches(path, [pattern])]
    return min(steps, default=jnp.iinfo(jnp.int32).max)


def _check_patterns(settings: OptimiserSettings, params: PyTree) -> None:
    pairs = [*settings.rates, *settings.frozen]
    for pattern in [*settings.no_decay, *(pattern for pattern, _ in pairs)]:
        if not any(_matches(path, [pattern]) for path in paths(params)):
            raise ConfigError(f"no parameter matches {pattern!r} of config.optimiser")


def _stand_still(first_frozen: PyTree) -> optax.GradientTransformation:
    """Zeroes what belongs to parameters from their first frozen update on."""

    def init(params):
        return optax.ScaleByScheduleState(count=jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        updates = jax.tree.map(
            lambda update, first: jnp.where(state.count < first, update, 0.0),
            updates,
            first_frozen,
        )
        return updates, optax.ScaleByScheduleState(count=state.count + 1)

    return optax.GradientTransformation(init, update)


def _scale_by_rates(factors: PyTree, schedule: ScheduleSettings) -> optax.GradientTransformation:
    """Minus each parameter's rate: the floor, and its factor of what lies above."""
    rate_of, floor = learning_rate(schedule), schedule.floor

    def init(params):
        return optax.ScaleByScheduleState(count=jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        above = rate_of(state.count) - floor
        updates = jax.tree.map(
            lambda update, factor: -(floor + factor * above) * update, updates, factors
        )
        return updates, optax.ScaleByScheduleState(count=state.count + 1)

    return optax.GradientTransformation(init, update)
