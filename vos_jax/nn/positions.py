"""Position maps."""

import numpy as np


def sinusoidal_map(height: int, width: int, channels: int) -> np.ndarray:
    """Returns the sinusoidal position map, float32 [height width channels].

    The first half of the channels describes rows, the second columns. Position p = 1..n has the
    angle 2 pi p / (n + 1e-6); feature k uses angle / 10000^(2 floor(k / 2) / half), sine for even
    k, cosine for odd (hodor/modelling/position_embeddings.py).
    """
    half = channels // 2
    k = np.arange(half)
    period = 10000.0 ** (2 * (k // 2) / half)

    def along(size: int) -> np.ndarray:
        angle = np.arange(1, size + 1) / (size + 1e-6) * 2 * np.pi
        phase = angle[:, None] / period
        return np.where(k % 2 == 0, np.sin(phase), np.cos(phase))

    rows = np.broadcast_to(along(height)[:, None], (height, width, half))
    columns = np.broadcast_to(along(width)[None], (height, width, half))
    return np.concatenate([rows, columns], -1).astype(np.float32)
