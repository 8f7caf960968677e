"""The statistics of a reference set: moments for FID, and the features themselves for KID."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import numpy as safetensors

from metrics.engine.blocks import Block, read_whole, write_whole
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.moments import Moments, Rows

COLUMN = "inception"


@dataclass(frozen=True)
class Reference:
    """What FID and KID need of the real pictures.

    Attributes:
        moments: of all features, in float64.
        features: (n, d) float32, or None where they were not kept.
        fingerprint: the column fingerprint they were made under; a score needs its own to be equal.
        content: SHA-256 over the pictures' keys, sorted: which set this is.
    """

    moments: Moments
    features: Rows | None
    fingerprint: str
    content: str

    @property
    def n(self) -> int:
        return self.moments.n

    def to_bytes(self) -> bytes:
        arrays = self.moments.to_arrays()
        if self.features is not None:
            arrays["features"] = self.features
        facts = {"fingerprint": json.dumps(self.fingerprint), "content": json.dumps(self.content)}
        return safetensors.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=facts)

    def save(self, target: Path | str | BinaryIO) -> None:
        """Writes to an open file, or to a path by atomic rename."""
        write_whole(target, self.to_bytes())

    @classmethod
    def load(cls, source: Path | str | BinaryIO | bytes) -> "Reference":
        """Raises: Mismatch if `source` is not a whole reference."""
        arrays, facts = read_whole(source)
        try:
            return cls(Moments.from_arrays(arrays), arrays.get("features"), facts["fingerprint"], facts["content"])
        except (KeyError, TypeError) as fault:
            raise Mismatch(f"This file is not a reference's statistics ({fault}); compute them again.") from None


def reference_content(keys: Iterable[str]) -> str:
    """The name of a set of pictures: SHA-256 over their sorted keys."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def reference_from_blocks(blocks: Iterable[Block], *, keep_features: bool = True) -> Reference:
    """The reference made of blocks, in their order; the same bits however the set was cut into blocks.

    Raises: BadInput below two pictures; Mismatch if the blocks were made under different settings.
    """
    pieces: list[Rows] = []
    keys: list[str] = []
    fingerprints: set[str] = set()
    for block in blocks:
        if COLUMN not in block.columns:
            raise Mismatch("A reference is made of Inception features, and one block has none; compute it for “fid”.")
        pieces.append(block.columns[COLUMN])
        keys.extend(block.keys)
        fingerprints.add(block.fingerprints[COLUMN])
    if len(keys) < 2:
        raise BadInput(f"A reference set needs at least 2 pictures, and {len(keys)} came; add more.")
    if len(fingerprints) > 1:
        raise Mismatch(
            "The reference's blocks were made under different settings; compute all of them under one protocol."
        )
    return Reference(
        moments=Moments.of(pieces, pieces[0].shape[1]),
        features=np.concatenate(pieces) if keep_features else None,
        fingerprint=fingerprints.pop(),
        content=reference_content(keys),
    )
