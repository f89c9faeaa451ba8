"""Batches of training clips: batch n of seed s is always the same, however it is computed.

    loader = make_loader([(StillClips(...), 0.5), (VideoClips(...), 0.5)], batch_size=8, ...)
    batch = next(loader)                    # dict of numpy arrays, the fields of a Clip
    state = loader.get_state()              # small, JSON; goes into the checkpoint

The stream depends neither on the number of worker processes nor on the number of training
processes: each of P processes makes its rows [p * b / P, (p + 1) * b / P) of the global batch.
So the state is just the number of batches handed out.
"""

import logging
from collections.abc import Iterator, Sequence

import grain
import numpy as np
from absl import flags

from vos_jax.core.errors import CapacityError, ConfigError, ImageError, MaskError, RecordError
from vos_jax.data.canvases import SizeRule, check_canvases, choose_canvases, place
from vos_jax.data.clips import ClipSource
from vos_jax.data.sampling import Schedule
from vos_jax.data.warps import Size
from vos_jax.data.workers import STARTS, settle_in, tells_of_death

_log = logging.getLogger(__name__)

ENDLESS = 1 << 40
UNREADABLE = (ImageError, MaskError, RecordError)
ATTEMPTS = 8
FEWEST_JUDGED = 1000
PREFETCHED = 2


class Batches:
    """Random access to the rows of all batches that one process makes.

    Item n is (batch, failures): the fields of a clip with a leading axis, and one line of text
    per record that could not be read. Such a sample is replaced by the next of its canvas.
    """

    def __init__(
        self,
        sources: Sequence[tuple[ClipSource, float]],
        *,
        rows: range,
        batch_size: int,
        seed: int,
        canvases: Sequence[Size],
        size_rule: SizeRule | None,
        multiple: int,
        slots: int,
        total: int,
        content: Sequence[int],
    ):
        """Arguments as of `make_loader`; `rows` are this process's rows.

        Raises:
            ConfigError: settings that cannot work together.
        """
        if not sources or len({source.times for source, _ in sources}) > 1:
            raise ConfigError("all data sources must give clips of one number of frames")
        if len({source.gives for source, _ in sources}) > 1:
            raise ConfigError("either all data sources or none must give masks of their own")
        self._sources, self._weights = zip(*sources, strict=True)
        self._rows, self._batch_size, self._seed = rows, batch_size, seed
        self._canvases = check_canvases(canvases, multiple)
        self._size_rule, self._slots, self._total = size_rule, slots, total
        self._content = list(content)
        if self._scheduled and total < 1:
            raise ConfigError("a data source changes with the training: total must be positive")
        self._schedule = Schedule(
            [source.counts for source in self._sources],
            [choose_canvases(self._canvases, s.sizes, size_rule) for s in self._sources],
            self._weights,
            max_objects=slots,
            batch_size=batch_size,
            seed=seed,
        )

    @property
    def _scheduled(self) -> bool:
        return any(source.scheduled for source in self._sources)

    @property
    def identity(self) -> dict:
        """What must be equal for batch n to be the same batch; fit for JSON."""
        schedule = {"total": self._total} if self._scheduled else {}
        return {
            **schedule,
            "seed": self._seed,
            "batch_size": self._batch_size,
            "items": [len(source.sizes) for source in self._sources],
            "content": self._content,
            "weights": [float(weight) for weight in self._weights],
            "canvases": [list(canvas) for canvas in self._canvases],
            "slots": self._slots,
        }

    def __len__(self) -> int:
        """So many that training never reaches the end."""
        return ENDLESS

    def __getitem__(self, batch: int) -> tuple[dict[str, np.ndarray], list[str]]:
        """Makes this process's rows of a batch.

        Raises:
            RecordError: many records in a row cannot be read.
        """
        failures = []
        samples = [self._sample(int(batch), row, failures) for row in self._rows]
        return {field: np.stack([s[field] for s in samples]) for field in samples[0]}, failures

    def _sample(self, batch: int, row: int, failures: list[str]) -> dict[str, np.ndarray]:
        canvas = self._canvases[self._schedule.canvas(batch)]
        number = batch * self._batch_size + row
        progress = min(batch, self._total - 1) / self._total if self._scheduled else 0.0
        for attempt in range(ATTEMPTS):
            draw = self._schedule.draw(batch, row, attempt)
            rng = np.random.default_rng([self._seed, number, attempt])
            try:
                sample = self._sources[draw.source].clip(draw.item, draw.objects, rng, progress)
            except UNREADABLE as error:
                failures.append(f"sample {number}: {error}")
            else:
                return place(sample, canvas, self._slots, self._size_rule)
        raise RecordError(f"{ATTEMPTS} records in a row cannot be read, the last {failures[-1]}")


class Loader:
    """Iterator over batches with worker processes, a resumable state and a count of failures.

    Attributes:
        batches: random access to what is iterated over.
        failed: records that could not be read so far (in this process, since it was made).
    """

    def __init__(self, batches: Batches, *, workers: int, max_failed: float):
        """Takes what `make_loader` prepared.

        Args:
            batches: random access to the batches.
            workers: worker processes; 0 makes batches in a thread of this process.
            max_failed: largest fraction of unreadable samples.
        """
        self.batches, self._workers, self._max_failed = batches, workers, max_failed
        self._next, self._drawn, self.failed = 0, 0, 0
        self._iterator: Iterator | None = None

    def __iter__(self) -> "Loader":
        """Itself."""
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        """The next batch.

        Raises:
            RecordError: too many records cannot be read.
            CapacityError: worker processes die again and again.
        """
        batch, failures = self._draw()
        self._next += 1
        self._drawn += len(batch["frames"])
        self._count(failures)
        return batch

    def get_state(self) -> dict:
        """Where the stream stands: a small dict that JSON can hold."""
        return {"batch": self._next, **self.batches.identity}

    def set_state(self, state: dict) -> None:
        """Goes on where the state was taken, to the bit.

        Raises:
            ConfigError: the state belongs to another seed, batch size or data.
        """
        for name, value in self.batches.identity.items():
            if state.get(name) != value:
                raise ConfigError(
                    f"the checkpoint's data stream had {name} {state.get(name)!r}, not {value!r}; "
                    "resume with the same setting, or start in a new workdir"
                )
        self.close()
        self._next = int(state["batch"])

    def close(self) -> None:
        """Ends the worker processes; the next batch starts them again."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def _draw(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """The next item; workers that died are replaced, since any worker can make any batch."""
        for _ in range(STARTS):
            if self._iterator is None:
                self._iterator = self._start()
            try:
                return next(self._iterator)
            except RuntimeError as error:
                if not tells_of_death(error):
                    raise
                _log.warning("batch %d is made by new workers: %s", self._next, error)
                self.close()
        raise CapacityError(
            f"workers that make batch {self._next} died {STARTS} times; if memory or /dev/shm is "
            "full, lower config.data.workers"
        )

    def _start(self) -> Iterator:
        """Each worker takes every `workers`-th batch and keeps a few finished.

        Grain reads absl flags of its own when it starts workers, and our commands parse none.
        """
        reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=PREFETCHED)
        dataset = grain.MapDataset.source(self.batches)
        dataset = dataset.slice(slice(self._next, None)).to_iter_dataset(reading)
        if self._workers:
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            processes = grain.MultiprocessingOptions(
                num_workers=self._workers, per_worker_buffer_size=1
            )
            dataset = dataset.mp_prefetch(processes, worker_init_fn=settle_in)
        return iter(dataset)

    def _count(self, failures: list[str]) -> None:
        for failure in failures:
            _log.warning("unreadable, replaced by the next one: %s", failure)
        self.failed += len(failures)
        if self.failed > self._max_failed * max(self._drawn, FEWEST_JUDGED):
            raise RecordError(
                f"{self.failed} of {self._drawn} samples cannot be read, more than the fraction "
                f"{self._max_failed} allowed; the last: {failures[-1]}"
            )


def make_loader(
    sources: Sequence[tuple[ClipSource, float]],
    *,
    batch_size: int,
    seed: int,
    canvases: Sequence[Size],
    size_rule: SizeRule | None = None,
    multiple: int = 32,
    slots: int = 4,
    total: int = 0,
    content: Sequence[int] = (),
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    max_failed: float = 0.01,
) -> Loader:
    """An endless, shuffled, resumable stream of batches.

    Batches are dicts of the fields of a training clip: frames uint8 [b, t, h, w, 3] RGB, labels
    uint8 [b, t, h, w] slot numbers, slots bool [b, o], present bool [b, t, o], labelled bool
    [b, t], valid bool [b, t, h, w], and from sources that give masks of their own given uint8
    [b, h, w, o]; (h, w) is one of the canvases and b the share of this process.

    Args:
        sources: sources of clips with their share of the samples.
        batch_size: clips of a batch over all processes.
        seed: determines the whole stream.
        canvases: (h, w) of the batches; see `canvases`.
        size_rule: size of a source image to its training size, reduced where a canvas is too
            small; None takes the largest that fits.
        multiple: of which the canvases' sides must be multiples.
        slots: object slots o, which is also the largest number of objects of a clip.
        total: batches of the whole training, for sources that change with it.
        content: fingerprints of the data sets; a stream is not resumed on others.
        workers: worker processes; the stream does not depend on it.
        process_index: this process among those that share the batch.
        process_count: their number.
        max_failed: fraction of unreadable samples (of at least 1000) above which to stop.

    Raises:
        ConfigError: settings that cannot work together.
    """
    batches = Batches(
        sources,
        rows=_own_rows(batch_size, process_index, process_count),
        batch_size=batch_size,
        seed=seed,
        canvases=canvases,
        size_rule=size_rule,
        multiple=multiple,
        slots=slots,
        total=total,
        content=content,
    )
    return Loader(batches, workers=workers, max_failed=max_failed)


def _own_rows(batch_size: int, process_index: int, process_count: int) -> range:
    """The rows of a batch that a process makes."""
    if batch_size < 1 or not 0 <= process_index < process_count or batch_size % process_count:
        raise ConfigError(
            f"batch_size {batch_size} cannot be shared equally by {process_count} processes "
            f"(this one is number {process_index})"
        )
    share = batch_size // process_count
    return range(process_index * share, (process_index + 1) * share)
