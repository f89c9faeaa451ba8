"""Random access to a prepared data set: any frame of any video by one ranged read.

    records = RecordSet("prepared/davis2017", "train")
    for video, entry in enumerate(records.videos):
        print(entry.name, entry.object_ids, entry.size, entry.frames)
    frame = records.frame(video=3, t=0)

The folder also holds `features.json` and `dataset_info.json`, so `tfds.builder_from_directory`
reads the same files.
"""

import functools
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vos_jax.core.errors import MissingInputError, RecordError
from vos_jax.data.frames import Frame, Objects, decode_frame
from vos_jax.data.index import FrameIndex
from vos_jax.data.tfrecord import record_error, unframe_record

__all__ = ["Frame", "FrameIndex", "Objects", "RecordSet", "Video", "shard_name"]

INFO_FILE = "dataset_info.json"
METADATA_FILE = "metadata.json"
MAX_OPEN_SHARDS = 256
"""Shards a reader keeps open; further ones are opened for each read."""


def shard_name(dataset: str, split: str, shard: int, shards: int) -> str:
    """File name of a shard, as tfds names it."""
    return f"{dataset}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"


@dataclass(frozen=True)
class Video:
    """What the index knows of one video.

    Attributes:
        name: as in the source.
        object_ids: ids of all objects of its frames, ascending.
        size: (height, width) in pixels.
        frames: number of stored frames.
    """

    name: str
    object_ids: tuple[int, ...]
    size: tuple[int, int]
    frames: int


class Videos(Sequence):
    """The videos of an index, built when asked for."""

    def __init__(self, index: FrameIndex):
        """Takes the tables of a split."""
        self._index = index

    def __len__(self) -> int:
        """Number of videos."""
        return len(self._index.videos)

    def __getitem__(self, video: int) -> Video:
        """The video of that number (negative: from the end)."""
        row = self._index.videos[video]
        first, count = int(row["first_frame"]), int(row["frames"])
        frames = self._index.frames[first : first + count]
        begin = int(frames[0]["first_object"])
        end = int(frames[-1]["first_object"]) + int(frames[-1]["objects"])
        ids = np.unique(self._index.objects["id"][begin:end])
        return Video(
            name=row["name"].decode(),
            object_ids=tuple(ids.tolist()),
            size=(int(row["height"]), int(row["width"])),
            frames=count,
        )


