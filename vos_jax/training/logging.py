"""What a run tells: a progress line, TensorBoard, and `metrics.jsonl` for anything else.

Only the first of several processes writes; all of them notice a loss that is no number.
"""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from vos_jax.core.errors import DivergedError
from vos_jax.training.events import Events

METRICS = "metrics.jsonl"
EVENTS = "tensorboard"
PRESENT = ("learning_rate", "unreadable")


class Log:
    """Reports on the updates of one run; a context.

    The numbers of an update are looked at when the next one has been handed to the devices, so
    that looking does not keep them waiting.
    """

    def __init__(self, workdir: Path, *, start: int, steps: int, every: int, clips: int):
        """Opens the files; what they hold of updates after `start` (a run cut short) goes.

        Args:
            workdir: of the run.
            start: finished updates.
            steps: updates of the whole run.
            every: updates between scalars.
            clips: of an update, for the speed.
        """
        self._every, self._clips = every, clips
        self._latest: tuple[int, Mapping[str, jax.Array]] | None = None
        self._sums: list[dict[str, float]] = []
        self._since = time.monotonic()
        self._writes = jax.process_index() == 0
        if self._writes:
            _keep_until(workdir / METRICS, start)
            self._metrics = (workdir / METRICS).open("a")
            self._events = Events(workdir / EVENTS, purge_step=start + 1)
        self._bar = tqdm(
            total=steps, initial=start, unit="step", disable=not self._writes, dynamic_ncols=True
        )

    def __enter__(self) -> "Log":
        """Returns itself."""
        return self

    def __exit__(self, *error) -> None:
        """Closes the files."""
        self._bar.close()
        if self._writes:
            self._events.close()
            self._metrics.close()

    def update(
        self, step: int, metrics: Mapping[str, jax.Array], rate: float, unreadable: int = 0
    ) -> None:
        """Takes the numbers of update `step`, counted from 1, and looks at the one before.

        Args:
            step: number of finished updates.
            metrics: losses and `gradient_norm`; their means are reported.
            rate: the learning rate; the latest is reported.
            unreadable: records that this process could not read so far; likewise.

        Raises:
            DivergedError: the update before had a loss or gradient that is not finite.
        """
        self.settle()
        self._latest = (step, {**metrics, "learning_rate": rate, "unreadable": unreadable})
        self._bar.update()

    def settle(self) -> None:
        """Looks at the last update.

        Raises:
            DivergedError: its loss or gradient is not finite.
        """
        if self._latest is None:
            return
        (step, metrics), self._latest = self._latest, None
        values = {name: float(value) for name, value in metrics.items()}
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(values[name]):
                raise DivergedError(
                    f"update {step}: {name} is {values[name]}; the last checkpoint is from before. "
                    "Lower config.schedule.rate, set config.optimiser.clip, or look at the data"
                )
        self._sums.append(values)
        self._bar.set_postfix(loss=f"{values['loss']:.4g}", refresh=False)
        if step % self._every == 0:
            self._write(step)

    def image(self, step: int, image: np.ndarray) -> None:
        """Shows predictions, uint8 [h, w, 3]."""
        if self._writes:
            self._events.image(step, "predictions", image)

    def _write(self, step: int) -> None:
        """Means since the last time; what is not of an update but of now is the present value."""
        names = self._sums[0]
        means = {name: float(np.mean([each[name] for each in self._sums])) for name in names}
        means |= {name: self._sums[-1][name] for name in PRESENT}
        now = time.monotonic()
        means["clips_per_second"] = self._clips * len(self._sums) / (now - self._since)
        self._sums, self._since = [], now
        if not self._writes:
            return
        self._metrics.write(json.dumps({"step": step, **means}) + "\n")
        self._metrics.flush()
        self._events.scalars(step, means)


def say(text: str) -> None:
    """Prints a line, on the first process only."""
    if jax.process_index() == 0:
        tqdm.write(text)


def _keep_until(path: Path, step: int) -> None:
    """Drops later lines, and one that was cut, from a file of metrics; all of it or nothing."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["step"] > step:
            break
        kept.append(line)
    shorter = path.with_suffix(".tmp")
    shorter.write_text("".join(kept))
    shorter.replace(path)
