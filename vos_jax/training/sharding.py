"""Devices as a mesh of two axes: all devices share a batch, those of `model` large parameters.

With D x M devices each has 1 / (D * M) of the clips of a batch. Where M is above 1, each has 1 / M
of every large parameter, of its gradient sum, moments and moving average (fully sharded data
parallelism; M = all devices is its plain form, less keeps the exchange of parameters within groups
of M neighbours). Parameters are gathered while a micro-batch is computed, so the clips that a
device computes, and the results up to rounding, do not depend on M.
"""

import math
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from vos_jax.core.errors import ConfigError
from vos_jax.training.settings import MeshSettings

SMALLEST_SPLIT = 2**16
"""Parameters with fewer elements are copied to every device even where `model` is above 1."""


def make_mesh(settings: MeshSettings) -> Mesh:
    """Arranges the devices of all processes.

    Raises:
        ConfigError: their number is not what the settings ask for.
    """
    devices = jax.device_count()
    data = settings.data or devices // settings.model
    if data * settings.model != devices:
        raise ConfigError(
            f"config.mesh asks for {data} x {settings.model} devices, there are {devices}"
        )
    return jax.make_mesh((data, settings.model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis shared by all devices."""
    return NamedSharding(mesh, PartitionSpec(("data", "model")))


def tree_shardings(tree: PyTree, mesh: Mesh) -> PyTree:
    """How parameters, or anything of their shapes such as moments, lie on the devices.

    With one device on the `model` axis every array is copied; otherwise a large one is split
    along its longest axis that the number of devices divides.

    Args:
        tree: arrays or their shapes.
        mesh: of all devices.

    Returns:
        The tree of shardings.
    """
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _split(leaf.shape, mesh)), tree)


def _split(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    devices = mesh.shape["model"]
    axes = [axis for axis, size in enumerate(shape) if size % devices == 0]
    if devices == 1 or math.prod(shape) < SMALLEST_SPLIT or not axes:
        return PartitionSpec()
    longest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*("model" if axis == longest else None for axis in range(len(shape))))


def global_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this process's rows of a batch onto its devices.

    Args:
        batch: arrays whose leading axes are this process's share, in the order of processes.
        mesh: of all devices.

    Returns:
        Arrays of the whole batch, each device holding its own rows.

    Raises:
        ConfigError: the clips cannot be shared equally.
    """
    clips = len(batch["frames"]) * jax.process_count()
    if clips % mesh.size:
        raise ConfigError(
            f"a micro-batch of {clips} clips (config.batch / config.accumulate) cannot be shared "
            f"equally by {mesh.size} devices"
        )
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }
