"""Benchmark runs: every video of a data set to result PNGs, shared by the devices there are."""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
from jaxtyping import PyTree

from vos_jax.core.errors import OutputError
from vos_jax.core.labels import DAVIS_PALETTE, YOUTUBE_VOS_PALETTE
from vos_jax.inference.augmentation import View
from vos_jax.inference.benchmark_videos import BenchmarkVideo
from vos_jax.inference.runs import Timing, frames_needed, segment_to, session_for
from vos_jax.io.named_sets import named_set
from vos_jax.io.writers import PngWriter, make_folder, write_text
from vos_jax.systems.base import Segmenter


class BenchmarkRun:
    """Segments videos into `<output>/<video>/<frame>.png`.

    A video whose PNGs are all there is not done again. Beside the folder, `<output>.json` says
    what made the results, so that those of another checkpoint are not mistaken for them.

    Args:
        system: a configured prompted system.
        params: its parameters.
        output: folder for the results.
        made_by: what the results depend on, anything JSON holds.
        dataset: selects the palette of the PNGs.
        memory: entries of a growing memory; None keeps all.
        encode_batch: see `segment_offline`.
        views: of test-time augmentation, if there are any.
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
        dataset: str = "davis_val",
        memory: int | None = None,
        encode_batch: int = 1,
        views: Sequence[View] = (),
        say: Callable[[str], object] = print,
    ):
        """Makes the folder."""
        self._system, self._params = system, params
        self._output = make_folder(output)
        self._memory, self._encode_batch, self._say = memory, encode_batch, say
        self._views = views
        youtube = named_set(dataset).layout == "youtube_vos"
        self._palette = YOUTUBE_VOS_PALETTE if youtube else DAVIS_PALETTE
        _claim(self._output, made_by)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._total = Timing()
        self._left = 0
        self._begun = 0.0

    def run(self, videos: list[BenchmarkVideo]) -> Timing:
        """Segments what is not done yet, one thread per local device.

        With several processes (`jax.distributed`), each takes its share of the videos.

        Returns:
            Time and frames of this process; `seconds`, `waiting` and `compiling` are sums over
            the devices.
        """
        mine = videos[jax.process_index() :: jax.process_count()]
        todo = [video for video in mine if not self.finished(video)]
        if len(todo) < len(mine):
            self._say(f"{len(mine) - len(todo)} of {len(mine)} videos are done already")
        self._left = sum(video.length for video in todo)
        self._begun = time.perf_counter()
        waiting: queue.SimpleQueue = queue.SimpleQueue()
        for video in todo:
            waiting.put(video)
        devices = jax.local_devices()[: max(1, len(todo))]
        with ThreadPoolExecutor(len(devices)) as pool:
            workers = [pool.submit(self._work, device, waiting) for device in devices]
            try:
                for worker in workers:
                    worker.result()
            finally:
                self._stopped.set()
        return self._total

    def finished(self, video: BenchmarkVideo) -> bool:
        """Whether all PNGs of a video are there (each is written whole or not at all)."""
        folder = self._output / video.name
        wanted = video.length if video.wanted is None else len(video.wanted)
        return folder.is_dir() and len(list(folder.glob("[!.]*.png"))) == wanted

    def _work(self, device: jax.Device, waiting: queue.SimpleQueue) -> None:
        params = jax.device_put(self._params, device)
        try:
            while not self._stopped.is_set():
                video = waiting.get_nowait()
                self._done(video, self._segment(video, params))
        except queue.Empty:
            return
        except BaseException:
            self._stopped.set()
            raise

    def _segment(self, video: BenchmarkVideo, params: PyTree) -> Timing:
        timing = Timing()
        with timing.all_of_it():
            with timing.waits():
                masks = video.prompts()
                size = next(iter(masks.values())).shape
            session = session_for(
                self._system, params, size, masks, video.length, self._memory, self._views
            )
            looked_at, names = None, None
            if video.wanted is not None:
                looked_at = frames_needed(self._system.spec, video.length, masks, video.wanted)
                names = frozenset(video.wanted.values())
            with PngWriter(self._output / video.name, self._palette) as writer:

                def sink(name, frame, labels) -> None:
                    if self._stopped.is_set():
                        raise OutputError("stopped, because another video failed")
                    if names is None or name in names:
                        writer.write(name, labels)

                frames = video.frames(looked_at)
                segment_to(sink, session, frames, masks, timing, self._encode_batch)
        return timing

    def _done(self, video: BenchmarkVideo, timing: Timing) -> None:
        with self._lock:
            self._total.add(timing)
            self._left -= video.length
            rate = self._total.frames / (time.perf_counter() - self._begun)
            left = f", {self._left / rate / 60:.1f} min left" if self._left else ""
            self._say(f"{video.name}: {timing.line()}{left}")


def _claim(output: Path, made_by: dict) -> None:
    """Notes what makes the results, and refuses a folder whose results something else made."""
    note = output.with_name(f"{output.name}.json")
    try:
        there = json.loads(note.read_text())
    except FileNotFoundError:
        write_text(note, json.dumps(made_by, indent=2) + "\n")
        return
    except (OSError, ValueError) as error:
        raise OutputError(f"{note}: cannot be read ({error}); remove it") from error
    if there != json.loads(json.dumps(made_by)):
        differing = sorted(k for k in {*there, *made_by} if there.get(k) != made_by.get(k))
        raise OutputError(
            f"{output}: holds results of another {' and '.join(differing)} (see {note}); remove "
            "them or choose another --output"
        )
