"""Translating official tensor names and layouts into our parameter trees and back."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vos_jax.core.errors import CheckpointError


@dataclasses.dataclass(frozen=True)
class Transform:
    """A change of layout and its inverse."""

    forward: Callable[[np.ndarray], np.ndarray]
    backward: Callable[[np.ndarray], np.ndarray]


KEEP = Transform(lambda x: x, lambda x: x)
LINEAR = Transform(np.transpose, np.transpose)
"""Official [out in], ours [in out]."""
CONV = Transform(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
"""Official [out in y x], ours [y x in out]."""


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""Where tensors of one name pattern go.

    Attributes:
        pattern: regular expression the whole official name must match.
        target: our parameter path, joined by "/"; `\g<name>` stands for the pattern's groups.
        transform: change of layout.
    """

    pattern: str
    target: str
    transform: Transform = KEEP


def layer(official: str, ours: str, transform: Transform = LINEAR) -> tuple[Rule, Rule]:
    """Returns the rules of a layer with `weight` and `bias`: to `kernel` and `bias`."""
    return (
        Rule(rf"{official}\.weight", f"{ours}/kernel", transform),
        Rule(rf"{official}\.bias", f"{ours}/bias"),
    )


def norm(official: str, ours: str) -> tuple[Rule, Rule]:
    """Returns the rules of a norm with `weight` and `bias`: to `scale` and `bias`."""
    return (
        Rule(rf"{official}\.weight", f"{ours}/scale"),
        Rule(rf"{official}\.bias", f"{ours}/bias"),
    )


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of the tensors of a file.

    Attributes:
        used: official name -> our path, joined by "/".
        dropped: names left out on purpose.
        ignored: names outside the prefix.
    """

    used: dict[str, str]
    dropped: tuple[str, ...]
    ignored: tuple[str, ...]


class NameMap:
    """The names of one module in the official program and in ours.

    Args:
        rules: where tensors go; every name must match exactly one.
        dropped: patterns of names left out on purpose.
    """

    def __init__(self, rules: Iterable[Rule], dropped: Iterable[str] = ()):
        self.rules, self.dropped = tuple(rules), tuple(dropped)

    def under(self, official: str, ours: str = "") -> "NameMap":
        r"""Returns the map of the same module as part of another.

        Args:
            official: pattern put before every official name, such as `encoder\.`.
            ours: path put before ours, such as `encoder/`; may use the pattern's named groups.
        """
        rules = [
            dataclasses.replace(rule, pattern=official + rule.pattern, target=ours + rule.target)
            for rule in self.rules
        ]
        return NameMap(rules, [official + pattern for pattern in self.dropped])

    def replaced(self, name: str, transform: Transform) -> "NameMap":
        """Returns the map in which the tensor of one official name changes its layout so."""
        rules = [
            dataclasses.replace(rule, transform=transform)
            if re.fullmatch(rule.pattern, name)
            else rule
            for rule in self.rules
        ]
        return NameMap(rules, self.dropped)

    def __add__(self, other: "NameMap") -> "NameMap":
        """Returns the map of both modules."""
        return NameMap(self.rules + other.rules, self.dropped + other.dropped)

    def convert(
        self, tensors: Mapping[str, np.ndarray], prefix: str = ""
    ) -> tuple[dict[str, Any], Report]:
        """Makes a parameter tree of official tensors.

        Args:
            tensors: official name -> array.
            prefix: only names that begin so are looked at, without it.

        Returns:
            The nested dict of float32 parameters and the report.

        Raises:
            CheckpointError: a name is unknown, two tensors go to one place, a tensor has another
                number of axes than its rule expects, or nothing bears the prefix.
        """
        params, used, dropped, owner = {}, {}, [], {}
        names = [name for name in tensors if name.startswith(prefix)]
        if not names:
            raise CheckpointError(f"no tensor begins with {prefix!r}: this is another checkpoint")
        for name in names:
            found = self._find(name, prefix)
            if found is None:
                dropped.append(name)
                continue
            path, transform = found
            if path in owner:
                raise CheckpointError(f"tensors {owner[path]!r} and {name!r} both go to {path!r}")
            owner[path], used[name] = name, path
            _put(params, path, _apply(transform.forward, tensors[name], name))
        ignored = tuple(name for name in tensors if not name.startswith(prefix))
        return params, Report(used, tuple(dropped), ignored)

    def export(
        self, params: Mapping[str, Any], names: Iterable[str], prefix: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns tensors in the official names and layouts: the inverse of `convert`.

        Args:
            params: a tree shaped as parameters, such as parameters or their gradients.
            names: official names wanted, with the prefix; those dropped on purpose are left out.
            prefix: as for `convert`.
        """
        exported = {}
        for name in names:
            found = self._find(name, prefix)
            if found is not None:
                path, transform = found
                exported[name] = transform.backward(np.asarray(_get(params, path)))
        return exported

    def _find(self, name: str, prefix: str) -> tuple[str, Transform] | None:
        short = name.removeprefix(prefix)
        matches = [
            (match.expand(rule.target), rule.transform)
            for rule in self.rules
            if (match := re.fullmatch(rule.pattern, short))
        ]
        is_dropped = any(re.fullmatch(pattern, short) for pattern in self.dropped)
        if len(matches) + is_dropped != 1:
            fault = "is not known" if not matches else "matches several rules"
            raise CheckpointError(f"tensor {name!r} {fault}: this is another model's checkpoint")
        return None if is_dropped else matches[0]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of a nested dict by their path, joined by "/"."""
    leaves = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, Mapping) else {path: value}
    return leaves


def _apply(forward: Callable, tensor: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.asarray(forward(np.asarray(tensor)), np.float32, order="C")
    except (ValueError, IndexError) as error:
        shape = list(np.shape(tensor))
        raise CheckpointError(f"tensor {name!r} has the unexpected shape {shape}") from error


def _put(tree: dict[str, Any], path: str, value: np.ndarray) -> None:
    *folders, leaf = path.split("/")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[leaf] = value


def _get(tree: Mapping[str, Any], path: str) -> Any:
    for name in path.split("/"):
        tree = tree[name]
    return tree
