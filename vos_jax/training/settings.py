"""What a training config may hold: every key, its default, its meaning.

A config file's `get_config()` states what differs from these defaults; `--config.key=value` on
the command line overrides. Any other key is an error. Keys of `model` are the constructor
arguments of the system, keys of a data source's `augmentation` those of its augmentation.
Patterns of parameter names are file-name globs over the path, such as "encoder/*/bias"; a star
also matches slashes.
"""

import dataclasses
import typing
from collections.abc import Mapping

from vos_jax.core.errors import ConfigError

Patterns = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ScheduleSettings:
    """Learning rate over updates, see `schedules.learning_rate`.

    Attributes:
        kind: "constant", "step", "cosine", "power" or "exponential".
        rate: after the warm-up.
        floor: part of the rate that neither the schedule nor the factors of parameters touch.
        warmup_from: rate of the first update.
        warmup_steps: updates of linear warm-up; 0 for none.
        drops: step: updates from which the rate is multiplied by `factor`, once each.
        factor: step: the multiplier; cosine, exponential: the rate at `length` as a fraction of
            `rate`.
        start: exponential: updates before the rate falls.
        length: cosine, power, exponential: the update at which the last rate is reached.
        power: of the part that is left of the updates.
    """

    kind: str = "constant"
    rate: float = 1e-4
    floor: float = 0.0
    warmup_from: float = 0.0
    warmup_steps: int = 0
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    start: int = 0
    length: int = 0
    power: float = 0.9


