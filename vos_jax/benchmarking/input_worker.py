"""Our side of a comparison of training input: makes the clips it is asked for, on one thread.

Started by `vos_jax.benchmarking.input` with the settings of a training run as JSON; each line on
standard input is a JSON request, each answer a JSON line.
"""

import collections
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import VosError


def make_clips(batches, reads: list, seconds: dict[str, float], request: dict) -> dict:
    """Makes single clips.

    Args:
        batches: random access to batches of one clip.
        reads: where the videos and times of the frames that are read turn up.
        seconds: where the processor seconds of the parts turn up.
        request: numbers `first` and `clips`.

    Returns:
        Processor seconds, whole and by part; pixels that show image; and what each clip was made
        of: frames in the order of reading (`input_export.Read`), and number of objects.
    """
    seconds.clear()
    made, objects, pixels, total = [], [], 0, 0.0
    for number in range(request["first"], request["first"] + request["clips"]):
        reads.clear()
        start = time.process_time()
        clip, _ = batches[number]
        total += time.process_time() - start
        made.append(list(reads))
        objects.append(int(clip["slots"].sum()))
        pixels += _area(clip["frames"][0])
    taken = {"seconds": total, "parts": dict(seconds), "pixels": pixels}
    return {**taken, "reads": made, "objects": objects}


def _area(frames: np.ndarray) -> int:
    """Pixels of frames [t, h, w, 3] without the black border below and on the right."""
    sides = [int(np.flatnonzero(frames.any(axis=axes))[-1]) + 1 for axes in ((0, 2, 3), (0, 1, 3))]
    return len(frames) * sides[0] * sides[1]


def draw_batches(loader, workers: int, clips: int) -> float:
    """Clips per processor second of this process and all workers, once they are warm."""
    drawn = 0
    with contextlib.closing(loader):
        for _ in range(3 * workers):
            next(loader)
        start = _processor_seconds()
        while drawn < clips:
            drawn += len(next(loader)["frames"])
        return drawn / (_processor_seconds() - start)


def _processor_seconds() -> float:
    """Of this process and its living children."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def time_calls(function, part: str, seconds: dict[str, float]):
    """The function, its processor time added up under the name of a part."""

    @functools.wraps(function)
    def measured(*args, **kwargs):
        start = time.process_time()
        result = function(*args, **kwargs)
        seconds[part] += time.process_time() - start
        return result

    return measured


def note_reads(record, reads: list):
    """`RecordSet.__getitem__`, taking down what is read."""

    @functools.wraps(record)
    def reading(records, number: int):
        video = records.index.videos[records.index.frames["video"][number]]
        time_there = int(number) - int(video["first_frame"])
        reads.append([video["name"].decode(), time_there, int(video["frames"])])
        return record(records, number)

    return reading


def main() -> None:
    """Answers requests until standard input ends."""
    from vos_jax.data.records import RecordSet
    from vos_jax.data.workers import use_one_core
    from vos_jax.training.data import open_loader
    from vos_jax.training.settings import from_mapping

    use_one_core()
    settings = from_mapping(json.loads(sys.argv[1]))
    reads, seconds = [], collections.defaultdict(float)
    RecordSet.__getitem__ = note_reads(RecordSet.__getitem__, reads)
    cv2.imdecode = time_calls(cv2.imdecode, "jpeg", seconds)
    batches = open_loader(dataclasses.replace(settings, batch=1)).batches
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "workers" not in request:
            print(json.dumps(make_clips(batches, reads, seconds, request)), flush=True)
            continue
        workers = request["workers"]
        data = dataclasses.replace(settings.data, workers=workers)
        loader = open_loader(dataclasses.replace(settings, data=data))
        speed = draw_batches(loader, workers, request["clips"])
        print(json.dumps({"clips_a_second": speed}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except VosError as error:
        sys.exit(str(error))
