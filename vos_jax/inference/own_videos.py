"""Anybody's video: masks as PNGs and run-length codes, and an overlay to look at."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from jaxtyping import PyTree
from tqdm import tqdm

from vos_jax.inference.augmentation import View
from vos_jax.inference.runs import Timing, segment_to, session_for
from vos_jax.io.overlays import OverlayWriter, draw_overlay
from vos_jax.io.rle import RleWriter
from vos_jax.io.videos import Video
from vos_jax.io.writers import Background, PngWriter, make_folder
from vos_jax.systems.base import Segmenter

MASKS, OVERLAY, CODES = "masks", "overlay.mp4", "masks.json"

log = logging.getLogger(__name__)


def segment_video(
    system: Segmenter,
    params: PyTree,
    video: Video,
    masks: Mapping[int, np.ndarray],
    output: str | os.PathLike,
    *,
    overlay: bool = True,
    memory: int | None = None,
    encode_batch: int = 1,
    views: Sequence[View] = (),
) -> Timing:
    """Segments a video and writes `masks/*.png`, `masks.json` and `overlay.mp4`.

    Args:
        system: a configured prompted system.
        params: its parameters.
        video: frames.
        masks: label maps of object ids by frame number.
        output: folder for the results, made if it is not there.
        overlay: whether to write the overlay.
        memory: entries of a growing memory; None keeps all, or 100 where the length is unknown.
        encode_batch: see `segment_offline`.
        views: of test-time augmentation, if there are any.

    Returns:
        The time it took.

    Raises:
        OutputError: results cannot be written.
        VideoError: a frame cannot be used.
    """
    output = make_folder(output)
    timing = Timing()
    session = session_for(system, params, video.size, masks, video.length, memory, views)
    if not any(((labels > 0) & (labels < 255)).any() for labels in masks.values()):
        log.warning("no object in any mask: every result is background")
    with timing.all_of_it(), ExitStack() as stack:
        pngs = stack.enter_context(PngWriter(output / MASKS))
        codes = RleWriter(output / CODES, video.size)
        drawn = None
        if overlay:
            drawn = stack.enter_context(OverlayWriter(output / OVERLAY, video.size, video.fps))
        in_order = stack.enter_context(Background())

        def draw(name: str, frame: np.ndarray, labels: np.ndarray) -> None:
            codes.add(name, labels)
            if drawn is not None:
                drawn.write(draw_overlay(frame, labels))

        def sink(name: str, frame: np.ndarray, labels: np.ndarray) -> None:
            pngs.write(name, labels)
            in_order.submit(draw, name, frame, labels)

        named = ((video.name(number), frame) for number, frame in enumerate(video))
        named = tqdm(named, "segmenting", video.length, unit="frame", disable=None)
        segment_to(sink, session, named, masks, timing, encode_batch)
    codes.close()
    _warn_of_late(masks, timing.frames)
    return timing


def _warn_of_late(masks: Mapping[int, np.ndarray], frames: int) -> None:
    if late := sorted(number for number in masks if number >= frames):
        log.warning("masks for frames %s were not used: there are %d", late, frames)
