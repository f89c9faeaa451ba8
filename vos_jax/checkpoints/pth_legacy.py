"""The legacy layout of `.pth` files (before torch 1.6): pickles in a row, then raw storages."""

import mmap
import struct
from typing import Any, BinaryIO

from vos_jax.checkpoints.torch_pickle import StorageRef, storage_ref, torch_constructors
from vos_jax.checkpoints.unpickler import Unpickler
from vos_jax.core.errors import CheckpointError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT_BYTES = 8


class LegacyArchive:
    """An open `.pth` file of the legacy layout.

    Args:
        file: a real file opened for reading in binary mode; stays the caller's.

    Raises:
        CheckpointError: not such a file.
    """

    def __init__(self, file: BinaryIO):
        try:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise CheckpointError("the file is empty") from error
        self._check_magic()
        self._byteorder = self._read_byteorder()
        self._refs: dict[str, StorageRef] = {}
        self._offsets: dict[str, int] = {}

    def _check_magic(self) -> None:
        try:
            magic, protocol = self._plain_pickle(), self._plain_pickle()
        except CheckpointError:
            magic, protocol = None, None
        if (magic, protocol) != (MAGIC, PROTOCOL):
            raise CheckpointError(
                "no checkpoint of torch, neither zip nor legacy (the tar layout of torch 0.1 is "
                "not read: save it again with a newer torch)"
            )

    def _plain_pickle(self) -> Any:
        return Unpickler(self._map, {}).load()

    def _read_byteorder(self) -> str:
        system = self._plain_pickle()
        little = system.get("little_endian") if isinstance(system, dict) else None
        if not isinstance(little, bool):
            raise CheckpointError("its system record names no byte order")
        return "little" if little else "big"

    def tree(self) -> Any:
        """What the main pickle describes, with `TensorRef`s for tensors."""
        tree = Unpickler(self._map, torch_constructors(), self._storage_ref).load()
        keys = self._plain_pickle()
        if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            raise CheckpointError("its list of storages is damaged")
        if len(set(keys)) != len(keys) or set(keys) != set(self._refs):
            raise CheckpointError("its list of storages does not fit its tensors")
        position = self._map.tell()
        for key in keys:
            self._offsets[key] = position + COUNT_BYTES
            position += COUNT_BYTES + self._refs[key].size
        if position > len(self._map):
            raise CheckpointError(f"cut short: {position} bytes expected, {len(self._map)} there")
        return tree

    def storage(self, ref: StorageRef) -> Any:
        """Reads one whole storage as a flat array."""
        start = self._offsets[ref.key]
        form = "<q" if self._byteorder == "little" else ">q"
        (count,) = struct.unpack(form, self._map[start - COUNT_BYTES : start])
        if count != ref.total:
            raise CheckpointError(f"storage {ref.key!r}: {count} elements, {ref.total} expected")
        return ref.decode(self._map[start : start + ref.size], self._byteorder)

    def _storage_ref(self, identity: Any) -> StorageRef:
        ref = storage_ref(identity)
        self._refs.setdefault(ref.key, ref)
        return ref
