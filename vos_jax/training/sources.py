"""From the settings of a source of clips to the source."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping

from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import StillAugmentation, VideoAugmentation
from vos_jax.data.clips import ClipSource, SparseVideoClips, StillClips, VideoClips
from vos_jax.data.colour import ColourJitter
from vos_jax.data.composed import ComposedClips, MergedClips
from vos_jax.data.frame_sampling import SAMPLERS
from vos_jax.data.objects import CHOICES
from vos_jax.data.recipes import RECIPES
from vos_jax.data.records import RecordSet
from vos_jax.training.settings import SourceSettings

KINDS = {
    "stills": (StillClips, StillAugmentation),
    "videos": (VideoClips, VideoAugmentation),
    "sparse_videos": (
        SparseVideoClips,
        functools.partial(VideoAugmentation, colour_per_frame=True),
    ),
    "composed": (ComposedClips, None),
}
"""Sources by the name a configuration gives, with the augmentation that belongs to each."""


def source_defaults(name: str, stated: Mapping) -> dict:
    """Every key that the source of this kind may hold, at its default.

    Args:
        name: of the source, for messages.
        stated: what a config says of it; names the kinds of its parts.

    Raises:
        ConfigError: an unknown kind.
    """
    kind = _chosen(KINDS, {"kind": SourceSettings.kind, **stated}, "kind", name)
    clips, augmentation = KINDS[kind]
    defaults = dataclasses.asdict(SourceSettings(kind=kind))
    defaults["options"] = dict(clips.__init__.__kwdefaults__)
    if augmentation:
        return {**defaults, "augmentation": dataclasses.asdict(augmentation())}
    options = stated.get("options", {})
    for part, table in (("frames", SAMPLERS), ("objects", CHOICES)):
        choice = _chosen(table, options.get(part, {}), "kind", f"{name}.options.{part}")
        defaults["options"][part] = {"kind": choice, **dataclasses.asdict(table[choice]())}
    recipe = _chosen(RECIPES, stated.get("augmentation", {}), "recipe", f"{name}.augmentation")
    arguments = inspect.signature(RECIPES[recipe]).parameters.values()
    defaults["options"]["merge"] = 0.0
    defaults["augmentation"] = {"recipe": recipe, **{each.name: each.default for each in arguments}}
    return defaults


def open_source(records: RecordSet, name: str, source: SourceSettings) -> ClipSource:
    """The source of clips that the settings describe.

    Args:
        records: the prepared set.
        name: of the source, for messages.
        source: its settings.

    Raises:
        ConfigError: an unknown kind or argument, or arguments that cannot work.
    """
    kind = _chosen(KINDS, {"kind": source.kind}, "kind", name)
    clips, augmentation = KINDS[kind]
    try:
        if augmentation is None:
            return _composed(records, name, source)
        return clips(records, augmentation(**_nested(source.augmentation)), **source.options)
    except TypeError as error:
        raise ConfigError(f"config.data.sources.{name}: {error}") from error


def _composed(records: RecordSet, name: str, source: SourceSettings) -> ClipSource:
    """Clips of the sampler, the recipe and the choice, of which a share `merge` is merged."""
    options = dict(source.options)
    merge = options.pop("merge", 0.0)
    if merge and options.get("classes"):
        raise ConfigError(f"config.data.sources.{name}.options: merged clips have no classes")
    parts = [
        _made(table, options.pop(part, {}), "kind", f"{name}.options.{part}")
        for part, table in (("frames", SAMPLERS), ("objects", CHOICES))
    ]
    chain = _made(RECIPES, source.augmentation, "recipe", f"{name}.augmentation")
    clips = ComposedClips(records, chain, *parts, **options)
    return MergedClips(clips, merge) if merge else clips


def _made(table: Mapping[str, Callable], arguments: Mapping, key: str, path: str):
    """What the entry of a table that the arguments name makes of the others."""
    others = {name: value for name, value in arguments.items() if name != key}
    return table[_chosen(table, arguments, key, path)](**others)


def _chosen(table: Mapping, arguments: Mapping, key: str, path: str) -> str:
    choice = arguments.get(key)
    if choice not in table:
        raise ConfigError(
            f"config.data.sources.{path}.{key} is {choice!r}; known are {', '.join(table)}"
        )
    return choice


def _nested(augmentation: Mapping) -> dict:
    """Arguments of an augmentation, its colour change made of its own arguments."""
    colour = {name: ColourJitter(**augmentation[name]) for name in {"colour"} & set(augmentation)}
    return {**augmentation, **colour}
