"""Masks drawn over their frames, and such frames as an H.264 video."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

from vos_jax.core.errors import OutputError
from vos_jax.core.labels import DAVIS_PALETTE

OPACITY = 0.5
INSTANCE_OPACITY = 0.6
CAPTION_ROWS = 14
CONTOUR = 2
"""Thickness of contours in pixels per 480 rows."""


def draw_overlay(
    frame: np.ndarray, labels: np.ndarray, palette: np.ndarray = DAVIS_PALETTE
) -> np.ndarray:
    """Tints each object in its colour and draws its inner contour in the full colour.

    Args:
        frame: uint8 [h, w, 3] RGB.
        labels: uint8 [h, w] of object ids, 0 background.
        palette: uint8 [256, 3] RGB.

    Returns:
        A new frame; background pixels are unchanged.
    """
    colours = palette[labels]
    inside = (labels > 0).astype(np.uint8)
    drawn = frame.copy()
    cv2.copyTo(cv2.addWeighted(frame, 1 - OPACITY, colours, OPACITY, 0), inside, drawn)
    thickness = max(1, round(CONTOUR * labels.shape[0] / 480))
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    contour = cv2.dilate(labels, kernel) != cv2.erode(labels, kernel)
    return cv2.copyTo(colours, inside * contour, drawn)


def draw_instances(
    frame: np.ndarray,
    masks: Sequence[np.ndarray],
    captions: Sequence[str],
    palette: np.ndarray = DAVIS_PALETTE,
) -> np.ndarray:
    """Tints each instance, and draws a box around it with a caption.

    Args:
        frame: uint8 [h, w, 3] RGB.
        masks: bool [h, w] each; the n-th has colour n, and is drawn over those before it.
        captions: what is written at each; nothing is drawn of an instance without pixels.
        palette: uint8 [256, 3] RGB.

    Returns:
        A new frame.
    """
    drawn = frame.copy()
    for number, (mask, caption) in enumerate(zip(masks, captions, strict=True), 1):
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        if not width:
            continue
        colour = palette[number].tolist()
        tinted = (1 - INSTANCE_OPACITY) * drawn[mask] + INSTANCE_OPACITY * palette[number]
        drawn[mask] = np.rint(tinted).astype(np.uint8)
        cv2.rectangle(drawn, (left, top), (left + width - 1, top + height - 1), colour, CONTOUR)
        above = (left, top - 4 if top > CAPTION_ROWS else top + CAPTION_ROWS)
        cv2.putText(drawn, caption, above, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return drawn


class OverlayWriter:
    """An mp4 (H.264, playable everywhere) that appears when it is complete.

    A context: leaving it after an error leaves no file.

    Args:
        path: of the mp4; its folder must be there.
        size: (height, width) of the frames; odd sides get one more row or column.
        fps: frames per second.

    Raises:
        OutputError: ffmpeg cannot write it.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int], fps: float):
        """Starts nothing until the first frame."""
        self._path = Path(path)
        self._partial = self._path.with_name(f".{self._path.stem}.partial.mp4")
        self._border = [size[0] % 2, size[1] % 2]
        width, height = size[1] + self._border[1], size[0] + self._border[0]
        self._command = [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y"),
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
            *("-r", f"{fps:.6f}", "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
            *("-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"),
            str(self._partial),
        ]
        self._process: subprocess.Popen | None = None
        self._said: str | None = None

    def write(self, frame: np.ndarray) -> None:
        """Adds a frame, uint8 [h, w, 3] RGB."""
        bottom, right = self._border
        if bottom or right:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except OSError as error:
            raise self._failed() from error

    def __enter__(self) -> "OverlayWriter":
        """Enters the context."""
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Completes the file, or removes what there is of it."""
        if self._process is None:
            return
        self._finish()
        if error is not None or self._process.returncode:
            self._partial.unlink(missing_ok=True)
        else:
            os.replace(self._partial, self._path)
        if error is None and self._process.returncode:
            raise self._failed()

    def _finish(self) -> str:
        if self._said is None:
            self._said = self._process.communicate()[1].decode(errors="replace").strip()
        return self._said

    def _failed(self) -> OutputError:
        return OutputError(f"{self._path}: the video cannot be written ({self._finish()[-200:]})")
