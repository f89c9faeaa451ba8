"""The settings a workdir was started with, which of them may change, and writing into it."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vos_jax.checkpoints import store
from vos_jax.core.errors import ConfigError, OutputError
from vos_jax.training.settings import Settings

FREE = ("steps", "log.", "checkpoints.", "mesh.", "data.root", "data.workers", "data.max_failed")
"""Settings that a later run in the same workdir may change: they do not alter its updates."""


def agree(workdir: str | Path, settings: Settings, class_names: Sequence[str] = ()) -> None:
    """Writes `config.json`, after a check against what it holds.

    Args:
        workdir: of the run.
        settings: of the run.
        class_names: of the classes 1, 2, ... that the system tells apart, for inference.

    Raises:
        ConfigError: the workdir belongs to other settings, or was not made by training.
        OutputError: it cannot be written.
    """
    now = json.loads(json.dumps(dataclasses.asdict(settings)))
    if (Path(workdir) / store.SETTINGS).exists():
        _compare(Path(workdir), now)
    document = {"system": settings.system, "model": now["model"], "config": now, "partial": False}
    if class_names:
        document["class_names"] = list(class_names)
    store.save_settings(workdir, document)


@contextlib.contextmanager
def writing(workdir: str | Path) -> Iterator[None]:
    """Names the workdir where the operating system refuses to write into it.

    Raises:
        OutputError: a full disk, a quota, no permission, or a folder that vanished.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or workdir}: cannot be written ({error.strerror or error}); make "
            "room or mend it, then run the same command again: it goes on from the last checkpoint"
        ) from error


def _compare(workdir: Path, now: Mapping) -> None:
    before = store.load_settings(workdir).get("config")
    if before is None:
        raise ConfigError(
            f"{workdir} holds converted weights: name it as --config.init_from={workdir} and "
            "train in another workdir"
        )
    old, new = dict(_leaves(before)), dict(_leaves(now))
    differing = [
        f"{key} (was {old.get(key)!r}, now {new.get(key)!r})"
        for key in sorted(old | new)
        if old.get(key) != new.get(key) and not key.startswith(FREE)
    ]
    if differing:
        raise ConfigError(
            f"{workdir} was started with other settings: {', '.join(differing)}; use those, or "
            "another workdir"
        )


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, tree
