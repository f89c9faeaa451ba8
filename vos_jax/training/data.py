"""From settings to the stream of training clips."""

import functools
from pathlib import Path

import jax

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.core.geometry import by_area, by_short_side
from vos_jax.data.canvases import SizeRule
from vos_jax.data.classes import class_names
from vos_jax.data.pipeline import Loader, make_loader
from vos_jax.data.records import RecordSet, read_categories
from vos_jax.training.settings import DataSettings, Settings, SourceSettings
from vos_jax.training.sources import open_source


def open_loader(settings: Settings) -> Loader:
    """The micro-batches of this process.

    Raises:
        MissingInputError: no data set was named, or there is none.
        ConfigError: settings that cannot work.
    """
    data = settings.data
    if not data.root or not Path(data.root).is_dir():
        raise MissingInputError(
            f"config.data.root = {data.root!r} is no folder; prepare a set, for instance with "
            "python -m data_prep.coco --output FOLDER ..., and pass --config.data.root=FOLDER"
        )
    if not data.sources:
        raise ConfigError("config.data.sources is empty: name at least one source of clips")
    if len({bool(each.options.get("classes")) for each in data.sources.values()}) > 1:
        raise ConfigError("options.classes of config.data.sources: give it to all sources or none")
    records = {name: _records(data, each) for name, each in data.sources.items()}
    return make_loader(
        [
            (open_source(records[name], name, each), each.share)
            for name, each in data.sources.items()
        ],
        batch_size=settings.batch // settings.accumulate,
        seed=settings.seed,
        canvases=data.canvases,
        size_rule=_size_rule(data),
        multiple=data.multiple,
        slots=data.slots,
        total=settings.steps * settings.accumulate,
        workers=data.workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        max_failed=data.max_failed,
        content=[each.fingerprint for each in records.values()],
    )


def named_classes(settings: Settings) -> list[str]:
    """Names of the classes that clips name, in the order of their numbers; none without classes."""
    data = settings.data
    named = [
        class_names(each.options["classes"], read_categories(Path(data.root) / each.folder))
        for each in data.sources.values()
        if each.options.get("classes")
    ]
    return max(named, key=len, default=[])


def _size_rule(data: DataSettings) -> SizeRule | None:
    if data.pixels:
        return functools.partial(by_area, pixels=data.pixels)
    if data.short_side:
        return functools.partial(by_short_side, shortest=data.short_side, longest=data.long_side)
    return None


def _records(data: DataSettings, source: SourceSettings) -> RecordSet:
    return RecordSet(Path(data.root) / source.folder, source.split)
