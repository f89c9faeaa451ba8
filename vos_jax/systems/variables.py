"""What the compiled programs of inference take besides the frames and the state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vos_jax.core.geometry import Geometry
from vos_jax.nn.blocks import FACTORS
from vos_jax.systems.base import Segmenter

LARGE = 160 * 160
"""Pixels of the smallest frames some of whose maps a CPU convolves by transformed kernels."""


def inference_variables(
    params: PyTree, *, system: Segmenter, geometry: Geometry, frames: int = 1
) -> PyTree:
    """The variables of a video: the parameters, and on a CPU kernels transformed once.

    Transforming the kernels that `ops.convolution.winograd` takes would cost up to a tenth of the
    time of every frame.

    Args:
        params: of the system.
        system: configured.
        geometry: of the video.
        frames: that are encoded at once.
    """
    variables = {"params": params}
    if jax.default_backend() == "cpu" and frames * np.prod(geometry.network) >= LARGE:
        variables |= _factors(params, system=system, geometry=geometry, frames=frames)
    return variables


@functools.partial(jax.jit, static_argnames=("system", "geometry", "frames"))
def _factors(params: PyTree, *, system: Segmenter, geometry: Geometry, frames: int) -> PyTree:
    pictures = jnp.zeros((frames, *geometry.network, 3), jnp.uint8)
    given = {"method": "initialise", "mutable": [FACTORS]}
    return system.apply({"params": params}, pictures, **given)[1]
