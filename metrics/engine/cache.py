"""A folder of blocks as the command's cache: what was computed once is found again by content and fingerprint."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from metrics.engine.blocks import Block, Row, rows_of
from metrics.engine.errors import BadInput, Mismatch


class BlockFolder:
    """Blocks as files. Any number of processes may use the folder at once: a file appears whole and is never changed.

    A file that is damaged, or no block, is passed over; its rows are computed again.
    """

    def __init__(self, folder: Path) -> None:
        """Raises: BadInput if the folder can neither be found nor made."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise BadInput(f"{folder} cannot be a cache ({fault.strerror}); give --cache another folder.") from None
        self._headers: dict[Path, dict[str, str]] | None = None
        self._known: dict[tuple[str, str], Row] = {}
        self._read: set[Path] = set()

    def lookup(self, fingerprint: str, keys: Sequence[str]) -> Mapping[str, Row]:
        """A `blocks.Lookup`. Only files that hold rows of this fingerprint are read whole, each once."""
        for path, fingerprints in self._fingerprints().items():
            if fingerprint in fingerprints.values() and path not in self._read:
                self._read.add(path)
                self._learn(path)
        return {key: self._known[fingerprint, key] for key in keys if (fingerprint, key) in self._known}

    def keep(self, block: Block) -> None:
        """Adds a block, unless every row of it was found here."""
        known = [
            (block.fingerprints[column], key) in self._known for column, keys in block.row_keys.items() for key in keys
        ]
        if all(known):
            return
        name = hashlib.sha256(json.dumps([block.keys, dict(sorted(block.fingerprints.items()))]).encode()).hexdigest()
        try:
            block.save(self.folder / f"{name}.safetensors")
        except OSError as fault:
            raise BadInput(
                f"{self.folder} cannot be written ({fault.strerror}); give --cache another folder."
            ) from None

    def _fingerprints(self) -> dict[Path, dict[str, str]]:
        if self._headers is None:
            self._headers = {path: _fingerprints_of(path) for path in sorted(self.folder.glob("*.safetensors"))}
        return self._headers

    def _learn(self, path: Path) -> None:
        try:
            block = Block.load(path)
        except (Mismatch, OSError):
            return
        known = rows_of([block])
        for column, keys in block.row_keys.items():
            fingerprint = block.fingerprints[column]
            self._known.update({(fingerprint, key): row for key, row in known(fingerprint, keys).items()})


def _fingerprints_of(path: Path) -> dict[str, str]:
    """By column, from the file's header alone."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            fingerprints: dict[str, str] = json.loads(json.loads(file.read(length))["__metadata__"]["fingerprints"])
            return fingerprints
    except (OSError, struct.error, ValueError, KeyError, TypeError, MemoryError):
        return {}
