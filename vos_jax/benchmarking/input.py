"""Our training input beside an official program's: frames per second and core.

Both sides run on one thread each, in turn, in processes of their own, and make the same clips of
the same images (HODOR: the same objects' number and frames too; AOT draws the frames of a video
itself) by operations of the same laws, at the same sizes. Counted is processor time from the
stored bytes to augmented, resized clips. Normalising is part of the official loaders; ours hand
bytes to the device, which normalises. It and JPEG decoding are reported apart.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from vos_jax.benchmarking import input_export
from vos_jax.benchmarking.inference import DRIVERS, Worker
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.data.records import RecordSet

WARM_UP = 3
BATCH = 4


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A published way to make training clips.

    Attributes:
        source: our settings of the source of clips, without folder and split.
        data: our other settings of the data.
        frames: of a clip.
        driver: file of `scripts/official`.
        marker: a file of the official checkout.
        export: writes prepared images as the official program wants them.
        note: what to know of the official side.
    """

    source: dict
    data: dict
    frames: int
    driver: str
    marker: str
    export: Callable[[RecordSet, list[input_export.Read], Path], None]
    note: str


_STILLS = ((480, 640), (640, 480), (448, 672), (672, 448), (576, 576))
_VIDEO = {"canvases": ((576, 1056),), "short_side": 576, "long_side": 1200}
_HODOR = ("hodor_input.py", "hodor/data/images/image_augmenter.py")

_HODOR_NOTE = "official: its own code and imgaug 0.4; collation left out"
_AOT_NOTE = (
    "official: its own code, augmentation v2, two clips merged as in training; torchvision's "
    "transforms stood in for on Pillow; collation left out"
)
_AOT = ("aot_input.py", "dataloaders/train_datasets.py")
_AOT_DATA = {"canvases": ((465, 465),), "multiple": 1, "slots": 10}


def _aot(recipe: str, frames: dict, objects: dict, merge: float) -> dict:
    """Settings of a source of AOT's clips."""
    options = {"frames": {"count": 5, **frames}, "objects": {"kind": "reference", **objects}}
    options["merge"] = merge
    return {"kind": "composed", "options": options, "augmentation": {"recipe": recipe}}


RECIPES = {
    "hodor_stills": Recipe(
        {"kind": "stills"},
        {"canvases": _STILLS, "pixels": 300_000},
        3,
        *_HODOR,
        input_export.hodor_stills,
        _HODOR_NOTE,
    ),
    "hodor_videos": Recipe(
        {"kind": "videos", "options": {"max_gap": 16}},
        _VIDEO,
        3,
        *_HODOR,
        input_export.hodor_videos,
        _HODOR_NOTE,
    ),
    "aot_stills": Recipe(
        _aot("aot_stills", {"kind": "repeat"}, {}, 1.0),
        _AOT_DATA,
        5,
        *_AOT,
        input_export.aot_stills,
        _AOT_NOTE,
    ),
    "aot_videos": Recipe(
        _aot("aot_video", {"kind": "reflected_gaps", "max_gap": 12}, {"min_area": 100}, 0.3),
        _AOT_DATA,
        5,
        *_AOT,
        input_export.aot_videos,
        _AOT_NOTE,
    ),
}


@dataclasses.dataclass(frozen=True)
class InputComparison:
    """What both sides took for the same clips.

    Attributes:
        clips: of a run.
        frames: of a clip.
        note: on the official side.
        ours: answers of our runs: `seconds` of the processor, `parts` of them, `pixels`.
        official: the same of the official program; empty without a checkout.
        loader: clips per processor second of our loader, by its number of worker processes.
    """

    clips: int
    frames: int
    note: str
    ours: list[dict]
    official: list[dict]
    loader: dict[int, float]

    def lines(self) -> list[str]:
        """The result as a table."""
        lines = [f"{'':10s}frames/s a core  ms a frame: JPEG  normalising    rest   pixels"]
        lines += [self._row("ours", self.ours)]
        if self.official:
            lines += [self._row("official", self.official)]
            lines += [
                f"{'ratio':10s}{self._ratio(()):24s}; without JPEG decoding "
                f"{self._ratio(('jpeg',))}; without normalising too "
                f"{self._ratio(('jpeg', 'normalise'))}",
                self.note,
            ]
        for workers, clips in self.loader.items():
            speed = clips * self.frames
            lines.append(f"our loader, {workers} worker processes: {speed:.1f} frames/s a core")
        return lines

    def _row(self, name: str, runs: list[dict]) -> str:
        frames = self.clips * self.frames
        speeds = sorted(frames / run["seconds"] for run in runs)
        parts = [
            statistics.median(1e3 * run["parts"].get(part, 0) / frames for run in runs)
            for part in ("jpeg", "normalise")
        ]
        rest = statistics.median(1e3 * run["seconds"] / frames for run in runs) - sum(parts)
        pixels = statistics.mean(run["pixels"] / frames for run in runs)
        spread = f"{statistics.median(speeds):.1f} ({speeds[0]:.1f}-{speeds[-1]:.1f})"
        return f"{name:10s}{spread:28s}{parts[0]:5.2f}{parts[1]:13.2f}{rest:8.2f}{pixels:9.0f}"

    def _ratio(self, without: tuple[str, ...]) -> str:
        """Median and range over the runs."""
        sides = [
            [run["seconds"] - sum(run["parts"].get(part, 0) for part in without) for run in runs]
            for runs in (self.official, self.ours)
        ]
        ratios = sorted(theirs / ours for theirs, ours in zip(*sides, strict=True))
        return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"


