"""Position maps."""

import numpy as np


def sinusoidal_map(height: int, width: int, channels: int, first: int = 1) -> np.ndarray:
    """Returns the sinusoidal position map, float32 [height width channels].

    The first half of the channels describes rows, the second columns. Position p = first..last has
    the angle 2 pi p / (last + 1e-6); feature k uses angle / 10000^(2 floor(k / 2) / half), sine for
    even k, cosine for odd. HODOR counts from 1 (hodor/modelling/position_embeddings.py), AOT from 0
    (networks/layers/position.py).

    Args:
        height: rows.
        width: columns.
        channels: of the map, a multiple of 4.
        first: number of the first row and column.
    """
    half = channels // 2
    k = np.arange(half)
    period = 10000.0 ** (2 * (k // 2) / half)

    def along(size: int) -> np.ndarray:
        numbers = np.arange(first, first + size)
        angle = numbers / (numbers[-1] + 1e-6) * 2 * np.pi
        phase = angle[:, None] / period
        return np.where(k % 2 == 0, np.sin(phase), np.cos(phase))

    rows = np.broadcast_to(along(height)[:, None], (height, width, half))
    columns = np.broadcast_to(along(width)[None], (height, width, half))
    return np.concatenate([rows, columns], -1).astype(np.float32)
