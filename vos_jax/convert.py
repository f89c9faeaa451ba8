"""Command: turns an official checkpoint file into a workdir.

    python -m vos_jax.convert --system hodor --checkpoint 250000.pth --workdir W
    python -m vos_jax.convert --system rde --what resnet18 --checkpoint resnet18.pth --workdir R

Nothing in the file is executed and PyTorch is not needed. Every tensor is used exactly once or
listed with the reason it is not; shapes are checked against the configured model.
"""

import argparse
import dataclasses
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from vos_jax.checkpoints import store
from vos_jax.checkpoints.claim import claim
from vos_jax.checkpoints.names import Report, flatten
from vos_jax.checkpoints.pth import read_pth
from vos_jax.core.commands import run_command, setting
from vos_jax.core.errors import CheckpointError, ConfigError
from vos_jax.systems import registry
from vos_jax.systems.official_files import OFFICIAL_FILES, OfficialFile, bare, looks_like

SHOWN = 5
STEP = 0


def convert(
    system: str,
    checkpoint: Path,
    workdir: Path,
    what: str = "model",
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """Writes a workdir whose only checkpoint, step 0, holds the file's parameters.

    Args:
        system: its name in the registry.
        checkpoint: the official file.
        workdir: to be made; must hold neither a run nor checkpoints.
        what: kind of official file, a key of `OFFICIAL_FILES[system]`. A file that lacks
            parameters inference needs gives a workdir marked `partial`, which training can start
            from (`config.init_from`) and inference refuses.
        settings: constructor arguments of the model that differ from the defaults.

    Returns:
        What became of every tensor.

    Raises:
        MissingInputError: no such file.
        CheckpointError: unreadable, unsafe, or not of this model; the message says what is
            missing, unexpected or of another shape, and what the file looks like.
        ConfigError: unknown system, kind of file or setting, or a workdir that is in use.
        OutputError: the workdir cannot be written.
    """
    official = _official(system, what)
    module = registry.build(system, **{**official.settings, **(settings or {})})
    try:
        tensors = _read(checkpoint, official)
        shapes = jax.eval_shape(
            lambda key: registry.initialise(system, module, key), jax.random.key(0)
        )
        fault = f"{checkpoint}: no {system} {what}"
        params, report = _parameters(tensors, official, shapes, fault)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_looks_like(checkpoint, system, what)}") from error
    document = {
        "system": system,
        "model": _arguments(module),
        "partial": official.partial,
        "source": {"file": checkpoint.name, "what": what},
    }
    with claim(workdir):
        _check_no_run(workdir)
        with store.Store(workdir) as checkpoints:
            if checkpoints.latest_step() is not None:
                raise ConfigError(f"{workdir}: holds checkpoints; convert into another workdir")
            store.save_settings(workdir, document)
            checkpoints.save(STEP, store.Checkpoint(params))
    _describe(checkpoint, tensors, params, report)
    return report


def _official(system: str, what: str) -> OfficialFile:
    registry.entry(system)
    kinds = OFFICIAL_FILES[system]
    if what not in kinds:
        raise ConfigError(f"--what {what}: {system} has files of the kinds {', '.join(kinds)}")
    return kinds[what]


def _read(path: Path, official: OfficialFile) -> dict[str, np.ndarray]:
    tensors = read_pth(path, *official.keys)
    where = "the file" if None in official.keys else " or ".join(map(repr, official.keys))
    if not isinstance(tensors, dict) or not tensors:
        raise CheckpointError(f"{path}: {where} holds no tensors")
    for name, value in tensors.items():
        if not (isinstance(name, str) and isinstance(value, np.ndarray)):
            raise CheckpointError(f"{path}: {where} holds {name!r}, which is no tensor")
    return bare(tensors)


