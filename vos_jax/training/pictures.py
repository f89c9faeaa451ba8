"""Predictions of a training clip as one picture."""

from collections.abc import Mapping, Sequence

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
