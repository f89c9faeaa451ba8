"""What the page shows: clips with masks drawn in, as sheets and as a video, and the curve."""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import matplotlib.figure
import numpy as np

from vos_jax.io.overlays import OverlayWriter, draw_overlay
from vos_jax.quickstart.clips import Clip

SHEET_FRAMES = 4
SHEET_SCALE = 2
VIDEO_SCALE = 3
VIDEO_FPS = 6
GAP = 4
WHITE = 255


def sheet(clip: Clip) -> np.ndarray:
    """A clip as a table of pictures, uint8 [h, w, 3]: a row per answer, time to the right."""
    times = np.linspace(0, len(clip.frames) - 1, SHEET_FRAMES).round().astype(int)
    rows = []
    for labels in clip.answers.values():
        drawn = [_enlarged(clip.frames[t], labels[t], SHEET_SCALE) for t in times]
        rows.append(_joined(drawn, axis=1))
    return _joined(rows, axis=0)


def write_video(path: Path, clips: Iterable[Clip]) -> None:
    """Writes clips one after the other as an mp4, the answers side by side.

    Raises:
        OutputError: it cannot be written.
    """
    pictures = (
        _joined([_enlarged(frame, labels[t], VIDEO_SCALE) for labels in clip.answers.values()], 1)
        for clip in clips
        for t, frame in enumerate(clip.frames)
    )
    first = next(pictures)
    with OverlayWriter(path, first.shape[:2], VIDEO_FPS) as writer:
        writer.write(first)
        for picture in pictures:
            writer.write(picture)


def read_metrics(workdir: Path) -> dict[str, list[float]]:
    """Loss and overlap that training logged, and at which updates; empty for very short runs."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {name: [line[name] for line in lines] for name in ("step", "loss", "iou")}


def write_curve(path: Path, metrics: dict[str, list[float]]) -> None:
    """Draws loss and overlap over updates as a PNG."""
    figure = matplotlib.figure.Figure(figsize=(8, 3.2), dpi=120, layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    for axis, name, colour, label in (
        (left, "loss", "#b4431f", "loss"),
        (right, "iou", "#1f6f8b", "overlap with the truth (IoU)"),
    ):
        axis.plot(metrics["step"], metrics[name], color=colour, linewidth=1.8)
        axis.set_ylabel(label, color=colour)
        axis.set_ylim(bottom=0)
        axis.spines["top"].set_visible(False)
    right.set_ylim(0, 1)
    left.set_xlabel("update")
    left.grid(alpha=0.25)
    figure.savefig(path)


def _enlarged(frame: np.ndarray, labels: np.ndarray, scale: int) -> np.ndarray:
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    frame = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    return draw_overlay(frame, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))


def _joined(parts: list[np.ndarray], axis: int) -> np.ndarray:
    """Puts pictures of equal size side by side (1) or below each other (0), a gap between."""
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, WHITE, np.uint8)
    pieces = [piece for part in parts for piece in (gap, part)][1:]
    return np.concatenate(pieces, axis)
