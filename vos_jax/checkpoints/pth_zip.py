"""The zip layout of `.pth` files (torch 1.6 and newer): `NAME/data.pkl`, `NAME/data/KEY`."""

import io
import re
import struct
import zipfile
import zlib
from typing import Any, BinaryIO

from vos_jax.checkpoints.torch_pickle import StorageRef, storage_ref, torch_constructors
from vos_jax.checkpoints.unpickler import Unpickler
from vos_jax.core.errors import CheckpointError

ZIP_START = b"PK\x03\x04"
MAX_PICKLE_BYTES = 1 << 28
MAX_EXPANSION = 20
FREE_EXPANSION = 1 << 24
PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OSError,
    KeyError,
    OverflowError,
)


class ZipArchive:
    """An open `.pth` file of the zip layout.

    Args:
        file: opened for reading in binary mode; stays the caller's.

    Raises:
        CheckpointError: damaged, unsafe, or no checkpoint of torch.
    """

    def __init__(self, file: BinaryIO):
        size = file.seek(0, io.SEEK_END)
        try:
            self._zip = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise CheckpointError("the zip file is damaged or cut short; copy it again") from error
        self._entries = _checked_entries(self._zip, size)
        self._prefix = _prefix(self._entries)
        self._byteorder = self._read_byteorder()

    def tree(self) -> Any:
        """What `data.pkl` describes, with `TensorRef`s for tensors."""
        info = self._entries[f"{self._prefix}data.pkl"]
        if info.file_size > MAX_PICKLE_BYTES:
            raise CheckpointError(f"its data.pkl claims {info.file_size} bytes")
        stream = io.BytesIO(self._read(info.filename))
        return Unpickler(stream, torch_constructors(), storage_ref).load()

    def storage(self, ref: StorageRef) -> Any:
        """Reads one whole storage as a flat array."""
        if not PLAIN_KEY.fullmatch(ref.key):
            raise CheckpointError(f"refused: storage name {ref.key[:40]!r}")
        name = f"{self._prefix}data/{ref.key}"
        if name not in self._entries:
            raise CheckpointError(f"storage {ref.key!r} is missing from the zip file")
        if self._entries[name].file_size != ref.size:
            claimed = self._entries[name].file_size
            raise CheckpointError(f"storage {ref.key!r}: {claimed} bytes, {ref.size} expected")
        return ref.decode(self._read(name), self._byteorder)

    def _read_byteorder(self) -> str:
        name = f"{self._prefix}byteorder"
        if name not in self._entries:
            return "little"
        order = self._read(name)[:16].decode("latin-1")
        if order not in ("little", "big"):
            raise CheckpointError(f"unknown byte order {order!r}")
        return order

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._entries[name])
        except DAMAGE as error:
            raise CheckpointError(f"zip entry {name!r} is damaged; copy the file again") from error


def _checked_entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Refuses names that climb, names that repeat, encodings torch does not use, and bombs."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name:
            raise CheckpointError(f"refused: zip entry name {name[:80]!r}")
        if name in entries:
            raise CheckpointError(f"refused: zip entry {name[:80]!r} is there twice")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CheckpointError(f"refused: zip entry {name[:80]!r} has an unusual compression")
        entries[name] = info
    claimed = sum(info.file_size for info in entries.values())
    if claimed > MAX_EXPANSION * size + FREE_EXPANSION:
        raise CheckpointError(f"refused: {size} bytes of zip file claim to hold {claimed} bytes")
    return entries


def _prefix(entries: dict[str, zipfile.ZipInfo]) -> str:
    """The folder inside the zip file that all of a checkpoint lies in, with its slash."""
    found = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(found) != 1:
        raise CheckpointError(
            f"a zip file with {len(found)} entries named data.pkl where torch writes one: "
            "not a checkpoint"
        )
    return found[0].removesuffix("data.pkl")
