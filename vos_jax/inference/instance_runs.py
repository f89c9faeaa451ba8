"""Videos without prompts to results: instances found, tracked, ranked, written."""

import contextlib
import dataclasses
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import PyTree
from tqdm import tqdm

from vos_jax.core.errors import ConfigError, OutputError, VideoError
from vos_jax.core.geometry import Size
from vos_jax.core.labels import VOID
from vos_jax.inference.benchmark_videos import BenchmarkVideo
from vos_jax.inference.benchmarks import BenchmarkRun
from vos_jax.inference.instances import Instance, MaskSpool, decoded, rank_labels, ranked
from vos_jax.inference.offline import prefetched
from vos_jax.inference.own_videos import MASKS, OVERLAY
from vos_jax.inference.runs import NamedFrame, Timing
from vos_jax.io.named_sets import named_set
from vos_jax.io.overlays import OverlayWriter, draw_instances
from vos_jax.io.videos import Video
from vos_jax.io.writers import Background, PngWriter, make_folder, write_text
from vos_jax.systems.base import Segmenter
from vos_jax.systems.windows import WindowStream, segment_windows

RESULTS = "results.json"
VISIBLE = "vis"
MOST_TRACKS, MOST_LISTED = 20, 10
"""Instances that are kept of a video: DAVIS' number and YouTube-VIS'."""


