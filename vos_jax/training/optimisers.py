"""AdamW with rates, decay and freezing by parameter name."""

import fnmatch
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from vos_jax.core.errors import ConfigError
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import OptimiserSettings, ScheduleSettings


def optimiser(
    settings: OptimiserSettings,
    schedule: ScheduleSettings,
    params: PyTree,
    untrained: Sequence[str] = (),
) -> optax.GradientTransformation:
    """AdamW as the references run it.

    In this order: gradients of parameters that stand still are zeroed, the rest is clipped
    by its global norm, Adam's direction, decoupled decay, factors per group, the rate.
    Parameters that stand still keep their value to the bit: no momentum, no decay.

    Args:
        settings: the optimiser.
        schedule: the rate.
        params: the tree that will be trained (only its paths and shapes matter).
        untrained: patterns of parameters that no gradient ever reaches. The official AdamW
            skips such tensors entirely, so they do not decay either.

    Returns:
        The transformation; its update needs the parameters.

    Raises:
        ConfigError: a pattern of the settings matches no parameter.
    """
    frozen = [*settings.frozen, *((pattern, 0) for pattern in untrained)]
    _check_patterns(settings, params)
    first_frozen = named(params, lambda path: _first_frozen(path, frozen))
    decaying = named(params, lambda path: not _matches(path, settings.no_decay))
    factors = named(params, lambda path: _factor(path, settings.rates))
    return optax.chain(
        _stand_still(first_frozen),
        optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity(),
        optax.scale_by_adam(*settings.betas, eps=settings.eps),
        optax.add_decayed_weights(settings.decay, mask=decaying),
        _scale_each(factors),
        optax.scale_by_learning_rate(learning_rate(schedule)),
        _stand_still(first_frozen),
    )


def paths(params: PyTree) -> list[str]:
    """Paths of all parameters, joined by slashes, in the order of `jax.tree.leaves`."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def named(params: PyTree, function: Callable[[str], object]) -> PyTree:
    """The tree with every parameter replaced by a function of its path."""
    treedef = jax.tree.structure(params)
    return jax.tree.unflatten(treedef, [function(path) for path in paths(params)])


def moving_average(average: PyTree, params: PyTree, decay: float) -> PyTree:
    """One step of the exponential moving average: decay * average + (1 - decay) * params."""
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params)


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


def _scale_each(factors: PyTree) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, params: jax.tree.map(lambda u, factor: factor * u, updates, factors)
    )
