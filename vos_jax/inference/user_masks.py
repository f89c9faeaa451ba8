"""What people hand in as masks, as one label map of their object ids."""

from collections.abc import Mapping

import numpy as np

from vos_jax.core.errors import ConfigError, MaskError
from vos_jax.core.geometry import Size
from vos_jax.core.labels import BACKGROUND, VOID, object_ids

UserMasks = np.ndarray | Mapping[int, np.ndarray]
"""A label map of object ids (1 to 254, 255 void), or a binary mask per id."""


def label_map(masks: UserMasks | None, size: Size, frame: int) -> tuple[np.ndarray, list[int]]:
    """Checks masks and lays them into one map.

    Args:
        masks: a label map; or binary masks by id, of which later ones win where they overlap;
            None for nothing.
        size: (height, width) they must have.
        frame: number of their frame, for errors.

    Returns:
        uint8 [h, w] of ids, and the ids that were given: those in a label map, or all keys.

    Raises:
        MaskError: another shape, or values that are no ids.
        ConfigError: a key that is no id.
    """
    labels = np.zeros(size, np.uint8)
    if masks is None:
        return labels, []
    if not isinstance(masks, Mapping):
        labels = _checked(masks, size, f"the mask on frame {frame}")
        if labels.min(initial=0) < 0 or labels.max(initial=0) > VOID:
            raise MaskError(
                f"the mask on frame {frame} has values from {labels.min()} to {labels.max()}; "
                f"object ids must be 1 to {VOID - 1}, renumber them"
            )
        labels = labels.astype(np.uint8)
        return labels, object_ids(labels)
    for object_id, plane in masks.items():
        if not BACKGROUND < int(object_id) < VOID:
            raise ConfigError(f"object ids must be 1 to 254, not {object_id}; renumber them")
        name = f"the mask of object {object_id} on frame {frame}"
        labels[_checked(plane, size, name) > 0] = object_id
    return labels, [int(object_id) for object_id in masks]


def _checked(mask: np.ndarray, size: Size, name: str) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.shape != tuple(size):
        raise MaskError(
            f"{name} has shape {list(mask.shape)}, the frame {list(size)}; resize it with "
            "nearest neighbour"
        )
    if mask.dtype.kind not in "biu":
        raise MaskError(f"{name} is {mask.dtype}; threshold it, masks are whole numbers")
    return mask
