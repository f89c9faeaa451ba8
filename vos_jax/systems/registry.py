"""The systems by name: how one is built, initialised, and which official names it has."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vos_jax.checkpoints.names import NameMap
from vos_jax.core.errors import ConfigError
from vos_jax.systems.aot.model import Aot
from vos_jax.systems.aot.weights import aot_names
from vos_jax.systems.base import Segmenter
from vos_jax.systems.hodor import weights as hodor_weights
from vos_jax.systems.hodor.model import Hodor
from vos_jax.systems.mask_propagation import weights as mask_propagation_weights
from vos_jax.systems.mask_propagation.model import MaskPropagation
from vos_jax.systems.rde import weights as rde_weights
from vos_jax.systems.rde.model import Rde, Stcn
from vos_jax.systems.vishv import weights as vishv_weights
from vos_jax.systems.vishv.model import StemSeg
from vos_jax.systems.vishv.vishv import Vishv


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the library knows of one system.

    Attributes:
        module: the Flax module; its fields are the settings.
        names: official tensor names of the whole network, or what makes them of a configured one.
        finish: what is done to freshly drawn parameters.
    """

    module: type[Segmenter]
    names: NameMap | Callable[[Segmenter], NameMap]
    finish: Callable[[Mapping[str, Any]], dict[str, Any]] = dict


SYSTEMS = {
    "aot": Entry(Aot, lambda module: aot_names(module.backbone, module.family)),
    "hodor": Entry(Hodor, hodor_weights.HODOR, hodor_weights.tie_layers),
    "mask_propagation": Entry(
        MaskPropagation,
        mask_propagation_weights.MASK_PROPAGATION,
        mask_propagation_weights.begin_alike,
    ),
    "rde": Entry(Rde, rde_weights.RDE),
    "stcn": Entry(Stcn, rde_weights.STCN),
    "stem_seg": Entry(StemSeg, vishv_weights.STEM_SEG),
    "vishv": Entry(Vishv, vishv_weights.VISHV),
}


def entry(system: str) -> Entry:
    """The entry of a system; raises `ConfigError` for an unknown name."""
    if system not in SYSTEMS:
        raise ConfigError(f"unknown system {system!r}: choose one of {', '.join(SYSTEMS)}")
    return SYSTEMS[system]


def build(system: str, **settings: Any) -> Segmenter:
    """Makes a configured system.

    Args:
        system: its name.
        settings: constructor arguments of its module; lists (JSON has no tuples) become tuples,
            so that the module can select a compiled program.

    Raises:
        ConfigError: the system or a setting is unknown.
    """
    module = entry(system).module
    known = [
        field.name for field in dataclasses.fields(module) if field.name not in ("parent", "name")
    ]
    for name in settings:
        if name not in known:
            raise ConfigError(f"{system} has no setting {name!r}: it has {', '.join(known)}")
    hashable = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return module(**hashable)


def initialise(
    system: str, module: Segmenter, key: jax.Array, size: tuple[int, int] = (64, 64)
) -> dict[str, Any]:
    """Draws the parameters of a system, compiled.

    Args:
        system: its name.
        module: as built.
        key: random key.
        size: of the frames it is run on to find the shapes.

    Returns:
        The nested dict of parameters.
    """

    def draw(key):
        frames = jnp.zeros((1, *size, 3), jnp.uint8)
        variables = module.init({"params": key}, frames, method="initialise")
        return entry(system).finish(variables["params"])

    return jax.jit(draw)(key)
