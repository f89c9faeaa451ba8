"""What sources of clips ask of a prepared set: objects large enough, sizes, pictures, labels."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from vos_jax.core.errors import ImageError
from vos_jax.core.labels import VOID
from vos_jax.data.frames import Frame, Objects
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet
from vos_jax.io.images import decode_image


def object_labels(frame: Frame, ids: Sequence[int]) -> np.ndarray:
    """The labels of some objects of a frame, numbered 1.. in the order of `ids`.

    Where objects overlap, the later one is on top. An object that is not on the frame, and
    void, leave background.

    Returns:
        uint8 [h, w].

    Raises:
        RecordError: a mask cannot be decoded.
    """
    rows = {identity: row for row, identity in enumerate(frame.objects.ids.tolist())}
    found = {rows[i]: np.uint8(number) for number, i in enumerate(ids, start=1) if i in rows}
    chosen, numbers = _only(frame, list(found)), list(found.values())
    if found and not frame.objects.rles:
        table = np.zeros(VOID + 1, np.uint8)
        table[chosen.objects.ids] = numbers
        return cv2.LUT(frame_labels(frame), table)
    by_column = np.zeros((frame.width, frame.height), np.uint8)
    for number, plane in zip(numbers, object_planes(chosen), strict=True):
        np.maximum(by_column, plane.T.view(np.uint8) * number, out=by_column)
    return cv2.transpose(by_column)


def _only(frame: Frame, rows: list[int]) -> Frame:
    """The frame with some of its objects, so that no other mask is decoded."""
    objects = frame.objects
    rles = tuple(objects.rles[row] for row in rows) if objects.rles else ()
    return replace(frame, objects=Objects(ids=objects.ids[rows], rles=rles))


def label_map(frame: Frame, ids: Sequence[int]) -> np.ndarray:
    """The labels of a frame: those it stores, or run-length codes numbered as in `ids`.

    Returns:
        uint8 [h, w].

    Raises:
        RecordError: a mask cannot be decoded.
    """
    return object_labels(frame, ids) if frame.mask is None else frame_labels(frame)


def video_of(records: RecordSet, number: int) -> tuple[int, int]:
    """The number of the first frame of the video that holds a frame, and its length."""
    video = records.index.videos[records.index.frames["video"][number]]
    return int(video["first_frame"]), int(video["frames"])


def picture(frame: Frame) -> np.ndarray:
    """The image of a frame: uint8 [h, w, 3], RGB.

    Raises:
        ImageError: it cannot be decoded, or has another size than the frame's masks.
    """
    image = decode_image(frame.image, _name(frame))
    if image.shape[:2] != (frame.height, frame.width):
        raise ImageError(
            f"{_name(frame)}: the image is {image.shape[1]}x{image.shape[0]}, its masks "
            f"{frame.width}x{frame.height}; prepare the data set again"
        )
    return image


def _name(frame: Frame) -> str:
    return f"{frame.video}/{frame.name}"


def eligible_objects(records: RecordSet, min_area: float, min_side: float) -> np.ndarray:
    """Which rows of the index's objects may be drawn: bool [n]. Crowd regions may not."""
    objects = records.index.objects
    large = (objects["area"] > min_area) & (objects["box"][:, 2:].min(axis=1) > min_side)
    return large & ~objects["crowd"]


def objects_per_frame(records: RecordSet, eligible: np.ndarray) -> np.ndarray:
    """How many of the eligible objects are on each frame of the set: int [n]."""
    frames = records.index.frames
    before = np.concatenate([[0], np.cumsum(eligible)])
    first = frames["first_object"].astype(np.int64)
    return before[first + frames["objects"]] - before[first]


def draw_objects(
    records: RecordSet,
    eligible: np.ndarray,
    number: int,
    objects: int,
    rng: np.random.Generator,
) -> list[int]:
    """Ids of some eligible objects of a frame, in the order of the index."""
    row = records.index.frames[number]
    rows = np.arange(row["objects"]) + int(row["first_object"])
    chosen = np.sort(rng.choice(rows[eligible[rows]], objects, replace=False))
    return records.index.objects["id"][chosen].tolist()


def frame_sizes(records: RecordSet, frames: np.ndarray) -> np.ndarray:
    """Height and width of frames given by number: int [n, 2]."""
    videos = records.index.videos[records.index.frames["video"][frames]]
    return np.stack([videos["height"], videos["width"]], axis=-1).astype(np.int64)


def usable_frames(
    records: RecordSet, object_frames: int, wanted: np.ndarray | None = None
) -> np.ndarray:
    """Which frames are annotated and show an object that is on so many frames of its video.

    Args:
        records: the prepared set.
        object_frames: 0 takes frames without objects, too.
        wanted: bool, which rows of the index's objects count; None for all.

    Returns:
        bool [n].
    """
    frames, objects = records.index.frames, records.index.objects
    lasting = np.ones(len(objects), bool)
    if object_frames > 1:
        tracks = np.stack([np.repeat(frames["video"], frames["objects"]), objects["id"]])
        _, track, times = np.unique(tracks, axis=1, return_inverse=True, return_counts=True)
        lasting = times[track.reshape(-1)] >= object_frames
    lasting = lasting if wanted is None else lasting & wanted
    enough = objects_per_frame(records, lasting) > 0 if object_frames else True
    return np.array(frames["annotated"]) & enough


def video_objects(
    records: RecordSet, numbers: np.ndarray
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The objects of some frames, from the index alone. Crowd regions are none.

    Args:
        records: the prepared set.
        numbers: of the frames [t].

    Returns:
        The ids of the objects, ascending, the largest 254 if there are more; the pixels of each
        on each frame, float32 [t, o]; and their categories, int64 [o].
    """
    frames = records.index.frames[numbers]
    counts = frames["objects"].astype(np.int64)
    skipped = frames["first_object"].astype(np.int64) - (np.cumsum(counts) - counts)
    rows = np.arange(counts.sum()) + np.repeat(skipped, counts)
    objects, times = records.index.objects[rows], np.repeat(np.arange(len(numbers)), counts)
    real = ~objects["crowd"]
    ids, first, columns = np.unique(objects["id"][real], return_index=True, return_inverse=True)
    areas = np.zeros((len(numbers), len(ids)), np.float32)
    areas[times[real], columns] = objects["area"][real]
    kept = np.sort(np.argsort(-areas.max(axis=0, initial=0), kind="stable")[: VOID - 1])
    categories = objects["category"][real][first].astype(np.int64)
    return ids[kept].tolist(), areas[:, kept], categories[kept]
