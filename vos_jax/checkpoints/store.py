"""What a workdir holds: settings, and checkpoints of which only complete ones are trusted.

    WORKDIR/config.json             settings: system, model, inference, train, partial
    WORKDIR/checkpoints/STEP/       params, ema, training, data (the last three if kept)
    WORKDIR/checkpoints/removed/    old steps on their way out

A step appears by a rename when it is complete and disappears by a rename before its files are
deleted, so that a kill at any moment leaves no half of a step under its number.
"""

import contextlib
import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from vos_jax.core.errors import CheckpointError, MissingInputError, OutputError

SETTINGS = "config.json"
CHECKPOINTS = "checkpoints"
REMOVED = "removed"
TEMPORARY = ".orbax-checkpoint-tmp"
ARRAY_ITEMS = ("params", "ema", "training")
T = TypeVar("T")

log = logging.getLogger(__name__)


def save_settings(workdir: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
    """Writes `config.json`, all of it or nothing; makes the workdir if needed.

    Raises:
        OutputError: the workdir cannot be written.
    """
    path = Path(workdir) / SETTINGS
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def load_settings(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads `config.json`.

    Raises:
        MissingInputError: the folder or the file is not there.
        CheckpointError: the file is no JSON object.
    """
    path = Path(workdir) / SETTINGS
    try:
        settings = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(
            f"{path}: no such file; a workdir is made by vos_jax.train or vos_jax.convert"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged settings ({error})") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: damaged settings (no JSON object)")
    return settings


def load_params(
    workdir: str | os.PathLike[str], step: int | None = None
) -> tuple[dict[str, Any], int]:
    """Reads parameters for inference or transfer, whatever devices wrote them.

    Args:
        workdir: made by training or conversion; only read.
        step: which checkpoint; None takes the last complete one, and logs a warning for every
            damaged one it passes over.

    Returns:
        The averaged parameters if the checkpoint has them, else the parameters, as a nested dict
        of NumPy arrays; and the step.

    Raises:
        CheckpointError: no checkpoint, none that is complete, or not the one asked for.
    """
    folder = Path(workdir).absolute() / CHECKPOINTS

    def read(number: int) -> dict[str, Any]:
        at = folder / str(number)
        return _read_arrays(at / ("ema" if (at / "ema").exists() else "params"))

    return _first_readable(folder, step, read)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One step of a run.

    Attributes:
        params: parameters.
        ema: their running average, None if none is kept.
        training: optimiser state, random key and whatever else the next step depends on; None
            for a checkpoint of parameters alone.
        data: state of the data iterator, the same on every process, a dict that JSON holds; None
            if not kept.
    """

    params: Any
    ema: Any = None
    training: Any = None
    data: Any = None


class Store:
    """Saves and restores the checkpoints of the one process group that writes a workdir.

    Every process writes its share of the arrays; any number of processes and devices, in any
    layout, can restore them. All processes make the same calls.

    Saving runs in the background; use as a context manager, or call `close` to wait for it.

    Args:
        workdir: its folder `checkpoints` is made if needed.
        keep: how many of the last steps stay.

    Raises:
        OutputError: the workdir cannot be written.
    """

    def __init__(self, workdir: str | os.PathLike[str], keep: int = 3):
        self._folder = Path(workdir).absolute() / CHECKPOINTS
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be made ({error.strerror})") from error
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, todelete_subdir=REMOVED)
        names = (*ARRAY_ITEMS, "data")
        logging.getLogger("absl").addFilter(_is_no_traceback)
        self._empty_begun()
        with self._storing():
            self._manager = ocp.CheckpointManager(self._folder, item_names=names, options=options)
        self._empty_removed()

    def __enter__(self) -> "Store":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for the last save."""
        self.close()

    def latest_step(self) -> int | None:
        """The last step saved, complete as far as names tell; None before the first."""
        return max(_steps(self._folder), default=None)

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Saves a step in the background and lets the oldest go.

        Raises:
            OutputError: the disk is full or read-only; it may come at a later save, or at `close`.
        """
        items = {
            name: ocp.args.StandardSave(jax.tree.map(_as_array, getattr(checkpoint, name)))
            for name in ARRAY_ITEMS
            if getattr(checkpoint, name) is not None
        }
        if checkpoint.data is not None:
            items["data"] = ocp.args.JsonSave(checkpoint.data)
        with self._storing():
            self._manager.save(step, args=ocp.args.Composite(**items))
        self._empty_removed()

    def restore(self, like: Checkpoint, step: int | None = None) -> tuple[Checkpoint, int]:
        """Restores what a run needs to continue as if it had not stopped.

        Args:
            like: arrays, or `jax.ShapeDtypeStruct`s with shardings, of what to restore; its
                `data` is any value that is not None if the iterator's state is wanted.
            step: None takes the last complete one, sets damaged newer ones aside under
                `damaged_STEP`, and logs a warning for each.

        Raises:
            CheckpointError: nothing there, damaged, or of another model or optimiser.
        """
        self._manager.wait_until_finished()
        found, number = _first_readable(self._folder, step, lambda at: self._restore(like, at))
        if jax.process_index() == 0 and step is None:
            for newer in [at for at in _steps(self._folder) if at > number]:
                (self._folder / str(newer)).rename(self._folder / f"damaged_{newer}")
        multihost_utils.sync_global_devices(f"damaged steps after {number} are set aside")
        self._manager.reload()
        return found, number

    def close(self) -> None:
        """Waits until everything is on disk.

        Raises:
            OutputError: the disk is full or read-only.
        """
        with self._storing():
            self._manager.close()
        self._empty_removed()

    def _restore(self, like: Checkpoint, step: int) -> Checkpoint:
        items: dict[str, Any] = {
            name: ocp.args.StandardRestore(jax.tree.map(_as_target, getattr(like, name)))
            for name in ARRAY_ITEMS
            if getattr(like, name) is not None
        }
        if like.data is not None:
            items["data"] = ocp.args.JsonRestore()
        missing = [name for name in items if not (self._folder / str(step) / name).exists()]
        if missing:
            raise ValueError(f"it holds no {' and no '.join(missing)}")
        found = Checkpoint(**self._manager.restore(step, args=ocp.args.Composite(**items)))
        for name in ARRAY_ITEMS:
            jax.tree_util.tree_map_with_path(_same_shape, getattr(like, name), getattr(found, name))
        return found

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        """Orbax raises what went wrong in the background at its next call, as whatever it was."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self._folder}: a checkpoint cannot be saved ({_short(error)}); make room, then "
                "run the same command again: it goes on from the last complete one"
            ) from error

    def _empty_begun(self) -> None:
        """Removes what a killed save left, also where it left too little for Orbax to know it."""
        if jax.process_index() == 0:
            for folder in self._folder.glob(f"*{TEMPORARY}*"):
                shutil.rmtree(folder, ignore_errors=True)

    def _empty_removed(self) -> None:
        if jax.process_index() == 0:
            shutil.rmtree(self._folder / REMOVED, ignore_errors=True)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    """False for what Orbax logs of an error in the background, which it also raises."""
    return not (record.exc_info and "orbax" in record.pathname)


def _steps(folder: Path) -> list[int]:
    """Steps under their final names, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())


