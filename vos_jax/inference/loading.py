"""A configured system and its parameters from a workdir, with settings changed for this run."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from jaxtyping import PyTree

from vos_jax.checkpoints.store import load_params, load_settings
from vos_jax.core.errors import CheckpointError, ConfigError
from vos_jax.systems import registry
from vos_jax.systems.base import Segmenter


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What a workdir holds for inference.

    Attributes:
        system: configured.
        params: nested dict of NumPy arrays.
        facts: name of the system, its settings, the checkpoint's step; anything JSON.
        class_names: of the classes of instances, in the order of their numbers, where known.
    """

    system: Segmenter
    params: PyTree
    facts: dict[str, Any]
    class_names: tuple[str, ...] = ()


def load_system(
    workdir: str | os.PathLike,
    step: int | None = None,
    changes: Mapping[str, Any] | None = None,
    min_image_dim: int | None = None,
) -> Loaded:
    """Loads what training or conversion left in a workdir.

    Args:
        workdir: has `config.json` and `checkpoints`.
        step: of the checkpoint; None takes the last.
        changes: constructor arguments that differ from the stored ones.
        min_image_dim: short side of frames; a limit of the long side changes in proportion.

    Raises:
        MissingInputError: no workdir.
        CheckpointError: no usable checkpoint, or one that is only an initialisation.
        ConfigError: an unknown setting, or a system without a short side.
    """
    settings = load_settings(workdir)
    if settings.get("partial"):
        raise CheckpointError(
            f"{workdir}: holds an initialisation, not a whole network; train it first"
        )
    if "system" not in settings:
        raise CheckpointError(f"{workdir}: its config.json names no system; convert or train anew")
    name = settings["system"]
    model = {**settings.get("model", {}), **(changes or {})}
    system = registry.build(name, **model)
    if min_image_dim is not None:
        model |= _scaled(system, name, min_image_dim)
        system = registry.build(name, **model)
    params, step = load_params(workdir, step)
    facts = {"system": name, "model": model, "step": step}
    return Loaded(system, params, facts, tuple(settings.get("class_names", ())))


def _scaled(system: Segmenter, name: str, min_image_dim: int) -> dict[str, int]:
    if not hasattr(system, "min_dim") or min_image_dim < 1:
        raise ConfigError(f"--min_image_dim {min_image_dim} does not suit {name}")
    if not hasattr(system, "max_dim"):
        return {"min_dim": min_image_dim}
    longest = round(min_image_dim * system.max_dim / system.min_dim)
    return {"min_dim": min_image_dim, "max_dim": longest}
