"""The index of a split: where every frame's record lies, and what is on it, without reading it.

Three numpy files that are memory-mapped on opening, so that neither start-up nor the size of
a worker process depends on the number of frames (BL30K: 4.8 million frames, 170 MB plus 37
bytes per object and frame).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos_jax.core.errors import MissingInputError, RecordError

FRAME_ROW = np.dtype(
    [
        ("video", "<u4"),
        ("time", "<u4"),
        ("shard", "<u4"),
        ("length", "<u4"),
        ("offset", "<u8"),
        ("first_object", "<u8"),
        ("objects", "<u2"),
        ("annotated", "?"),
    ]
)
OBJECT_ROW = np.dtype(
    [
        ("id", "<i8"),
        ("category", "<i8"),
        ("area", "<f4"),
        ("box", "<f4", (4,)),
        ("crowd", "?"),
    ]
)
VIDEO_FIELDS = [
    ("first_frame", "<u8"),
    ("frames", "<u4"),
    ("height", "<u4"),
    ("width", "<u4"),
]
"""Fields of a row of `videos.npy` behind its `name`, whose width is that of the longest name."""

TABLES = ("videos", "frames", "objects")


def video_rows(names: list[str]) -> np.ndarray:
    """A table of videos with these names, all other fields zero."""
    encoded = [name.encode() for name in names]
    width = max((len(name) for name in encoded), default=0) or 1
    rows = np.zeros(len(names), np.dtype([("name", f"S{width}"), *VIDEO_FIELDS]))
    rows["name"] = encoded
    return rows


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The three tables of a split.

    Attributes:
        videos: rows of `name` and `VIDEO_FIELDS`; the frames of a video are consecutive.
        frames: `FRAME_ROW`; `offset` and `length` (bytes) include the record's framing,
            `time` is the position in the source video.
        objects: `OBJECT_ROW`; those of a frame are consecutive.
    """

    videos: np.ndarray
    frames: np.ndarray
    objects: np.ndarray

    @staticmethod
    def folder(path: str | Path, split: str) -> Path:
        """Where the tables of a split lie in a prepared set."""
        return Path(path) / "index" / split

    def save(self, folder: Path) -> None:
        """Writes the three tables."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            np.save(folder / f"{table}.npy", getattr(self, table), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> "FrameIndex":
        """Maps the tables into memory.

        Raises:
            MissingInputError: a table is not there.
            RecordError: a table is not what `save` wrote.
        """
        videos, frames, objects = (_open_table(folder / f"{table}.npy") for table in TABLES)
        named = [name for name, *_ in (("name",), *VIDEO_FIELDS)]
        sound = (
            list(videos.dtype.names or ()) == named
            and frames.dtype == FRAME_ROW
            and objects.dtype == OBJECT_ROW
            and _end(videos, "first_frame", "frames") == len(frames)
            and _end(frames, "first_object", "objects") == len(objects)
        )
        if not sound:
            raise _garbage(folder, "the tables do not fit each other or our schema")
        return cls(videos, frames, objects)


def _end(rows: np.ndarray, first: str, count: str) -> int:
    """One past the last row of the next table that the last of `rows` points to."""
    return int(rows[-1][first]) + int(rows[-1][count]) if len(rows) else 0


def _open_table(path: Path) -> np.ndarray:
    if not path.is_file():
        raise MissingInputError(f"{path} is missing: run the data_prep command again to finish")
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _garbage(path, str(error)) from error
    if not isinstance(table, np.ndarray):
        raise _garbage(path, "not a numpy table")
    return table


def _garbage(path: Path, what: str) -> RecordError:
    return RecordError(f"{path} is not a usable index: {what}; run the data_prep command again")
