"""Attention of every cell of a map to the window around it in another map (AOT, DeAOT).

A window has w = (2 r + 1)^2 offsets, row by row from (-r, -r). The score of query cell p at an
offset is q(p) k(p + offset) / sqrt(d) plus what `relative` holds for the two; offsets that leave
the map have no weight. `plain_local_attention` follows the equation offset by offset;
`local_attention` computes the same from tiles of the queries, each against the patch of keys that
its windows cover. Agrees with `networks/layers/attention.py` (MultiheadLocalAttentionV2,
LocalGatedPropagation) of AOT.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

OUTSIDE = -1e8
TILE = 8
"""Side of a tile: with the published radius of 7 a patch is 22 cells wide."""


def local_weights(
    query: Float[Array, "b y x h d"],
    key: Float[Array, "b y x h d"],
    relative: Float[Array, "b y x h w"],
) -> Float[Array, "b y x h w"]:
    """Weights of a window's cells for every query cell and head, in float32.

    Args:
        query: projected queries, not yet scaled.
        key: projected keys.
        relative: what is added to the scores at every offset.
    """
    radius = radius_of(relative)
    scaled = query * query.shape[-1] ** -0.5
    scores = [
        jnp.einsum("byxhd,byxhd->byxh", scaled, part, preferred_element_type=jnp.float32)
        for part in _shifted(key, radius)
    ]
    return _softmax(jnp.stack(scores, -1), relative, _inside(query.shape[1:3], radius))


def plain_local_attention(
    query: Float[Array, "b y x h d"],
    key: Float[Array, "b y x h d"],
    value: Float[Array, "b y x h e"],
    relative: Float[Array, "b y x h w"],
    relative_value: Float[Array, "h e w"] | None = None,
) -> Float[Array, "b y x h e"]:
    """What every query cell gathers from its window, offset by offset.

    Args:
        query: as for `local_weights`.
        key: as for `local_weights`.
        value: what is gathered.
        relative: as for `local_weights`.
        relative_value: what is gathered besides at every offset; None is nothing.
    """
    weights = local_weights(query, key, relative).astype(value.dtype)
    total = jnp.zeros_like(value)
    for number, part in enumerate(_shifted(value, radius_of(relative))):
        total += weights[..., number, None] * part
    return total + _own(weights, relative_value)


def local_attention(
    query: Float[Array, "b y x h d"],
    key: Float[Array, "b y x h d"],
    value: Float[Array, "b y x h e"],
    relative: Float[Array, "b y x h w"],
    relative_value: Float[Array, "h e w"] | None = None,
) -> Float[Array, "b y x h e"]:
    """As `plain_local_attention`, with matrix products of tiles and patches.

    A CPU takes one tile after the other, whose patch stays in its cache; other devices take all
    at once. Gradients recompute what a tile needs.

    Args:
        query: as for `local_weights`.
        key: as for `local_weights`.
        value: as for `plain_local_attention`.
        relative: as for `local_weights`.
        relative_value: as for `plain_local_attention`.
    """
    b, y, x, h, _ = query.shape
    radius = radius_of(relative)
    relative = jnp.where(_inside((y, x), radius), relative.astype(jnp.float32), OUTSIDE)
    rows, columns = (-(-side // TILE) for side in (y, x))
    missing = ((0, rows * TILE - y), (0, columns * TILE - x))
    around = [(radius, radius + more) for _, more in missing]
    keys, values = (_by_head(_padded(part, around)) for part in (key, value))

    def tiles(part: Array) -> Array:
        """[rows * columns, b, h, TILE, TILE, c] of a map."""
        part = _padded(part, missing).reshape(b, rows, TILE, columns, TILE, h, part.shape[-1])
        return part.transpose(1, 3, 0, 5, 2, 4, 6).reshape(-1, b, h, TILE, TILE, part.shape[-1])

    @jax.checkpoint
    def one_tile(item):
        query, relative, top, left = item
        side = TILE + 2 * radius
        patches = tuple(
            jax.lax.dynamic_slice(part, (0, 0, top, left, 0), (b, h, side, side, part.shape[-1]))
            for part in (keys, values)
        )
        # Copied out first: products that read through the slice would read cell by cell.
        return _tile(query, *jax.lax.optimization_barrier(patches), relative, relative_value)

    top, left = (TILE * part.ravel() for part in np.mgrid[:rows, :columns])
    items = (tiles(query), tiles(relative), jnp.asarray(top), jnp.asarray(left))
    out = jax.lax.platform_dependent(
        items, cpu=lambda items: jax.lax.map(one_tile, items), default=jax.vmap(one_tile)
    )
    out = out.reshape(rows, columns, b, h, TILE, TILE, -1).transpose(2, 0, 4, 1, 5, 3, 6)
    return out.reshape(b, rows * TILE, columns * TILE, h, -1)[:, :y, :x]


def _tile(
    query: Float[Array, "b h t t d"],
    key: Float[Array, "b h p p d"],
    value: Float[Array, "b h p p e"],
    relative: Float[Array, "b h t t w"],
    relative_value: Float[Array, "h e w"] | None,
) -> Float[Array, "b h t t e"]:
    """A tile against the patch of keys and values around it."""
    side = key.shape[2]
    window = side - TILE + 1
    query, key, value, relative = (
        part.reshape(*part.shape[:2], -1, part.shape[-1]) for part in (query, key, value, relative)
    )
    scaled = query * query.shape[-1] ** -0.5
    scores = jnp.einsum("bhqd,bhkd->bhqk", scaled, key, preferred_element_type=jnp.float32)
    scores = scores.reshape(*scores.shape[:2], TILE, TILE, side, side)
    scores = _windows(_windows(scores, 2, 4, window), 3, 5, window)
    scores = scores.reshape(*scores.shape[:2], TILE**2, window**2)
    weights = jax.nn.softmax(scores + relative, axis=-1).astype(value.dtype)
    patches = weights.reshape(*weights.shape[:2], TILE, TILE, window, window)
    patches = _patches(_patches(patches, 3, 5, side), 2, 4, side)
    patches = patches.reshape(*weights.shape[:3], side**2)
    out = jnp.einsum("bhqk,bhke->bhqe", patches, value)
    if relative_value is not None:
        out += jnp.einsum("bhqw,hew->bhqe", weights, relative_value.astype(weights.dtype))
    return out.reshape(*out.shape[:2], TILE, TILE, -1)


def _windows(x: Array, axis: int, along: int, window: int) -> Array:
    """Of the k-th cell along `axis`, keeps `window` positions `along` a patch from the k-th on."""
    cells = jnp.split(x, x.shape[axis], axis)
    kept = [
        jax.lax.slice_in_dim(cell, start, start + window, axis=along)
        for start, cell in enumerate(cells)
    ]
    return jnp.concatenate(kept, axis)


def _patches(x: Array, axis: int, along: int, side: int) -> Array:
    """Puts windows back to their places in patches of this side: the inverse of `_windows`."""
    placed = []
    for start, cell in enumerate(jnp.split(x, x.shape[axis], axis)):
        around = [(0, 0)] * x.ndim
        around[along] = (start, side - start - x.shape[along])
        placed.append(jnp.pad(cell, around))
    return jnp.concatenate(placed, axis)


def _padded(x: Array, rows_and_columns) -> Array:
    return jnp.pad(x, ((0, 0), *rows_and_columns, (0, 0), (0, 0)))


def _by_head(x: Float[Array, "b y x h c"]) -> Float[Array, "b h y x c"]:
    return jnp.moveaxis(x, 3, 1)


def radius_of(relative: Float[Array, "*b w"]) -> int:
    """The radius of windows with so many offsets."""
    return math.isqrt(relative.shape[-1]) // 2


def _shifted(x: Array, radius: int):
    """The map as seen at every offset of the window, zeros outside."""
    rows, columns = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (radius, radius), (radius, radius), (0, 0), (0, 0)))
    for dy, dx in np.ndindex(2 * radius + 1, 2 * radius + 1):
        yield padded[:, dy : dy + rows, dx : dx + columns]


def _inside(grid: tuple[int, int], radius: int) -> Bool[np.ndarray, "y x 1 w"]:
    """Which cells of the windows lie in the map."""
    offsets = np.arange(-radius, radius + 1)
    rows, columns = (
        (np.arange(side)[:, None] + offsets >= 0) & (np.arange(side)[:, None] + offsets < side)
        for side in grid
    )
    both = rows[:, None, :, None] & columns[None, :, None, :]
    return both.reshape(*grid, 1, -1)


def _softmax(scores: Array, relative: Array, inside: np.ndarray) -> Array:
    return jax.nn.softmax(jnp.where(inside, scores + relative, OUTSIDE), axis=-1)


def _own(weights: Array, relative_value: Array | None) -> Array | float:
    if relative_value is None:
        return 0.0
    return jnp.einsum("byxhw,hew->byxhe", weights, relative_value.astype(weights.dtype))