def compare_input(
    recipe_name: str,
    data_root: str | None,
    official_path: str | None = None,
    *,
    split: str = "train",
    clips: int = 60,
    repeats: int = 5,
    loaders: tuple[int, ...] = (1, 2),
    official_python: str = sys.executable,
) -> InputComparison:
    """Makes clips by a recipe, ours and the official way in turn.

    Args:
        recipe_name: a key of `RECIPES`.
        data_root: a prepared set.
        official_path: checkout of the official program; None measures ours alone.
        split: of the prepared set.
        clips: of a run.
        repeats: runs of each, after a short one that warms up.
        loaders: numbers of worker processes with which our loader is measured.
        official_python: a Python that has what the official program needs.

    Raises:
        MissingInputError: no prepared set, or no official program at the path.
        ConfigError: unknown recipe; one of the programs failed, with the end of what it said.
    """
    if recipe_name not in RECIPES:
        raise ConfigError(f"--recipe {recipe_name!r}: known are {', '.join(RECIPES)}")
    recipe = RECIPES[recipe_name]
    if not data_root:
        raise MissingInputError("--data_root is missing: give the folder of a prepared set")
    records = RecordSet(data_root, split)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = _start(recipe, data_root, split, official_path, official_python, folder)
        try:
            runs = [
                _run(workers, recipe, records, folder / f"run{number}", number * clips, count)
                for number, count in enumerate([min(WARM_UP, clips)] + [clips] * repeats)
            ]
            loader = {
                number: workers[0].ask({"workers": number, "clips": clips})["clips_a_second"]
                for number in loaders
            }
        finally:
            for worker in workers:
                worker.close()
    ours, *official = zip(*runs[1:], strict=True)
    return InputComparison(clips, recipe.frames, recipe.note, list(ours), list(*official), loader)


def _start(
    recipe: Recipe, data_root: str, split: str, official_path, official_python: str, folder: Path
) -> list[Worker]:
    """Our worker, and the official program's."""
    source = {**recipe.source, "split": split}
    data = {"root": str(Path(data_root).resolve()), "sources": {"clips": source}, **recipe.data}
    settings = json.dumps({"batch": BATCH, "data": data})
    commands = [[sys.executable, "-m", "vos_jax.benchmarking.input_worker", settings]]
    if official_path is not None:
        checkout, driver = Path(official_path).resolve(), DRIVERS / recipe.driver
        for needed in (checkout / recipe.marker, driver):
            if not needed.is_file():
                raise MissingInputError(f"{needed} is missing; give the folder of a whole checkout")
        commands.append([official_python, str(driver), str(checkout)])
    return [Worker(command, folder, {}) for command in commands]


def _run(
    workers: list[Worker], recipe: Recipe, records: RecordSet, folder: Path, first: int, clips: int
) -> list[dict]:
    """The same clips by ours and then by the official program."""
    ours = workers[0].ask({"first": first, "clips": clips})
    if len(workers) == 1:
        return [ours]
    folder.mkdir()
    recipe.export(records, [tuple(read) for clip in ours["reads"] for read in clip], folder)
    request = {key: ours[key] for key in ("reads", "objects")}
    return [ours, workers[1].ask({"folder": str(folder), "seed": first, **request})]
