"""The training run: one loop for all systems, from settings and a workdir to an exit code."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import jax
import numpy as np

from vos_jax.checkpoints.claim import claim
from vos_jax.checkpoints.store import Checkpoint, Store
from vos_jax.systems import registry
from vos_jax.systems.base import Clip, Segmenter
from vos_jax.training.data import named_classes, open_loader
from vos_jax.training.logging import Log, say
from vos_jax.training.optimisers import optimiser
from vos_jax.training.parameters import (
    initial_parameters,
    parameter_shapes,
    write_overview,
)
from vos_jax.training.pictures import map_picture, prediction_picture
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import Settings
from vos_jax.training.sharding import global_batch, make_mesh
from vos_jax.training.step import Trainer, TrainState, create_state, state_shapes
from vos_jax.training.stopping import EXIT_STOPPED, StopRequest
from vos_jax.training.workdir import agree, writing


class ClipStream(Protocol):
    """What training asks of its data: `data.pipeline.Loader`, or anything alike.

    Attributes:
        failed: records that could not be read so far.
    """

    failed: int

    def __next__(self) -> dict[str, np.ndarray]:
        """The next micro-batch: the fields of a `Clip`, this process's rows."""

    def get_state(self) -> dict:
        """Where the stream stands; JSON."""

    def set_state(self, state: dict) -> None:
        """Goes on from there."""

    def close(self) -> None:
        """Ends whatever makes the batches."""


def train(settings: Settings, workdir: str | Path) -> int:
    """Trains, from the last checkpoint of the workdir if there is one.

    The workdir gets `config.json`, `checkpoints/`, `parameters.txt`, `metrics.jsonl` and
    `tensorboard/`.

    Args:
        settings: of the run.
        workdir: made if needed; one run at a time.

    Returns:
        0 when all updates are done; `EXIT_STOPPED` after a stop signal.

    Raises:
        VosError: bad settings or data, a workdir in use or of another run, divergence.
    """
    workdir = Path(workdir)
    with claim(workdir) if jax.process_index() == 0 else contextlib.nullcontext():
        system = registry.build(settings.system, **settings.model)
        with contextlib.closing(open_loader(settings)) as loader:
            if jax.process_index() == 0:
                agree(workdir, settings, named_classes(settings))
            return run(settings, workdir, system, loader)


def run(settings: Settings, workdir: Path, system: Segmenter, loader: ClipStream) -> int:
    """Trains a system on a stream of micro-batches in a workdir that is ours.

    Args:
        settings: of the run; `data` is not looked at.
        workdir: exists.
        system: what is trained.
        loader: its data.

    Returns:
        As `train`.

    Raises:
        DivergedError: a loss or gradient that is no number.
        CheckpointError: checkpoints that do not fit.
        OutputError: the workdir cannot be written.
    """
    this = Run(settings, workdir, system, loader)
    with (
        writing(workdir),
        Store(workdir, settings.checkpoints.keep) as store,
        StopRequest() as stop,
    ):
        state, step = this.start(store)
        with Log(
            workdir,
            start=step,
            steps=settings.steps,
            every=settings.log.scalars_every,
            clips=settings.batch,
        ) as log:
            return this.fit(state, step, store, log, stop)


class Run:
    """The parts of a run and what is done with them."""

    def __init__(self, settings: Settings, workdir: Path, system: Segmenter, loader: ClipStream):
        """Finds shapes; draws and compiles nothing yet. The arguments are those of `run`."""
        self._settings, self._workdir = settings, workdir
        self._system, self._loader = system, loader
        self._mesh = make_mesh(settings.mesh)
        self._rate = learning_rate(settings.schedule)
        self._shapes = parameter_shapes(settings.system, system)
        self._transform = optimiser(
            settings.optimiser, settings.schedule, self._shapes, system.untrained
        )
        self._trainer = Trainer(system, self._transform, self._mesh, settings.optimiser.ema)

    def start(self, store: Store) -> tuple[TrainState, int]:
        """The last checkpoint's state and step, or drawn or transferred parameters and 0."""
        ema, seed = self._settings.optimiser.ema, self._settings.seed
        if store.latest_step() is None:
            params = initial_parameters(self._settings, self._system)
            state, step = create_state(params, self._transform, ema, seed, self._mesh), 0
        else:
            state = state_shapes(self._shapes, self._transform, ema, self._mesh)
            found, step = store.restore(_checkpoint(state, self._loader.get_state()))
            self._loader.set_state(found.data)
            state = TrainState(
                found.params, found.training["moments"], found.ema, found.training["key"]
            )
            say(f"resuming after update {step} of {self._settings.steps}")
        write_overview(self._workdir, self._shapes)
        return state, step

    def fit(self, state: TrainState, step: int, store: Store, log: Log, stop: StopRequest) -> int:
        """Updates until the last, or until a stop signal; saves on the way."""
        settings = self._settings
        while step < settings.steps:
            batches = [next(self._loader) for _ in range(settings.accumulate)]
            clips = [Clip(**global_batch(batch, self._mesh)) for batch in batches]
            rate = float(self._rate(step))
            if step == 0:
                state = self._trainer.primed(state, clips[0])
            state, metrics = self._trainer.update(state, step, clips)
            step += 1
            log.update(step, metrics, rate, self._loader.failed)
            stopping = stop.after(step)
            if stopping or step == settings.steps or step % settings.checkpoints.every == 0:
                log.settle()
                store.save(step, _checkpoint(state, self._loader.get_state()))
            if settings.log.images_every and step % settings.log.images_every == 0:
                self._show(state, step, batches[-1], clips[-1], log)
            if stopping and step < settings.steps:
                say(f"stopped after update {step}, saved; the same command goes on from there")
                return EXIT_STOPPED
        say(f"{step} updates done; checkpoints are in {self._workdir}")
        return 0

    def _show(self, state: TrainState, step: int, batch: Mapping, clip: Clip, log: Log) -> None:
        if not self._system.spec.prompted:
            maps = self._trainer.maps(state.params, clip)
            log.image(step, map_picture(batch, *map(np.asarray, maps)))
            return
        plan = self._system.plan(step, 0)
        labels = self._trainer.predict(state.params, clip, plan=plan)
        log.image(step, prediction_picture(batch, plan, labels))


def _checkpoint(state: TrainState, data: Mapping) -> Checkpoint:
    return Checkpoint(
        params=state.params,
        ema=state.average,
        training={"moments": state.moments, "key": state.key},
        data=dict(data),
    )