def _parameters(
    tensors: Mapping[str, np.ndarray], official: OfficialFile, shapes: Any, fault: str
) -> tuple[dict[str, Any], Report]:
    """Converts, after a look at the names; checks what came out against the model's shapes."""
    looked_at = {name: t for name, t in tensors.items() if name.startswith(official.prefixes)}
    known = {name: tensor for name, tensor in looked_at.items() if official.knows(name)}
    params, report = official.names.convert(known) if known else ({}, Report({}, (), ()))
    needed = {p: s.shape for p, s in flatten(shapes).items() if re.fullmatch(official.fills, p)}
    found = _completed(flatten(params), needed, official)
    sources = {path: f"{name} {list(tensors[name].shape)}" for name, path in report.used.items()}
    unexpected = [name for name in looked_at if name not in known]
    faults = {
        "parameters without a tensor": [path for path in needed if path not in found],
        "unexpected tensors": unexpected + [n for n, p in report.used.items() if p not in needed],
        "tensors of another shape": [
            f"{sources.get(path, path)} for {path} {list(needed[path])}"
            for path, array in found.items()
            if path in needed and not _fits(array.shape, needed[path], path, official)
        ],
    }
    said = [f"{len(names)} {kind} ({_some(names)})" for kind, names in faults.items() if names]
    if said:
        raise CheckpointError(f"{fault}: {', '.join(said)}")
    ignored = tuple(name for name in tensors if name not in looked_at)
    return traverse_util.unflatten_dict(found, sep="/"), dataclasses.replace(
        report, ignored=ignored
    )


def _completed(
    found: dict[str, np.ndarray], needed: Mapping[str, tuple[int, ...]], official: OfficialFile
) -> dict[str, np.ndarray]:
    """Fills the second place of tensors that have two, and what is 0 for want of a tensor."""
    if official.again:
        first, second = official.again
        copies = {p: a for p, a in found.items() if p.startswith(first)}
        found = found | {second + p.removeprefix(first): array for p, array in copies.items()}
    absent = [p for p in needed if p not in found and re.fullmatch(official.zeros, p)]
    return found | {path: np.zeros(needed[path], np.float32) for path in absent}


def _fits(
    shape: tuple[int, ...], needed: tuple[int, ...], path: str, official: OfficialFile
) -> bool:
    if re.fullmatch(official.narrow, path):
        return shape[-2] <= needed[-2] and shape == (*needed[:-2], shape[-2], needed[-1])
    return shape == needed


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _looks_like(path: Path, system: str, what: str) -> str:
    """Names the kind of file that this is, if it is another one."""
    try:
        found = looks_like(read_pth(path), system, what)
    except CheckpointError:
        return ""
    return "; it looks like a file for --system {} --what {}".format(*found) if found else ""


def _arguments(module: Any) -> dict[str, Any]:
    """Constructor arguments of a module, defaults included, so that the workdir keeps them."""
    names = [field.name for field in dataclasses.fields(module)]
    return {name: getattr(module, name) for name in names if name not in ("parent", "name")}


def _check_no_run(workdir: Path) -> None:
    if (workdir / store.SETTINGS).exists() and "source" not in store.load_settings(workdir):
        raise ConfigError(f"{workdir}: holds a training run; convert into another workdir")


def _describe(
    checkpoint: Path, tensors: Mapping[str, np.ndarray], params: Any, report: Report
) -> None:
    arrays = flatten(params)
    count = sum(array.size for array in arrays.values())
    print(f"{checkpoint}: {len(tensors)} tensors read")
    print(f"{len(report.used)} tensors used: {count:,} parameters in {len(arrays)} arrays")
    tables = [name for name in report.dropped if tensors[name].dtype.kind in "iub"]
    others = [name for name in report.dropped if name not in set(tables)]
    for names, reason in (
        (tables, "integer tables, no parameters"),
        (others, "constants, or never used by the official network"),
        (report.ignored, "they belong to another network"),
    ):
        if names:
            print(f"{len(names)} tensors dropped ({reason}):")
            print("".join(f"  {name} {list(tensors[name].shape)}\n" for name in names), end="")


def main(argv: list[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.convert", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--system", required=True, help=f"one of {', '.join(OFFICIAL_FILES)}")
    parser.add_argument("--checkpoint", required=True, type=Path, help="the official .pth file")
    parser.add_argument("--workdir", required=True, type=Path, help="folder to be made")
    parser.add_argument(
        "--what",
        default="model",
        help="model: a whole network (default); checkpoint: a training checkpoint with the network "
        "inside; stage0: a single-object network; stage0_widened: one as a network for several "
        "objects that ignores the others (STCN's tools); youtube_vis_resnet50 and the like: a "
        "network of that data set and encoder (STEm-Seg, VIShv); backbone, resnet50, resnet18: "
        "pretrained encoders, which give a workdir for --config.init_from",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a setting of the model, such as min_dim=576 max_dim=1200 for HODOR's video "
        "checkpoints or single_object=true for a space-time network of one; may be given again",
    )
    args = parser.parse_args(argv)
    convert(args.system, args.checkpoint, args.workdir, args.what, dict(args.set))
    print(f"wrote {args.workdir}")


if __name__ == "__main__":
    sys.exit(run_command(main))
