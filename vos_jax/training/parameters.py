"""The parameters a run starts from, and what it says about them."""

from collections.abc import Sequence
from pathlib import Path

import jax
from clu import parameter_overview
from jaxtyping import PyTree

from vos_jax.checkpoints.store import CHECKPOINTS, load_params
from vos_jax.checkpoints.transfer import initialise_from
from vos_jax.core.errors import CheckpointError
from vos_jax.systems import registry
from vos_jax.systems.base import Segmenter
from vos_jax.training.logging import say
from vos_jax.training.optimisers import paths
from vos_jax.training.settings import Settings

OVERVIEW = "parameters.txt"


def parameter_shapes(name: str, system: Segmenter) -> PyTree:
    """Shapes and types of a system's parameters."""
    return jax.eval_shape(lambda key: registry.initialise(name, system, key), jax.random.key(0))


def initial_parameters(settings: Settings, system: Segmenter) -> PyTree:
    """Parameters drawn from the seed; what `init_from` has of them replaces the draw.

    Raises:
        MissingInputError: there is no such workdir.
        CheckpointError: it has no checkpoint, or none of its parameters fits.
    """
    key = jax.random.key(settings.seed)
    params = registry.initialise(settings.system, system, key)
    if not settings.init_from:
        say("config.init_from is '': training from scratch")
        return params
    untouched = set(paths(params))
    for number, name in enumerate(map(str.strip, settings.init_from.split(","))):
        source, step = _load(Path(name))
        transfer = initialise_from(params, source, jax.random.fold_in(key, number))
        taken = transfer.loaded + transfer.widened
        if not taken:
            raise CheckpointError(
                f"{name}: none of its {len(transfer.unused)} parameters fits {settings.system}; "
                "check config.init_from and config.model"
            )
        params = transfer.params
        untouched -= set(taken)
        say(f"loaded {len(taken)} parameters of {name}, update {step}")
        _list("in it, unused", transfer.unused)
        _list("with new input channels, drawn orthogonal", transfer.widened)
    _list("not in it" if not number else "in none of them", sorted(untouched))
    return params


def _list(reason: str, names: Sequence[str]) -> None:
    for path in names:
        say(f"  {reason}: {path}")


def write_overview(workdir: Path, shapes: PyTree) -> None:
    """Writes a table of all parameters and says their number."""
    if jax.process_index() == 0:
        table = parameter_overview.get_parameter_overview(shapes, include_stats=False)
        (workdir / OVERVIEW).write_text(table + "\n")
    leaves = jax.tree.leaves(shapes)
    total = sum(leaf.size for leaf in leaves)
    say(f"{total:,} parameters in {len(leaves)} tensors, listed in {workdir / OVERVIEW}")


def _load(path: Path):
    """Parameters of a workdir, or of one checkpoint WORKDIR/checkpoints/STEP."""
    if path.parent.name == CHECKPOINTS and path.name.isdecimal():
        return load_params(path.parents[1], int(path.name))
    return load_params(path)
