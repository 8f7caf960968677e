"""A block: the rows that one pass over some samples made, with what it took. It is a shard's result and the cache in
one.

On disk it is one safetensors file: an array per column in sample order, and in its header the keys, fingerprints and
    efficiency.
"""

import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from metrics.engine.errors import Mismatch

Row = NDArray[np.float32]

Lookup = Callable[[str, Sequence[str]], Mapping[str, Row]]
"""(column fingerprint, row keys) → the rows already known, by key. Called once per column and block."""


@dataclass(frozen=True)
class Efficiency:
    """What a pass took.

    Attributes:
        seconds: by stage, `decode`, `transfer` (to a GPU), `resize` (to the networks' inputs) and `forward`, each
            summed over the threads (on a GPU: what the device itself took, decoding aside); and `wall`, from first to
            last.
        images: samples in the block; decoded: files that had to be decoded, references included.
        peak_memory: bytes; of the device on a GPU, of the process on a CPU.
        batch_size: by column, inputs in one forward pass: the smallest where pictures of other shapes had another one,
            0 where every row was known.
        threads: batches that were computed side by side.
        notes: what did not go as it was set out to, in sentences; a batch that had to be halved above all.
    """

    seconds: Mapping[str, float]
    images: int
    decoded: int
    peak_memory: int
    device: str
    batch_size: Mapping[str, int]
    threads: int
    versions: Mapping[str, str]
    dtype: str = "float32"
    notes: tuple[str, ...] = ()

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds["wall"] if self.seconds["wall"] else 0.0

    @property
    def busy_share(self) -> float:
        """How much of the time the device spent in networks: 1 is the limit."""
        whole = self.seconds["wall"] * self.threads
        return self.seconds["forward"] / whole if whole else 0.0

    @property
    def speeds(self) -> dict[str, float]:
        """Images per second that one thread (a GPU: the device) does of each stage, those aside that took no time.
        Files for `decode`, samples for the others."""
        counts = {"decode": self.decoded, "transfer": self.decoded, "resize": self.images, "forward": self.images}
        return {stage: count / self.seconds[stage] for stage, count in counts.items() if self.seconds.get(stage)}

    def cost_per_million(self, price_per_hour: float) -> float | None:
        """What a million images cost at a price per device-hour, in its currency; None where nothing was computed,
        since rows found in a cache say nothing about it."""
        if not self.decoded or not self.images:
            return None
        return price_per_hour * self.seconds["wall"] / 3600 / self.images * 1e6


@dataclass(frozen=True)
class Block:
    """Rows of some samples.

    Attributes:
        keys: the samples' keys, in order.
        columns: column → (n, …) float32, in the same order.
        row_keys: column → the n keys under which its rows may be found again.
        fingerprints: column → the fingerprint of what made it.
        problems: column that was left out → why, as a sentence; a sample did not fit it.
    """

    keys: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float32]]
    row_keys: Mapping[str, tuple[str, ...]]
    fingerprints: Mapping[str, str]
    efficiency: Efficiency
    problems: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        facts = {
            "keys": self.keys,
            "row_keys": dict(self.row_keys),
            "fingerprints": dict(self.fingerprints),
            "efficiency": asdict(self.efficiency),
            "problems": dict(self.problems),
        }
        arrays = {name: np.ascontiguousarray(rows) for name, rows in self.columns.items()}
        return safetensors.save(arrays, metadata={name: json.dumps(fact) for name, fact in facts.items()})

    def save(self, target: Path | str | BinaryIO) -> None:
        """Writes to an open file, or to a path by atomic rename."""
        write_whole(target, self.to_bytes())

    @classmethod
    def load(cls, source: Path | str | BinaryIO | bytes) -> "Block":
        """Raises: Mismatch if `source` is not a whole block."""
        arrays, facts = read_whole(source)
        try:
            return cls(
                keys=tuple(facts["keys"]),
                columns=arrays,
                row_keys={column: tuple(keys) for column, keys in facts["row_keys"].items()},
                fingerprints=facts["fingerprints"],
                efficiency=Efficiency(**{**facts["efficiency"], "notes": tuple(facts["efficiency"].get("notes", ()))}),
                problems=facts.get("problems", {}),
            )
        except (KeyError, TypeError) as fault:
            raise Mismatch(f"This file is not a block of features ({fault}); compute the shard again.") from None


def rows_of(blocks: Iterable[Block]) -> Lookup:
    """A lookup over blocks in memory."""
    known: dict[tuple[str, str], Row] = {}
    for block in blocks:
        for column, rows in block.columns.items():
            fingerprint = block.fingerprints[column]
            known.update({(fingerprint, key): row for key, row in zip(block.row_keys[column], rows, strict=True)})

    def lookup(fingerprint: str, keys: Sequence[str]) -> Mapping[str, Row]:
        return {key: known[fingerprint, key] for key in keys if (fingerprint, key) in known}

    return lookup


def write_whole(target: Path | str | BinaryIO, data: bytes) -> None:
    """All of `data` or nothing: a path is written beside itself and renamed."""
    if not isinstance(target, Path | str):
        target.write(data)
        return
    path = Path(target)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def read_whole(source: Path | str | BinaryIO | bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays of a safetensors file and the JSON facts of its header.

    Raises: Mismatch if it is damaged.
    """
    if isinstance(source, Path | str):
        data = Path(source).read_bytes()
    else:
        data = source if isinstance(source, bytes) else source.read()
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        return dict(safetensors.load(data)), {name: json.loads(fact) for name, fact in header.items()}
    except (struct.error, ValueError, SafetensorError, KeyError) as fault:
        raise Mismatch(f"This file of features is damaged ({fault}); compute it again.") from None
