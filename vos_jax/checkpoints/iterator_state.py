"""Keeping the data iterator's state in a checkpoint: one JSON file per process."""

import dataclasses
import json
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from vos_jax.core.errors import CheckpointError


class IteratorStateHandler(ocp.CheckpointHandler):
    """Writes and reads what this process's iterator needs to continue, as JSON."""

    def save(self, directory: epath.Path, args: "SaveIteratorState") -> None:
        """Writes this process's file into the checkpoint being made."""
        self._file(directory).write_text(json.dumps(args.state))

    def restore(self, directory: epath.Path, args: "RestoreIteratorState | None" = None) -> Any:
        """Returns the state this process wrote.

        Raises:
            CheckpointError: the checkpoint was written by another number of processes, whose
                iterators saw other samples.
        """
        file = self._file(directory)
        if not file.exists():
            raise CheckpointError(
                f"{directory}: no state of the data for process {jax.process_index()} of "
                f"{jax.process_count()}; continue with as many processes as wrote it"
            )
        return json.loads(file.read_text())

    def _file(self, directory: epath.Path) -> epath.Path:
        return directory / f"process_{jax.process_index()}_of_{jax.process_count()}.json"


@ocp.args.register_with_handler(IteratorStateHandler, for_save=True)
@dataclasses.dataclass
class SaveIteratorState(ocp.args.CheckpointArgs):
    """What to save.

    Attributes:
        state: anything JSON holds.
    """

    state: Any


@ocp.args.register_with_handler(IteratorStateHandler, for_restore=True)
@dataclasses.dataclass
class RestoreIteratorState(ocp.args.CheckpointArgs):
    """Asks for this process's state."""
