"""Predictions of a training clip as one picture."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from vos_jax.core.labels import VOID
from vos_jax.io.overlays import draw_overlay
from vos_jax.systems.base import Visit


def prediction_picture(
    batch: Mapping[str, np.ndarray], plan: Sequence[Visit], labels: Sequence[np.ndarray]
) -> np.ndarray:
    """The first video of a batch: truth above, predictions below, one column per visit.

    Args:
        batch: fields of a clip, numpy.
        plan: its visits that read must all name a frame.
        labels: uint8 [h, w] per visit that reads.

    Returns:
        uint8 [2h, visits * w, 3].
    """
    frames = [visit.frame for visit in plan if visit.read]
    columns = []
    for frame, predicted in zip(frames, labels, strict=True):
        image, truth = batch["frames"][0, frame], batch["labels"][0, frame]
        truth = np.where(truth == VOID, 0, truth).astype(np.uint8)
        columns.append(
            np.concatenate([draw_overlay(image, truth), draw_overlay(image, np.asarray(predicted))])
        )
    return np.concatenate(columns, axis=1)


def map_picture(
    batch: Mapping[str, np.ndarray], embedding: np.ndarray, seediness: np.ndarray
) -> np.ndarray:
    """The first video of a batch, a column per frame: truth, seediness, embedding as colours.

    Args:
        batch: fields of a clip, numpy.
        embedding: of its pixels at a lower size [t, y, x, e]; the three dimensions that vary most
            are red, green and blue.
        seediness: in [0, 1], as large [t, y, x].

    Returns:
        uint8 [3h, t * w, 3].
    """
    height, width = batch["labels"].shape[2:]
    widest = np.argsort(-np.ptp(embedding, axis=(0, 1, 2)))[:3]
    colours = embedding[..., widest] - embedding[..., widest].min(axis=(0, 1, 2))
    colours = colours / np.maximum(colours.max(axis=(0, 1, 2)), 1e-6)
    columns = []
    for t, (seeds, colour) in enumerate(zip(seediness, colours, strict=True)):
        truth = batch["labels"][0, t]
        shown = draw_overlay(batch["frames"][0, t], np.where(truth == VOID, 0, truth))
        maps = (np.repeat(seeds[..., None], 3, axis=-1), colour)
        large = [cv2.resize(np.uint8(255 * each), (width, height)) for each in maps]
        columns.append(np.concatenate([shown, *large]))
    return np.concatenate(columns, axis=1)
