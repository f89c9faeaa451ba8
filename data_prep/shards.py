"""One shard job: its videos in, one TFRecord file and the rows of its index out.

Jobs are fixed before anything runs and know nothing of each other, so any runner may execute
them in any order, twice if it likes: the bytes are the same. A shard is written under a
temporary name and renamed, then its part (rows, counts, fingerprint) the same way, so a job
with a part is finished and is skipped unless its inputs or settings changed.
"""

import contextlib
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from data_prep.sources import FrameSource, VideoSource, fingerprint
from vos_jax.core.errors import OutputError, VosError
from vos_jax.data.frames import Frame, Objects, encode_frame
from vos_jax.data.index import FRAME_ROW, OBJECT_ROW, FrameIndex, video_rows
from vos_jax.data.records import shard_name
from vos_jax.data.tfrecord import frame_record

RECORD_VERSION = 1
"""Part of every fingerprint: raise it when the records of the same input change."""


@dataclass(frozen=True)
class ShardJob:
    """What one shard is made of."""

    output: Path
    dataset: str
    split: str
    shard: int
    shards: int
    videos: tuple[VideoSource, ...]

    @property
    def path(self) -> Path:
        """The finished shard."""
        return self.output / shard_name(self.dataset, self.split, self.shard, self.shards)

    @property
    def part_path(self) -> Path:
        """The finished shard's rows of the index."""
        return FrameIndex.folder(self.output, self.split) / "parts" / f"{self.path.name}.npz"

    @property
    def length(self) -> int:
        """Number of frames, rejected ones included."""
        return sum(video.length for video in self.videos)


@dataclass(frozen=True, eq=False)
class ShardPart:
    """What came of a job.

    Attributes:
        fingerprint: of the job's inputs and settings.
        size: bytes of the shard.
        read: frames looked at.
        rejected: (source, reason) pairs.
        index: rows of this shard alone, its videos and objects counted from 0.
    """

    fingerprint: str
    size: int
    read: int
    rejected: list[tuple[str, str]]
    index: FrameIndex


def plan_shards(
    videos: Sequence[VideoSource], output: Path, dataset: str, split: str, shards: int
) -> list[ShardJob]:
    """Deals videos in order onto at most `shards` jobs of (nearly) equally many videos."""
    shards = min(shards, len(videos))
    bounds = [len(videos) * shard // shards for shard in range(shards + 1)]
    return [
        ShardJob(output, dataset, split, shard, shards, tuple(videos[begin:end]))
        for shard, (begin, end) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]


def write_shard(job: ShardJob, tick: Callable[[], None] = lambda: None) -> bool:
    """Makes sure that the shard of a job exists.

    Args:
        job: what to write.
        tick: called after each frame.

    Returns:
        True when the shard was written, False when it was there already.

    Raises:
        OutputError: the shard cannot be written.
    """
    settings = (RECORD_VERSION, job.dataset, job.split, job.shard, job.shards)
    mark = fingerprint(settings, job.videos)
    part = read_part(job)
    if part is not None and part.fingerprint == mark:
        return False
    table = FrameIndex.folder(job.output, job.split) / "frames.npy"
    try:
        job.part_path.parent.mkdir(parents=True, exist_ok=True)
        job.part_path.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
        with _renamed(job.path) as file:
            part = _write_frames(job, mark, file, tick)
        with _renamed(job.part_path) as file:
            _save_part(part, file)
    except OSError as error:
        raise OutputError(
            f"{job.path} cannot be written ({error.strerror}): make room or choose another "
            "--output, then run the same command again; finished shards are kept"
        ) from error
    return True


def read_part(job: ShardJob) -> ShardPart | None:
    """The part of a finished job; None when the job has to run (again)."""
    try:
        with np.load(job.part_path, allow_pickle=False) as tables:
            facts = json.loads(tables["facts"].tobytes())
            index = FrameIndex(tables["videos"], tables["frames"], tables["objects"])
        rejected = [(source, reason) for source, reason in facts.pop("rejected")]
        part = ShardPart(**facts, rejected=rejected, index=index)
        return part if job.path.stat().st_size == part.size else None
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _write_frames(job: ShardJob, mark: str, file: IO[bytes], tick: Callable) -> ShardPart:
    rows = _Rows(job.shard)
    rejected: list[tuple[str, str]] = []
    read = 0
    for video in job.videos:
        for source in video.frames():
            read += 1
            try:
                frame = _load(source, rows.size_of(video.name))
            except VosError as error:
                rejected.append((source.source, str(error)))
            else:
                record = frame_record(encode_frame(frame))
                file.write(record)
                rows.add(video.name, frame, len(record))
            tick()
    return ShardPart(mark, rows.offset, read, rejected, rows.index())


def _load(source: FrameSource, size: tuple[int, int] | None) -> Frame:
    frame = source.load()
    if size not in (None, (frame.height, frame.width)):
        raise VosError(
            f"{source.source} is {frame.height}x{frame.width} pixels but its video began with "
            f"{size[0]}x{size[1]}"
        )
    return frame


class _Rows:
    """Collects the index rows of one shard."""

    def __init__(self, shard: int):
        self.offset = 0
        self._shard = shard
        self._videos: dict[str, list[int]] = {}
        self._frames: list[tuple] = []
        self._objects: list[np.ndarray] = []
        self._object_count = 0

    def size_of(self, video: str) -> tuple[int, int] | None:
        """(height, width) of a video that has frames already."""
        return tuple(self._videos[video][2:]) if video in self._videos else None

    def add(self, video: str, frame: Frame, length: int) -> None:
        """Notes a frame that was written with `length` bytes, framing included."""
        entry = self._videos.setdefault(video, [len(self._frames), 0, frame.height, frame.width])
        entry[1] += 1
        objects = object_rows(frame.objects)
        self._frames.append(
            (
                len(self._videos) - 1,
                frame.time,
                self._shard,
                length,
                self.offset,
                self._object_count,
                len(objects),
                frame.annotated,
            )
        )
        self._objects.append(objects)
        self._object_count += len(objects)
        self.offset += length

    def index(self) -> FrameIndex:
        """The rows as tables."""
        videos = video_rows(list(self._videos))
        for row, entry in zip(videos, self._videos.values(), strict=True):
            row["first_frame"], row["frames"], row["height"], row["width"] = entry
        objects = np.concatenate([np.zeros(0, OBJECT_ROW), *self._objects])
        return FrameIndex(videos, np.array(self._frames, FRAME_ROW), objects)


def object_rows(objects: Objects) -> np.ndarray:
    """Objects as rows of the index."""
    rows = np.zeros(len(objects), OBJECT_ROW)
    rows["id"], rows["category"] = objects.ids, objects.categories
    rows["area"], rows["box"], rows["crowd"] = objects.areas, objects.boxes, objects.crowds
    return rows


def _save_part(part: ShardPart, file: IO[bytes]) -> None:
    facts = {
        "fingerprint": part.fingerprint,
        "size": part.size,
        "read": part.read,
        "rejected": part.rejected,
    }
    np.savez(
        file,
        facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        videos=part.index.videos,
        frames=part.index.frames,
        objects=part.index.objects,
    )


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is complete and on disk, and vanishes otherwise."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
