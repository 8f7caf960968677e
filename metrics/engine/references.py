"""The statistics of a reference set, column by column: moments for Fréchet distances, and the features themselves.

A reference holds the columns of those metrics that compare with a set (`registry.reference_columns`): Inception's for
FID and KID, others for other metrics. Whoever stores references may store each column by itself under its own
fingerprint (`only`) and put them together again (`joined`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from metrics.engine.blocks import Block, read_whole, write_whole
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.moments import Moments, Rows


@dataclass(frozen=True)
class ReferenceColumn:
    """One column of a reference set.

    Attributes:
        moments: of all its features, in float64.
        features: (n, d) float32, or None where they were not kept.
        fingerprint: the column fingerprint they were made under; a score needs its own to be equal.
    """

    moments: Moments
    features: Rows | None
    fingerprint: str

    def kept_features(self, title: str) -> Rows:
        """The features. Raises: BadInput, for the metric called `title`, where only their moments were kept."""
        if self.features is None:
            raise BadInput(
                f"{title} needs the reference's own features, and only their moments were kept; compute it with "
                "features."
            )
        return self.features


@dataclass(frozen=True)
class Reference:
    """What metrics need of a set of real pictures.

    Attributes:
        columns: column → its statistics.
        content: SHA-256 over the pictures' keys, sorted: which set this is.
    """

    columns: Mapping[str, ReferenceColumn]
    content: str

    @property
    def n(self) -> int:
        return next(iter(self.columns.values())).moments.n

    def column(self, name: str) -> ReferenceColumn:
        """Raises: Mismatch if the reference was computed without it."""
        try:
            return self.columns[name]
        except KeyError:
            raise Mismatch(
                f"The reference has no “{name}” features; compute it for the metrics that are asked for."
            ) from None

    def only(self, column: str) -> "Reference":
        """This reference with that one column."""
        return Reference(MappingProxyType({column: self.column(column)}), self.content)

    @classmethod
    def joined(cls, parts: Sequence["Reference"]) -> "Reference":
        """One reference with the columns of all parts. Raises: Mismatch if they are of different sets."""
        contents = {part.content for part in parts}
        if len(contents) != 1:
            raise Mismatch("Statistics of different reference sets cannot be put together; compute them again.")
        columns = {name: column for part in parts for name, column in part.columns.items()}
        return cls(MappingProxyType(columns), contents.pop())

    def to_bytes(self) -> bytes:
        arrays: dict[str, NDArray[Any]] = {}
        for name, column in self.columns.items():
            arrays |= {f"{name}.{part}": array for part, array in column.moments.to_arrays().items()}
            if column.features is not None:
                arrays[f"{name}.features"] = column.features
        fingerprints = {name: column.fingerprint for name, column in self.columns.items()}
        facts = {"fingerprints": json.dumps(fingerprints), "content": json.dumps(self.content)}
        return safetensors.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=facts)

    def save(self, target: Path | str | BinaryIO) -> None:
        """Writes to an open file, or to a path by atomic rename."""
        write_whole(target, self.to_bytes())

    @classmethod
    def load(cls, source: Path | str | BinaryIO | bytes) -> "Reference":
        """Raises: Mismatch if `source` is not a whole reference."""
        arrays, facts = read_whole(source)
        try:
            if "fingerprints" not in facts:
                # Written when a reference was Inception features and nothing else.
                facts["fingerprints"] = {"inception": facts["fingerprint"]}
                arrays = {f"inception.{part}": array for part, array in arrays.items()}
            columns = {
                name: ReferenceColumn(
                    Moments.from_arrays({part: arrays[f"{name}.{part}"] for part in Moments.PARTS}),
                    arrays.get(f"{name}.features"),
                    fingerprint,
                )
                for name, fingerprint in facts["fingerprints"].items()
            }
            return cls(MappingProxyType(columns), facts["content"])
        except (KeyError, TypeError) as fault:
            raise Mismatch(f"This file is not a reference's statistics ({fault}); compute them again.") from None


def reference_content(keys: Iterable[str]) -> str:
    """The name of a set of pictures: SHA-256 over their sorted keys."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def reference_from_blocks(
    blocks: Iterable[Block], *, columns: Sequence[str] = ("inception",), keep_features: bool = True
) -> Reference:
    """The reference made of `columns` of blocks, in their order; the same bits however the set was cut into blocks.

    Raises: BadInput below two pictures; Mismatch if the blocks were made under different settings.
    """
    pieces: dict[str, list[Rows]] = {name: [] for name in columns}
    fingerprints: dict[str, set[str]] = {name: set() for name in columns}
    keys: list[str] = []
    for block in blocks:
        for name in columns:
            if name not in block.columns:
                raise Mismatch(f"A reference is made of “{name}” features, and one block has none; compute it again.")
            pieces[name].append(block.columns[name])
            fingerprints[name].add(block.fingerprints[name])
        keys.extend(block.keys)
    if len(keys) < 2:
        raise BadInput(f"A reference set needs at least 2 pictures, and {len(keys)} came; add more.")
    if any(len(found) > 1 for found in fingerprints.values()):
        raise Mismatch(
            "The reference's blocks were made under different settings; compute all of them under one protocol."
        )
    made = {
        name: ReferenceColumn(
            moments=Moments.of(rows, rows[0].shape[1]),
            features=np.concatenate(rows) if keep_features else None,
            fingerprint=fingerprints[name].pop(),
        )
        for name, rows in pieces.items()
    }
    return Reference(MappingProxyType(made), reference_content(keys))