@dataclasses.dataclass(frozen=True)
class Found:
    """The instances of a video.

    Attributes:
        names: of the frames.
        size: (height, width) of the frames.
        instances: by rank.
        spool: their masks.
    """

    names: tuple[str, ...]
    size: Size
    instances: list[Instance]
    spool: MaskSpool

    def frames(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yields the name of each frame and the run-length code of every instance on it."""
        return zip(self.names, self.spool.frames(self.instances), strict=True)

    def records(self, video: int) -> list[dict[str, Any]]:
        """The instances as YouTube-VIS has results; class 1 where there are no classes."""
        masks = zip(*(codes for _, codes in self.frames()), strict=True)
        return [
            {
                "video_id": video,
                "score": instance.score,
                "category_id": instance.category or 1,
                "segmentations": list(codes),
            }
            for instance, codes in zip(self.instances, masks, strict=True)
        ]

    def captions(self, class_names: Sequence[str]) -> list[str]:
        """What an overlay says of each instance: class, if there are any, and score."""
        named = dict(enumerate(class_names, 1)) | {None: "instance"}
        return [
            f"{named.get(i.category, f'class {i.category}')} {i.score:.2f}" for i in self.instances
        ]

    def drawn(
        self, frames: Iterable[np.ndarray], class_names: Sequence[str]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each frame's name and the frame with masks, boxes and captions."""
        captions = self.captions(class_names)
        for (name, codes), frame in zip(self.frames(), frames, strict=True):
            yield name, draw_instances(frame, decoded(codes, self.size), captions)


def find_instances(
    system: Segmenter,
    params: PyTree,
    frames: Iterable[NamedFrame],
    timing: Timing,
    folder: str | os.PathLike,
    most: int = MOST_TRACKS,
) -> Found:
    """Finds the instances of a video; frames are decoded ahead, masks encoded behind.

    Args:
        system: a configured windowed system.
        params: its parameters.
        frames: name and pixels of each.
        timing: frames and waits are counted there.
        folder: on whose file system masks are kept.
        most: instances that are kept, unless the system says otherwise.

    Raises:
        ConfigError: more tracks are to be kept than PNGs can hold.
        VideoError: the video has no frame.
    """
    most = most if system.max_tracks is None else system.max_tracks
    if not 0 < most < VOID:
        raise ConfigError(f"max_tracks={most}: PNGs hold 1 to {VOID - 1} instances")
    names: list[str] = []

    def pixels(source: Iterator[NamedFrame]) -> Iterator[np.ndarray]:
        while True:
            with timing.waits():
                item = next(source, None)
            if item is None:
                return
            names.append(item[0])
            yield item[1]

    with contextlib.closing(prefetched(frames)) as source:
        arriving = pixels(source)
        first = next(arriving, None)
        if first is None:
            raise VideoError("the video has no frame")
        stream = WindowStream(system, params, first.shape[:2])
        with MaskSpool(stream.geometry, folder) as spool:
            for _, ids in segment_windows(stream, itertools.chain([first], arriving)):
                with timing.waits():
                    spool.add(ids)
                timing.frames += 1
    instances = ranked(stream.book, most)
    return Found(tuple(names), stream.geometry.frame, instances, spool)


def find_in_video(
    system: Segmenter,
    params: PyTree,
    video: Video,
    output: str | os.PathLike,
    *,
    class_names: Sequence[str] = (),
    overlay: bool = True,
) -> tuple[Timing, list[str]]:
    """Finds the instances of anybody's video; writes `masks/*.png`, `results.json`, `overlay.mp4`.

    A PNG's values are ranks, the instance that lives longest being 1; `results.json` is in the
    form of YouTube-VIS, with this video as number 1.

    Args:
        system: a configured windowed system.
        params: its parameters.
        video: frames.
        output: folder for the results, made if it is not there.
        class_names: of the classes, in the order of their numbers.
        overlay: whether to write the overlay.

    Returns:
        The time it took, and a caption per instance.

    Raises:
        OutputError: results cannot be written.
        VideoError: a frame cannot be used.
    """
    output = make_folder(output)
    timing = Timing()
    with timing.all_of_it():
        named = ((video.name(number), frame) for number, frame in enumerate(video))
        named = tqdm(named, "finding", video.length, unit="frame", disable=None)
        found = find_instances(system, params, named, timing, output)
        with timing.waits(), PngWriter(output / MASKS) as pngs:
            for name, codes in found.frames():
                pngs.write(name, rank_labels(codes, found.size))
        write_text(output / RESULTS, json.dumps(found.records(1)))
        if overlay:
            with timing.waits(), OverlayWriter(output / OVERLAY, video.size, video.fps) as drawn:
                for _, frame in found.drawn(video, class_names):
                    drawn.write(frame)
    return timing, found.captions(class_names)


class InstanceRun(BenchmarkRun):
    """Finds the instances of the videos of a benchmark.

    Results are `<output>/<video>/<frame>.png`, whose values are ranks; of YouTube-VIS they are
    `<output>/<video>.json` and, of all videos, `<output>/results.json`, alone in `results.zip`
    too. What is there is not done again.

    Args:
        system: a configured windowed system.
        params: its parameters.
        output: folder for the results.
        made_by: what the results depend on, anything JSON holds.
        dataset: its name.
        class_names: of the classes, in the order of their numbers.
        save_vis: whether to write overlays, `<output>/vis/<video>/<frame>.jpg`.
        say: takes lines of progress.

    Raises:
        OutputError: the folder cannot be written, or holds results of something else.
    """

    def __init__(
        self,
        system: Segmenter,
        params: PyTree,
        output: str | os.PathLike,
        *,
        made_by: dict,
        dataset: str,
        class_names: Sequence[str] = (),
        save_vis: bool = False,
        say: Callable[[str], object] = print,
    ):
        """Makes the folder."""
        super().__init__(system, params, output, made_by=made_by, dataset=dataset, say=say)
        self._class_names, self._save_vis = class_names, save_vis
        self._listed = named_set(dataset).layout == "youtube_vis"

    def run(self, videos: list[BenchmarkVideo]) -> Timing:
        """Does what is not done yet; of YouTube-VIS, gathers the results once all are there."""
        timing = super().run(videos)
        if self._listed and all(self.finished(video) for video in videos):
            _gather(self._output, [self._part(video) for video in videos])
        return timing

    def finished(self, video: BenchmarkVideo) -> bool:
        """Whether a video's results, and overlays if they are wanted, are there."""
        shown = len(list((self._output / VISIBLE / video.name).glob("*.jpg")))
        if self._save_vis and shown != video.length:
            return False
        return self._part(video).is_file() if self._listed else super().finished(video)

    def _part(self, video: BenchmarkVideo) -> Path:
        return self._output / f"{video.name}.json"

    def _segment(self, video: BenchmarkVideo, params: PyTree) -> Timing:
        timing = Timing()
        with timing.all_of_it():
            frames = self._until_stopped(video.frames())
            most = MOST_LISTED if self._listed else MOST_TRACKS
            found = find_instances(self._system, params, frames, timing, self._output, most)
            with timing.waits():
                if self._save_vis:
                    pixels = (frame for _, frame in video.frames())
                    _write_overlays(
                        self._output / VISIBLE / video.name, found.drawn(pixels, self._class_names)
                    )
                if self._listed:
                    write_text(self._part(video), json.dumps(found.records(int(video.name))))
                else:
                    with PngWriter(self._output / video.name, self._palette) as pngs:
                        for name, codes in found.frames():
                            pngs.write(name, rank_labels(codes, found.size))
        return timing

    def _until_stopped(self, frames: Iterable[NamedFrame]) -> Iterator[NamedFrame]:
        for frame in frames:
            if self._stopped.is_set():
                raise OutputError("stopped, because another video failed")
            yield frame


def _gather(output: Path, parts: list[Path]) -> None:
    """Writes the results of all videos to one file, and to the archive that a server takes."""
    records = [record for part in parts for record in json.loads(part.read_text())]
    write_text(output / RESULTS, json.dumps(records))
    target = (output / RESULTS).with_suffix(".zip")
    partial = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(output / RESULTS, RESULTS)
        os.replace(partial, target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from error


def _write_overlays(folder: Path, frames: Iterable[tuple[str, np.ndarray]]) -> None:
    make_folder(folder)
    with Background(threads=2) as writer:
        for name, frame in frames:
            writer.submit(_write_jpeg, folder / f"{name}.jpg", frame)


def _write_jpeg(path: Path, frame: np.ndarray) -> None:
    try:
        path.write_bytes(cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
