"""The generic parity runner: finds the adapter of a case, runs it and compares every output."""

import dataclasses
import importlib
import json
import pkgutil
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tests.parity import adapters as adapters_package
from tests.parity.case import Arrays, Case, read_json, without
from tests.parity.compare import compare, tolerance_of


@dataclasses.dataclass
class Adapters:
    """All adapters that were found, by kind, and the modules that could not be imported."""

    run: dict[str, Callable] = dataclasses.field(default_factory=dict)
    expected: dict[str, Callable] = dataclasses.field(default_factory=dict)
    result_keys: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    broken: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Result:
    """What running one case gave.

    Attributes:
        passed: every output was returned and lies within tolerance, and there was one at least.
        lines: what to print, a line per output.
    """

    passed: bool
    lines: tuple[str, ...]


def find_adapters() -> Adapters:
    """Imports every module of `tests.parity.adapters` and collects what it declares."""
    found = Adapters()
    for module_info in pkgutil.iter_modules(adapters_package.__path__):
        try:
            module = importlib.import_module(f"{adapters_package.__name__}.{module_info.name}")
        except Exception as error:
            found.broken.append(f"{module_info.name}: {_describe(error)}")
            continue
        for kind in getattr(module, "ADAPTERS", {}):
            if kind in found.run:
                raise ValueError(f"two adapters for kind {kind!r}; keep one of them")
        found.run |= getattr(module, "ADAPTERS", {})
        found.expected |= getattr(module, "EXPECTED", {})
        found.result_keys |= getattr(module, "RESULT_KEYS", {})
    return found


def run_case(path: Path, data_dir: Path, adapters: Adapters) -> Result:
    """Runs one case with float32 products at full precision.

    Args:
        path: the case's .json file; arrays stand beside it in the .npz of the same name.
        data_dir: folder with the real images that some kinds read.
        adapters: from `find_adapters`.
    """
    label = path.stem
    try:
        content = read_json(path)
        label = f"{content.get('system', path.parent.name)}/{content.get('case', path.stem)}"
        if "kind" not in content:
            return _failed(label, "the file has no 'kind': not a case")
        kind = content["kind"]
        if kind not in adapters.run:
            broken = f" (adapter modules not importable: {adapters.broken})"
            return _failed(label, f"no adapter for kind {kind!r}" + broken * bool(adapters.broken))
        expected = _expected(path, content, adapters.expected.get(kind))
        if not expected:
            return _failed(label, "nothing to compare")
        shown = without(content, tuple(adapters.result_keys.get(kind, ())))
        inputs = Arrays(path.with_suffix(".npz"), "in.")
        case = Case(path, shown, inputs, tuple(expected))
        with jax.default_matmul_precision("highest"):
            returned = adapters.run[kind](case, data_dir)
        return _compare_all(label, returned, expected, content.get("tolerance", {}))
    except Exception as error:
        return _failed(label, _describe(error))


def is_reference_data(path: Path) -> bool:
    """Tells whether a file is JSON without a kind, results or arrays: tables, not a case."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    marks = {"kind", "inputs", "outputs", "tolerance"}
    is_case = isinstance(content, dict) and marks & set(content)
    return not is_case and not path.with_suffix(".npz").exists()


def _expected(
    path: Path, content: dict[str, Any], from_json: Callable | None
) -> Mapping[str, np.ndarray]:
    recorded = Arrays(path.with_suffix(".npz"), "out.")
    in_json = from_json(content) if from_json else {}
    twice = sorted(set(recorded) & set(in_json))
    if twice:
        raise ValueError(f"results {twice} stand both in the .json and in the .npz")
    return {name: np.asarray(value) for name, value in in_json.items()} | dict(recorded)


def _compare_all(
    label: str, returned: Mapping[str, Any], expected: Mapping[str, np.ndarray], settings: dict
) -> Result:
    lines, passed = [], True
    for name, theirs in expected.items():
        if name in returned:
            tolerance = tolerance_of(settings, name, theirs.dtype)
            good, text = compare(returned[name], theirs, tolerance)
        else:
            good, text = False, "not returned by the adapter"
        passed = passed and good
        lines.append(f"{'ok  ' if good else 'FAIL'} {label}  out.{name}  {text}")
    return Result(passed, tuple(lines))


def _failed(label: str, reason: str) -> Result:
    return Result(False, (f"FAIL {label}  {reason}",))


def _describe(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    message = " ".join(str(error).split())
    return f"{type(error).__name__} at {place}: {message[:300]}"
