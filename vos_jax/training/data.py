"""From settings to the stream of training clips."""

import functools
from collections.abc import Mapping
from pathlib import Path

import jax

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.core.geometry import by_area, by_short_side
from vos_jax.data.augment import StillAugmentation, VideoAugmentation
from vos_jax.data.canvases import SizeRule
from vos_jax.data.clips import ClipSource, SparseVideoClips, StillClips, VideoClips
from vos_jax.data.colour import ColourJitter
from vos_jax.data.pipeline import Loader, make_loader
from vos_jax.data.records import RecordSet
from vos_jax.training.settings import DataSettings, Settings, SourceSettings

KINDS = {
    "stills": (StillClips, StillAugmentation),
    "videos": (VideoClips, VideoAugmentation),
    "sparse_videos": (
        SparseVideoClips,
        functools.partial(VideoAugmentation, colour_per_frame=True),
    ),
}


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
    return make_loader(
        [(_open_source(data, name, each), each.share) for name, each in data.sources.items()],
        batch_size=settings.batch // settings.accumulate,
        seed=settings.seed,
        canvases=data.canvases,
        size_rule=_size_rule(data),
        multiple=data.multiple,
        slots=data.slots,
        workers=data.workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        max_failed=data.max_failed,
    )


def _size_rule(data: DataSettings) -> SizeRule | None:
    if data.pixels:
        return functools.partial(by_area, pixels=data.pixels)
    if data.short_side:
        return functools.partial(by_short_side, shortest=data.short_side, longest=data.long_side)
    return None


def _open_source(data: DataSettings, name: str, source: SourceSettings) -> ClipSource:
    if source.kind not in KINDS:
        raise ConfigError(
            f"config.data.sources.{name}.kind is {source.kind!r}; known are {', '.join(KINDS)}"
        )
    clips, augmentation = KINDS[source.kind]
    records = RecordSet(Path(data.root) / source.folder, source.split)
    try:
        return clips(records, augmentation(**_nested(source.augmentation)), **source.options)
    except TypeError as error:
        raise ConfigError(f"config.data.sources.{name}: {error}") from error


def _nested(augmentation: Mapping) -> dict:
    """Arguments of an augmentation, its colour change made of its own arguments."""
    colour = {name: ColourJitter(**augmentation[name]) for name in {"colour"} & set(augmentation)}
    return {**augmentation, **colour}
