"""Reads `.pth` files of PyTorch without PyTorch and without executing anything they contain."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vos_jax.checkpoints.numpy_pickle import ArrayInPickle, ElementType
from vos_jax.checkpoints.pth_legacy import LegacyArchive
from vos_jax.checkpoints.pth_zip import ZIP_START, ZipArchive
from vos_jax.checkpoints.torch_pickle import StorageRef, TensorRef
from vos_jax.checkpoints.unpickler import Constructor
from vos_jax.core.errors import CheckpointError, MissingInputError

MAX_DEPTH = 100
MAX_VALUES = 2_000_000


def read_pth(path: str | os.PathLike[str], *select: str | None) -> Any:
    """Reads a checkpoint written by `torch.save`, in the zip or the legacy layout.

    Tensors that share a storage share memory here too; about one copy of what is asked for is
    held. Dictionaries of every kind become `dict`, sizes become tuples, devices and types their
    names.

    Args:
        path: the file.
        select: keys of the outermost dictionary: only what lies under the first that is there is
            read; all of it for None or without any.

    Returns:
        Nested dicts, lists and tuples of NumPy arrays (read-only; bfloat16 as float32) and plain
        values.

    Raises:
        MissingInputError: no such file.
        CheckpointError: damaged, cut short, no checkpoint, nothing under `select`, or asking for a
            name outside the closed list, which the message gives.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(len(ZIP_START))
            archive = ZipArchive(file) if start == ZIP_START else LegacyArchive(file)
            tree = archive.tree()
            return _Values(archive).value(_selected(tree, select or (None,)), 0)
    except (CheckpointError, OSError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _selected(tree: Any, keys: Sequence[str | None]) -> Any:
    for key in keys:
        if key is None:
            return tree
        if isinstance(tree, dict) and key in tree:
            return tree[key]
    found = ", ".join(sorted(map(str, tree)))[:200] if isinstance(tree, dict) else "no keys"
    wanted = " or ".join(map(repr, keys))
    raise CheckpointError(f"has nothing under {wanted} (there are: {found})")


class _Values:
    """Turns what a pickle describes into arrays and plain values.

    A pickle can mention one list many times, so a small file can describe a tree without end:
    depth and number of values are limited.
    """

    def __init__(self, archive: ZipArchive | LegacyArchive):
        self._archive = archive
        self._storages: dict[str, tuple[str, np.ndarray]] = {}
        self._count = 0

    def value(self, node: Any, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise CheckpointError(f"refused: it describes more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise CheckpointError(f"refused: it is nested deeper than {MAX_DEPTH}")
        if isinstance(node, TensorRef):
            return node.view(self._storage(node.storage))
        if isinstance(node, dict):
            return {key: self.value(item, depth + 1) for key, item in node.items()}
        if isinstance(node, (list, tuple)):
            return type(node)(self.value(item, depth + 1) for item in node)
        if isinstance(node, StorageRef):
            return self._storage(node)[node.start : node.start + node.count]
        return _plain(node)

    def _storage(self, ref: StorageRef) -> np.ndarray:
        if ref.key not in self._storages:
            self._storages[ref.key] = (ref.kind, self._archive.storage(ref))
        kind, flat = self._storages[ref.key]
        if (kind, flat.size) != (ref.kind, ref.total):
            raise CheckpointError(f"storage {ref.key!r} is described in two ways")
        return flat


def _plain(node: Any) -> Any:
    if isinstance(node, Constructor):
        return node.name
    if isinstance(node, ElementType):
        return str(node.dtype)
    return node.value if isinstance(node, ArrayInPickle) else node
