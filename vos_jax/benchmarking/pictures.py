"""Made-up videos for measurements: nothing to read, the same on every machine."""

import numpy as np


def moving_discs(size: tuple[int, int], objects: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs that drift over a smooth pattern, with the noise of a camera.

    Without noise all frames of a still background are the same to a memory, and which of them it
    reads is left to rounding.

    Args:
        size: height and width.
        objects: number of discs.
        frames: of the video.

    Returns:
        uint8 RGB frames [t, h, w, 3], and the discs of the first one as disjoint bool masks
        [o, h, w].
    """
    rng = np.random.default_rng(objects)
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = np.stack([np.sin(rows / a + columns / b) for a, b in rng.uniform(9, 60, (3, 2))], -1)
    centres = rng.uniform(0.2, 0.8, (objects, 2)) * size
    motion = rng.uniform(-4, 4, (objects, 2))
    colours = rng.uniform(0, 255, (objects, 3))

    def discs(t: int) -> np.ndarray:
        shapes = [(rows - y) ** 2 + (columns - x) ** 2 for y, x in centres + t * motion]
        return np.array(shapes) < (0.09 * size[0]) ** 2

    pictures = []
    for t in range(frames):
        picture = 127 + 60 * waves
        for colour, disc in zip(colours, discs(t), strict=True):
            picture[disc] = colour + 20 * waves[disc]
        noise = rng.integers(-8, 9, picture.shape)
        pictures.append((picture + noise).clip(0, 255).astype(np.uint8))
    first = discs(0)
    hidden = np.cumsum(first[::-1], axis=0)[::-1] - first
    return np.stack(pictures), first & (hidden == 0)