@dataclasses.dataclass(frozen=True)
class OptimiserSettings:
    """Adam, AdamW or SGD, see `optimisers.optimiser`.

    Attributes:
        kind: "adam", or "sgd" with Nesterov's momentum.
        momentum: of sgd.
        betas: decay of the first and second moments.
        eps: added to the root of the second moment.
        decay: decoupled weight decay, times the rate (AdamW).
        l2: weight decay that is added to the gradient first (PyTorch's Adam and SGD).
        no_decay: patterns of parameters without either.
        clip: largest global norm of the gradients; 0 does not clip.
        rates: pairs (pattern, factor on the rate above the schedule's floor).
        frozen: pairs (pattern, update from which these parameters stand still).
        ema: decay of the moving average of the parameters, at update n at most (1 + n) / (10 + n)
            so that it soon forgets the start; 0 keeps none.
    """

    kind: str = "adam"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.01
    l2: float = 0.0
    no_decay: Patterns = ()
    clip: float = 0.0
    rates: tuple[tuple[str, float], ...] = ()
    frozen: tuple[tuple[str, int], ...] = ()
    ema: float = 0.0


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """How the devices of all processes are arranged, in a grid of data x model.

    All of them share the clips of a batch, whatever the grid.

    Attributes:
        data: groups of `model` devices; 0 takes as many as there are.
        model: devices that share each large parameter, its moments and moving average, so that
            each keeps 1 / model of them; 1 keeps whole copies everywhere.
    """

    data: int = 0
    model: int = 1


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """What is written to TensorBoard and when, in updates.

    Attributes:
        scalars_every: losses, rate and speed, averaged since the last time.
        images_every: predictions on a training clip; 0 for never.
    """

    scalars_every: int = 50
    images_every: int = 1000


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """When training is saved.

    Attributes:
        every: updates between checkpoints; the last update is always saved.
        keep: newest checkpoints that stay.
    """

    every: int = 10_000
    keep: int = 3


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """One source of clips.

    Attributes:
        kind: HODOR's "stills" (clips made of annotated images), "videos" and "sparse_videos"
            (one labelled frame each), or "composed" of named parts for all other systems.
        folder: of the prepared set, below the root of the data.
        split: of that set.
        share: of the samples, relative to the other sources.
        options: further arguments of `data.clips.StillClips`, `VideoClips`, `SparseVideoClips`
            or `data.composed.ComposedClips`; the latter's `frames` and `objects` are mappings
            with a `kind` of `data.frame_sampling.SAMPLERS` and `data.objects.CHOICES` and its
            arguments, and `merge` is the share of clips merged from two.
        augmentation: arguments of `data.augment.StillAugmentation` or `VideoAugmentation`;
            composed: a `recipe` of `data.recipes.RECIPES` and its arguments.
    """

    kind: str = "stills"
    folder: str = ""
    split: str = "train"
    share: float = 1.0
    options: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)
    augmentation: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where clips come from.

    Attributes:
        root: folder of a set that `python -m data_prep...` wrote, or of several.
        sources: by name.
        canvases: (height, width) of batches; each is compiled once per plan.
        multiple: of which the canvases' sides are multiples.
        pixels: area that images are scaled to; 0 for another rule.
        short_side: that images are scaled to, unless the long side would exceed `long_side`; 0
            for another rule. Without a rule an image takes the largest size that fits its canvas.
        long_side: largest, with `short_side`.
        slots: objects of a clip at most.
        workers: processes that make batches; the stream does not depend on their number.
        max_failed: an unreadable sample is named in the log and replaced by the next one; above
            this fraction of them (judged over at least 1000) training stops. 0: at the first.
    """

    root: str = ""
    sources: Mapping[str, SourceSettings] = dataclasses.field(default_factory=dict)
    canvases: tuple[tuple[int, int], ...] = ((480, 640), (640, 480))
    multiple: int = 32
    pixels: int = 0
    short_side: int = 0
    long_side: int = 0
    slots: int = 4
    workers: int = 0
    max_failed: float = 0.01

    def __post_init__(self):
        """Refuses canvases that are no pairs, and two rules of size."""
        if not all(isinstance(size, tuple) and len(size) == 2 for size in self.canvases):
            raise ConfigError(
                f"config.data.canvases must be pairs ((height, width), ...), not {self.canvases}"
            )
        if self.multiple < 1:
            raise ConfigError(f"config.data.multiple is {self.multiple}; it must be positive")
        if bool(self.short_side) != bool(self.long_side) or (self.pixels and self.short_side):
            raise ConfigError(
                "config.data takes pixels, or short_side with long_side, or neither; not "
                f"pixels {self.pixels}, short_side {self.short_side}, long_side {self.long_side}"
            )


@dataclasses.dataclass(frozen=True)
class Settings:
    """A whole training run.

    Attributes:
        system: name in the registry.
        model: constructor arguments of the system.
        init_from: workdir whose weights to start from, or several, separated by commas; ''
            starts from scratch.
        seed: of parameters, dropout and data.
        steps: optimiser updates of the run.
        batch: clips of an update, over all devices and processes.
        accumulate: micro-batches an update is split into.
        schedule: learning rate.
        optimiser: everything else about updates.
        mesh: devices.
        data: clips.
        log: TensorBoard.
        checkpoints: saving.
    """

    system: str = "hodor"
    model: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)
    init_from: str = ""
    seed: int = 42
    steps: int = 1000
    batch: int = 8
    accumulate: int = 1
    schedule: ScheduleSettings = ScheduleSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    mesh: MeshSettings = MeshSettings()
    data: DataSettings = DataSettings()
    log: LogSettings = LogSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()

    def __post_init__(self):
        """Refuses numbers that cannot work."""
        for name in ("steps", "batch", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"config.{name} is {getattr(self, name)}; it must be positive")
        if self.batch % self.accumulate:
            raise ConfigError(
                f"config.accumulate = {self.accumulate} does not divide config.batch = {self.batch}"
            )
        for name in ("log.scalars_every", "checkpoints.every", "checkpoints.keep"):
            group, key = name.split(".")
            if getattr(getattr(self, group), key) < 1:
                raise ConfigError(f"config.{name} must be positive")


def from_mapping(mapping: Mapping, kind: type = Settings, path: str = "config"):
    """The settings a nested mapping describes; what it leaves out has its default.

    Args:
        mapping: for instance the dict of a config, or of a `config.json`.
        kind: the dataclass to make.
        path: of the mapping, for messages.

    Returns:
        An instance of `kind`.

    Raises:
        ConfigError: an unknown key; values that cannot work together.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(mapping) - set(fields))
    if unknown:
        raise ConfigError(f"unknown {path}.{unknown[0]}; known are {', '.join(sorted(fields))}")
    values = {}
    for name, value in mapping.items():
        if dataclasses.is_dataclass(fields[name].type):
            value = from_mapping(value, fields[name].type, f"{path}.{name}")
        elif name == "sources":
            value = {
                source: from_mapping(each, SourceSettings, f"{path}.sources.{source}")
                for source, each in value.items()
            }
        values[name] = _as_tuples(value) if isinstance(value, list | tuple) else value
    return kind(**values)


def _as_tuples(value):
    if isinstance(value, list | tuple):
        return tuple(_as_tuples(each) for each in value)
    return value
