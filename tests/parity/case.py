"""A recorded parity case: its settings, inputs and stand-in weights, never its results."""

import dataclasses
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity import seeded_weights


class Arrays(Mapping[str, np.ndarray]):
    """The arrays of an .npz file under one prefix, each read when first asked for.

    Args:
        path: the .npz file; None or a path that does not exist stands for no arrays.
        prefix: kept names start with it; keys come without it.
    """

    def __init__(self, path: Path | None, prefix: str):
        self._path, self._prefix, self._read = path, prefix, {}
        members = zipfile.ZipFile(path).namelist() if path is not None and path.exists() else []
        names = [member.removesuffix(".npy") for member in members]
        self._names = [name[len(prefix) :] for name in names if name.startswith(prefix)]

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns the array called prefix + name."""
        if name not in self._names:
            raise KeyError(f"no array {self._prefix}{name} in {self._path}")
        if name not in self._read:
            with np.load(self._path, allow_pickle=False) as arrays:
                self._read[name] = arrays[self._prefix + name]
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names without the prefix."""
        return iter(self._names)

    def __len__(self) -> int:
        """Returns how many arrays there are."""
        return len(self._names)


@dataclasses.dataclass(frozen=True)
class Case:
    """What an adapter is given of a recorded case.

    Attributes:
        path: the case's .json file.
        json: its content without the keys that hold results.
        inputs: arrays `in.<name>` by name, read lazily.
        outputs_wanted: names (without `out.`) of the results that will be compared.
    """

    path: Path
    json: dict[str, Any]
    inputs: Mapping[str, np.ndarray]
    outputs_wanted: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder that holds the case."""
        return self.path.parent

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the recorded run."""
        return self.json.get("config", {})

    def weights(self) -> dict[str, np.ndarray]:
        """Rebuilds the stand-in weights: official tensor name -> float32 array."""
        tensors = seeded_weights.state_dict(self.path) if self.json.get("weights") else {}
        given = {name for name in self.inputs if name.startswith("weight.")}
        return tensors | {name.removeprefix("weight."): self.inputs[name] for name in given}


def without(value: Any, keys: tuple[str, ...]) -> Any:
    """Copies a JSON value, leaving out the named keys at any depth."""
    if isinstance(value, dict):
        return {name: without(entry, keys) for name, entry in value.items() if name not in keys}
    if isinstance(value, list):
        return [without(entry, keys) for entry in value]
    return value


def read_json(path: Path) -> dict[str, Any]:
    """Reads a case's JSON file; raises ValueError where it is not a JSON object."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content
