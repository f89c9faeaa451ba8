"""The file of a saved session: facts as JSON and the arrays of its state, nothing executable."""

import json
import os
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.core.errors import CheckpointError, MissingInputError, OutputError
from vos_jax.systems.base import Segmenter

FORMAT = "vos_jax session 1"


def fingerprint(system: Segmenter) -> str:
    """The system's name and settings, as they must be the same again."""
    return repr(system)


def write(path: str | os.PathLike, facts: dict, leaves: list) -> None:
    """Writes facts and arrays; the file is complete or not there at all.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    arrays = {f"array{number:04d}": np.asarray(leaf) for number, leaf in enumerate(leaves)}
    header = json.dumps({"format": FORMAT, **facts})
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as stream:
            np.savez(stream, header=np.array(header), **arrays)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def read(path: str | os.PathLike, system: Segmenter) -> tuple[dict, list[np.ndarray]]:
    """Reads what `write` wrote.

    Raises:
        MissingInputError: no such file.
        CheckpointError: it is damaged, or was saved by another system.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["header"]))
            leaves = [file[name] for name in sorted(set(file.files) - {"header"})]
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is no saved session, or is cut off ({error})") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is no saved session of this version")
    if facts["system"] != fingerprint(system):
        raise CheckpointError(
            f"{path}: was saved by another system or other settings; restore it with the same"
        )
    return facts, leaves


def unflatten(path: str | os.PathLike, empty, leaves: list[np.ndarray]):
    """Puts saved arrays in the place of an empty state's.

    Raises:
        CheckpointError: they do not fit it.
    """
    wanted, tree = jax.tree.flatten(empty)
    fits = len(wanted) == len(leaves) and all(
        new.shape == old.shape and new.dtype.itemsize == old.dtype.itemsize
        for new, old in zip(leaves, wanted, strict=True)
    )
    if not fits:
        raise CheckpointError(f"{path}: its arrays do not fit this system's state")
    return tree.unflatten(
        jnp.asarray(new if new.dtype.kind != "V" else new.view(old.dtype), old.dtype)
        for new, old in zip(leaves, wanted, strict=True)
    )
