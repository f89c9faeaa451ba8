"""Which cells of one picture answer for which cells of another, and maps carried along."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vos_jax.core.errors import CheckpointError, ConfigError, ImageError
from vos_jax.core.geometry import Geometry, Size, pad_to_multiple
from vos_jax.core.resize import crop, resize
from vos_jax.correspondence.pictures import STRIDE, fit, size_text
from vos_jax.systems.base import Given, Segmenter, Verbs

MOST_CELLS = 1 << 14
"""Cells of a picture; the affinity of two such pictures takes a gigabyte."""


@dataclasses.dataclass(frozen=True)
class Correspondence:
    """The affinity of two pictures.

    Attributes:
        affinity: float32 [source cells, target cells]; columns sum to 1. Cells are squares of
            16 x 16 pixels of the padded pictures, row by row.
        source: sizes of the source picture: as it came, as compared (`resized`), padded.
        target: sizes of the target picture.
    """

    affinity: np.ndarray
    source: Geometry
    target: Geometry

    @property
    def grid(self) -> Size:
        """Rows and columns of cells, of both pictures."""
        return self.source.network[0] // STRIDE, self.source.network[1] // STRIDE

    def transfer(self, maps: np.ndarray) -> np.ndarray:
        """Carries maps on the source's cells, [y, x] or [y, x, c], to the target's cells."""
        if maps.shape[:2] != self.grid:
            raise ConfigError(f"the map has {list(maps.shape)} cells, the pictures {self.grid}")
        cells = maps.reshape(-1, *maps.shape[2:])
        return np.tensordot(self.affinity.T, cells, 1).reshape(maps.shape)

    def carry(self, maps: np.ndarray) -> np.ndarray:
        """Carries maps on the source's cells to the target's pixels, [h, w] or [h, w, c]."""
        return enlarge(self.transfer(maps), self.target)

    def heat_map(self, weights: np.ndarray) -> np.ndarray:
        """Where in the target the weighted source cells [y, x] are seen: [h, w], 1 at most."""
        carried = self.carry(weights)
        return carried / (carried.max() + 1e-6)


def enlarge(maps: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Maps on a picture's cells, [y, x] or [y, x, c], at its pixels, bilinearly."""
    channels = jnp.asarray(maps, jnp.float32).reshape(*maps.shape[:2], -1)
    enlarged = np.asarray(_enlarge(channels, geometry=geometry))
    return enlarged.reshape(*enlarged.shape[:2], *maps.shape[2:])


def correspondence(
    system: Segmenter,
    params: PyTree,
    source: np.ndarray,
    target: np.ndarray,
    top_k: int = 0,
    sigma: float = 0.0,
    short_side: int = 0,
) -> Correspondence:
    """The affinity of two pictures; arguments and errors as in `correspondences`."""
    return correspondences(system, params, source, target, (top_k,), sigma, short_side)[0]


def correspondences(
    system: Segmenter,
    params: PyTree,
    source: np.ndarray,
    target: np.ndarray,
    top_ks: Sequence[int],
    sigma: float = 0.0,
    short_side: int = 0,
) -> list[Correspondence]:
    """The affinity of two pictures, read in several ways.

    The source is memorised without any mask, the target is the frame that reads it, as in
    Mask-Propagation's `try_correspondence.py`.

    Args:
        system: one whose memory is of pixels.
        params: its parameters.
        source: uint8 [h, w, 3] RGB.
        target: likewise.
        top_ks: source cells that each target cell is read from, 0 for all; an entry per result.
        sigma: spread of the kernelised memory in cells; 0 for none.
        short_side: in pixels; the source is reduced to it, the target scaled to fit inside the
            result. 0 leaves pictures as they are: padded, they must have the same size.

    Raises:
        CheckpointError: parameters that give no finite affinity.
        ConfigError: the system has no affinity, or a setting is negative.
        ImageError: the padded sizes differ, or the pictures are too large.
    """
    check_system(system)
    if min(*top_ks, sigma) < 0:
        raise ConfigError(f"top-k {min(top_ks)} and sigma {sigma}: must be 0 or more")
    frames = source.shape[:2], target.shape[:2]
    source, target = fit(source, target, short_side)
    network = _padded(source, target, short_side > 0)
    geometries = tuple(
        _centred(frame, picture.shape[:2], network)
        for frame, picture in zip(frames, (source, target), strict=True)
    )
    affinities = _affinities(
        params,
        (source[None], target[None]),
        system=system,
        geometries=geometries,
        top_ks=tuple(top_ks),
        sigma=float(sigma),
    )
    if not all(np.isfinite(affinity).all() for affinity in affinities):
        raise CheckpointError("the affinity is not finite; the parameters are damaged, train anew")
    return [Correspondence(np.asarray(affinity), *geometries) for affinity in affinities]


def check_system(system: Segmenter) -> None:
    """Raises `ConfigError` where a system keeps no memory of pixels."""
    if not hasattr(system, "affinity"):
        raise ConfigError(
            f"{type(system).__name__} keeps no memory of pixels to compare; choose the workdir of "
            "a space-time memory, for instance of mask_propagation"
        )


def _padded(source: np.ndarray, target: np.ndarray, fitted: bool) -> Size:
    """The size both are padded to; raises `ImageError` where that cannot be."""
    network, other = (pad_to_multiple(each.shape[:2], STRIDE) for each in (source, target))
    if other != network and not fitted:
        raise ImageError(
            f"the source is {size_text(source)}, the target {size_text(target)}: padded to "
            f"multiples of {STRIDE} they must have the same size; --short_side 480 fits them"
        )
    cells = network[0] * network[1] // STRIDE**2
    if cells > MOST_CELLS:
        raise ImageError(
            f"the source is {size_text(source)}, {cells} cells of {STRIDE}x{STRIDE} pixels, and "
            f"at most {MOST_CELLS} are compared; --short_side 480 makes it smaller"
        )
    return network


def _centred(frame: Size, resized: Size, network: Size) -> Geometry:
    """A picture in the middle of the padded one."""
    offset = tuple((whole - side) // 2 for whole, side in zip(network, resized, strict=True))
    return Geometry(frame=frame, resized=resized, network=network, offset=offset)


@functools.partial(jax.jit, static_argnames=("system", "geometries", "top_ks", "sigma"))
def _affinities(params, pictures, *, system, geometries, top_ks, sigma):
    """The affinities in the order of `top_ks`; the pictures are encoded once."""
    verbs = Verbs(system, {"params": params})
    network = geometries[0].network
    source, target = (
        verbs.encode(system.spec.prepare(picture, geometry))
        for picture, geometry in zip(pictures, geometries, strict=True)
    )
    nothing = Given(masks=jnp.zeros((1, *network, 1)), slots=jnp.ones((1, 1), bool))
    planes = jnp.zeros((1, *network, 2)).at[..., 0].set(1)
    state = verbs.init_state(1, geometries[0], 1, 1)
    state = verbs.write(state, source, None, planes, nothing)
    return [verbs.affinity(state, target, top_k=top_k, sigma=sigma)[0] for top_k in top_ks]


@functools.partial(jax.jit, static_argnames="geometry")
def _enlarge(maps, *, geometry):
    return crop(resize(maps, geometry.network), geometry)