class RecordSet:
    """One split of a prepared set. Pickles as (path, split): open files stay behind.

    Attributes:
        path: the prepared folder.
        split: name of the split.
        dataset: name of the data set.
        index: the split's tables; `index.frames[video.first_frame + t]` is frame t of a video.
        videos: sequence of `Video`.
    """

    def __init__(self, path: str | Path, split: str):
        """Opens the index; no record is read.

        Raises:
            MissingInputError: no prepared set there, no such split, or a shard is missing.
            RecordError: index or metadata are garbage.
        """
        self.path = Path(path)
        self.split = split
        self.dataset, splits = read_splits(self.path)
        if split not in splits:
            raise MissingInputError(f"{path} has no split {split!r}, only {sorted(splits)}")
        shards = splits[split]
        self.index = FrameIndex.open(FrameIndex.folder(self.path, split))
        self.videos = Videos(self.index)
        self._shards = [
            self.path / shard_name(self.dataset, split, shard, shards) for shard in range(shards)
        ]
        self._files: dict[int, int] = {}
        for shard in self._shards:
            if not shard.is_file():
                raise MissingInputError(
                    f"{shard} is missing: run the data_prep command again to write it"
                )

    @cached_property
    def fingerprint(self) -> int:
        """Of the index: differs between sets of other videos, objects, or lengths of records."""
        tables = (self.index.videos, self.index.frames, self.index.objects)
        return functools.reduce(lambda crc, table: zlib.crc32(table, crc), tables, 0)

    def __len__(self) -> int:
        """Number of frames of all videos."""
        return len(self.index.frames)

    def __getitem__(self, number: int) -> Frame:
        """Frame `number` of the split, counted over all videos."""
        row = self.index.frames[number]
        shard, offset, length = int(row["shard"]), int(row["offset"]), int(row["length"])
        if shard >= len(self._shards):
            raise RecordError(
                f"{self.path}: the index names shard {shard} of {len(self._shards)}; "
                "run the data_prep command again"
            )
        name = str(self._shards[shard])
        try:
            content = self._read(shard, offset, length)
        except OSError as error:
            raise record_error(name, offset, f"cannot be read ({error.strerror})") from error
        payload = unframe_record(content, length, name, offset)
        try:
            return decode_frame(payload)
        except RecordError as error:
            raise record_error(name, offset, str(error)) from error

    def __reduce__(self):
        """Pickles the arguments only."""
        return RecordSet, (self.path, self.split)

    def __del__(self):
        """Closes the shards."""
        for descriptor in getattr(self, "_files", {}).values():
            os.close(descriptor)

    def frame(self, video: int | str, t: int) -> Frame:
        """Frame t (0 <= t < frames) of a video given by number or name.

        Raises:
            IndexError: no such video or frame.
            RecordError: the record is cut or corrupt; names shard and offset.
        """
        return self[self._row(video, t)]

    def objects(self, video: int | str, t: int) -> Objects:
        """The objects of a frame from the index alone: all but their run-length codes."""
        row = self.index.frames[self._row(video, t)]
        first, count = int(row["first_object"]), int(row["objects"])
        rows = np.array(self.index.objects[first : first + count])
        return Objects(rows["id"], rows["category"], rows["area"], rows["box"], rows["crowd"])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        names = self.index.videos["name"].tolist()
        return {name.decode(): number for number, name in enumerate(names)}

    def _row(self, video: int | str, t: int) -> int:
        number = self._numbers.get(video, -1) if isinstance(video, str) else video
        if not 0 <= number < len(self.videos):
            raise IndexError(f"{self.path} ({self.split}) has no video {video!r}")
        row = self.index.videos[number]
        if not 0 <= t < row["frames"]:
            raise IndexError(f"video {video!r} has {row['frames']} frames, not frame {t}")
        return int(row["first_frame"]) + t

    def _read(self, shard: int, offset: int, length: int) -> bytes:
        descriptor = self._files.get(shard)
        if descriptor is not None:
            return os.pread(descriptor, length, offset)
        try:
            descriptor = os.open(self._shards[shard], os.O_RDONLY)
        except OSError as error:
            raise MissingInputError(f"{self._shards[shard]}: {error.strerror}") from error
        kept = len(self._files) < MAX_OPEN_SHARDS
        kept = kept and self._files.setdefault(shard, descriptor) == descriptor
        try:
            return os.pread(descriptor, length, offset)
        finally:
            if not kept:
                os.close(descriptor)


def read_splits(path: Path) -> tuple[str, dict[str, int]]:
    """Name of the data set in a prepared folder, and number of shards by split.

    Raises:
        MissingInputError: no prepared set there.
        RecordError: its metadata is garbage.
    """
    try:
        info = json.loads((path / INFO_FILE).read_text())
        splits = {entry["name"]: len(entry["shardLengths"]) for entry in info["splits"]}
        return info["name"], splits
    except FileNotFoundError as error:
        raise MissingInputError(
            f"{path} holds no prepared data set: make one, e.g. "
            f"`python -m data_prep.coco --images DIR --annotations FILE --output {path}` "
            f"or `python -m data_prep.davis --root DIR --output {path}`"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{path / INFO_FILE} is not usable metadata ({error}); run the data_prep command again"
        ) from error


def read_categories(folder: Path) -> dict[int, str]:
    """Names of the object categories of a prepared folder by number; none without a list.

    Raises:
        RecordError: the list is garbage.
    """
    path = folder / METADATA_FILE
    try:
        named = json.loads(path.read_text())["categories"] if path.exists() else {}
        return {int(number): str(name) for number, name in named.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path} is garbage ({error}); run the data_prep command again"
        ) from error
