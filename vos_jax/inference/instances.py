"""The instances of a video: their masks kept on disk until they can be ranked, then handed out."""

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from vos_jax.core.errors import OutputError
from vos_jax.core.geometry import Geometry, Size
from vos_jax.io.writers import Background
from vos_jax.systems.tracks import TrackBook


@dataclasses.dataclass(frozen=True)
class Instance:
    """One of the tracks of a video that are handed out.

    Attributes:
        track: its id.
        score: its points relative to those of the biggest such track.
        category: its class, counted from 1; None where there are no classes.
    """

    track: int
    score: float
    category: int | None


def ranked(book: TrackBook, most: int) -> list[Instance]:
    """The tracks that live longest, longest first; scored and classified over the whole video."""
    kept = book.longest(most)
    points = [book.tracks[i].points for i in kept]
    classes = [
        1 + int(np.argmax(t.logits)) if np.ndim(t.logits) else None
        for t in map(book.tracks.get, kept)
    ]
    return [
        Instance(track, count / max(points), category)
        for track, count, category in zip(kept, points, classes, strict=True)
    ]


class MaskSpool(Background):
    """The masks of all tracks of a video, at its own size, as run-length codes in a file.

    Frames are added in order and read as often as wanted. A context, as `Background`; the file
    vanishes when the spool is let go.

    Args:
        geometry: of the video.
        folder: for the file; None takes the system's place for such.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, geometry: Geometry, folder: str | os.PathLike | None = None):
        """Makes the file."""
        super().__init__()
        self._geometry = geometry
        try:
            self._file = tempfile.TemporaryFile("w+", dir=folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot hold a file ({error.strerror})") from error

    def add(self, ids: np.ndarray) -> None:
        """Takes the track ids of the next frame, int [y, x], to be encoded in the background."""
        self.submit(self._encode, ids)

    def _encode(self, ids: np.ndarray) -> None:
        codes = {}
        for track in np.unique(ids[ids > 0]).tolist():
            mask = np.asfortranarray(placed(ids == track, self._geometry))
            codes[track] = coco_mask.encode(mask.view(np.uint8))["counts"].decode()
        try:
            self._file.write(json.dumps(codes) + "\n")
        except OSError as error:
            raise OutputError(f"masks cannot be kept for later ({error.strerror})") from error

    def frames(self, instances: Sequence[Instance]) -> Iterator[list[dict[str, Any]]]:
        """Yields for each frame the code of every instance, of an empty mask where it is absent.

        A code is `{"size": [h, w], "counts": str}`, COCO's compressed kind.
        """
        size = list(self._geometry.frame)
        nothing = coco_mask.encode(np.zeros(size, np.uint8, order="F"))["counts"].decode()
        self._file.seek(0)
        for line in self._file:
            codes = json.loads(line)
            counts = (codes.get(str(instance.track), nothing) for instance in instances)
            yield [{"size": size, "counts": code} for code in counts]


def placed(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A mask on the grid of the network's maps, or at network size, brought to the frame's size.

    Enlarged bilinearly to network size, cut to the part that holds the image, resized bilinearly,
    then set where above 1/2.
    """
    for size, part in ((geometry.network, geometry.resized), (geometry.frame, geometry.frame)):
        mask = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
        mask = mask[: part[0], : part[1]]
    return mask > 0.5


def decoded(codes: Sequence[dict[str, Any]], size: Size) -> np.ndarray:
    """The masks of run-length codes, bool [o, h, w]."""
    masks = np.zeros((len(codes), *size), bool)
    for mask, code in zip(masks, codes, strict=True):
        mask[:] = coco_mask.decode(code)
    return masks


def rank_labels(codes: Sequence[dict[str, Any]], size: Size) -> np.ndarray:
    """One map of the masks of a frame: the n-th is drawn as n, over those before it."""
    labels = np.zeros(size, np.uint8)
    for rank, mask in enumerate(decoded(codes, size), 1):
        labels[mask] = rank
    return labels
