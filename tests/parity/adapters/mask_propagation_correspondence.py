"""Adapter of Mask-Propagation's correspondence tool."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.correspondence.affinity import correspondence, enlarge
from vos_jax.correspondence.marks import point_map
from vos_jax.systems.mask_propagation.model import MaskPropagation
from vos_jax.systems.mask_propagation.weights import MASK_PROPAGATION


def clicked(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The affinity of two pictures, and one clicked pixel carried to the target."""
    params, _ = MASK_PROPAGATION.convert(case.weights())
    params = jax.tree.map(jnp.asarray, params)
    pictures = case.inputs["source"], case.inputs["target"]
    found = correspondence(MaskPropagation(), params, *pictures)
    weights = point_map(*case.config["click_xy"], found.source, shifted=False)
    return {
        "W": found.affinity,
        "transferred": found.transfer(weights)[None, None],
        "heatmap": found.heat_map(weights),
        "source_map": enlarge(weights, found.source),
    }


ADAPTERS = {"mask_propagation/correspondence": clicked}
