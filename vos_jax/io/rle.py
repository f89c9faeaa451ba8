"""Masks of a video as COCO run-length codes in one JSON file."""

import json
import os
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from vos_jax.core.labels import object_ids
from vos_jax.io.writers import write_text


class RleWriter:
    """Collects the masks of a video and writes them at the end.

    The file: `{"size": [h, w], "frames": [{"number", "name", "objects": [{"id", "area", "bbox":
    [x, y, w, h], "segmentation": {"size": [h, w], "counts"}}]}]}`, frames in order; objects that
    are not on a frame are not listed there.

    Args:
        path: of the JSON file; its folder must be there.
        size: (height, width) of the masks.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int]):
        """Starts with no frame."""
        self._path = Path(path)
        self._size = [int(side) for side in size]
        self._frames: list[dict] = []

    def add(self, name: str, labels: np.ndarray) -> None:
        """Adds the next frame's object ids, uint8 [h, w]."""
        objects = [_encode(labels, object_id) for object_id in object_ids(labels)]
        self._frames.append({"number": len(self._frames), "name": name, "objects": objects})

    def close(self) -> None:
        """Writes the file.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(self._path, json.dumps({"size": self._size, "frames": self._frames}))


def _encode(labels: np.ndarray, object_id: int) -> dict:
    code = coco_mask.encode(np.asfortranarray(labels == object_id).view(np.uint8))
    return {
        "id": object_id,
        "area": int(coco_mask.area(code)),
        "bbox": coco_mask.toBbox(code).tolist(),
        "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode()},
    }