def _first_readable(folder: Path, step: int | None, read: Callable[[int], T]) -> tuple[T, int]:
    """Reads the asked step, or the newest that can be read."""
    steps = _steps(folder)
    if step is not None and step not in steps:
        raise CheckpointError(f"{folder}: no step {step}; there are {steps or 'none'}")
    reasons = []
    for number in [step] if step is not None else steps[::-1]:
        try:
            found = read(number)
        except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
            reasons.append(f"{folder / str(number)}: {_short(error)}")
            continue
        for reason in reasons:
            log.warning("%s; continuing with step %d", reason, number)
        return found, number
    if reasons:
        raise CheckpointError(f"damaged, or of another model: {reasons[0]}")
    raise CheckpointError(f"{folder}: no checkpoint in it yet; train or convert into it first")


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def _read_arrays(folder: Path) -> dict[str, Any]:
    """Reads one item as NumPy arrays, without knowing its tree beforehand."""
    handler = ocp.PyTreeCheckpointHandler()
    metadata = handler.metadata(folder)
    restore = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), metadata.tree)
    return handler.restore(folder, args=ocp.args.PyTreeRestore(restore_args=restore))


def _as_array(leaf: Any) -> Any:
    return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


def _as_target(leaf: Any) -> jax.ShapeDtypeStruct:
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=getattr(leaf, "sharding", None))


def _same_shape(path: tuple[Any, ...], wanted: Any, found: Any) -> None:
    if np.shape(wanted) != np.shape(found):
        where = jax.tree_util.keystr(path, simple=True, separator="/")
        raise ValueError(f"{where} has shape {np.shape(found)}, wanted {np.shape(wanted)}")
