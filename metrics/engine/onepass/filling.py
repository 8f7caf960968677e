"""The columns of a block while they fill: rows found, rows made, and inputs waiting for a full batch."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.engine.blocks import Row
from metrics.engine.columns import Role
from metrics.engine.extractors import Extractor

Place = tuple[str, int]
"""(row key, frame) that an input belongs to."""


@dataclass(frozen=True)
class Batch:
    """Inputs of one shape for one forward pass.

    Attributes: size: with how many inputs the network runs; what is missing is filled up with copies of the last, so
        that a row does not depend on how many came with it.
    """

    making: "Making"
    places: Sequence[Place]
    inputs: Sequence[Tensor]
    size: int

    def stacked(self) -> Tensor:
        """(size, …)."""
        inputs = torch.stack(list(self.inputs))
        missing = self.size - len(inputs)
        return torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])]) if missing else inputs

    def cut(self, size: int) -> Iterator["Batch"]:
        """The same inputs in batches of another size."""
        for start in range(0, len(self.inputs), size):
            end = start + size
            yield Batch(self.making, self.places[start:end], self.inputs[start:end], size)


@dataclass
class Making:
    """One maker's rows: those found, those made so far frame by frame, and inputs waiting for a full batch.

    Columns that apply the same maker to different roles share one, and so share its rows.

    Attributes:
        load: makes the extractor.
        choose: with how many inputs like an example a forward pass starts out.
        sizes: by an input's shape: with how many a forward pass runs.
        halvings: (from, to) of every batch size that did not fit.
    """

    name: str
    load: Callable[[], Extractor]
    choose: Callable[[Extractor, Tensor], int]
    found: dict[str, Row] = field(default_factory=dict)
    made: dict[Place, Row] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    waiting: dict[torch.Size, list[tuple[Place, Tensor]]] = field(default_factory=lambda: defaultdict(list))
    asked: set[str] = field(default_factory=set)
    problem: str = ""
    sizes: dict[torch.Size, int] = field(default_factory=dict)
    halvings: list[tuple[int, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def extractor(self) -> Extractor:
        """Loaded when first asked for: rows that are all known need no network."""
        return self.load()

    @property
    def smallest_batch(self) -> int:
        """0 where nothing had to be computed."""
        return min(self.sizes.values(), default=0)

    def wants(self, key: str) -> bool:
        """Whether this row is still to be made, and not already on its way from equal content."""
        if key in self.found or key in self.asked:
            return False
        self.asked.add(key)
        return True

    def take(self, key: str, prepared: Tensor) -> Iterator[Batch]:
        """Takes the (f, …) inputs of one row, one per frame, and gives the batches that they fill."""
        self.frames[key] = len(prepared)
        for frame, each in enumerate(prepared):
            group = self.waiting[each.shape]
            group.append(((key, frame), each))
            if len(group) >= self.size_for(each):
                yield from self._batches(self.waiting.pop(each.shape))

    def rest(self) -> Iterator[Batch]:
        """What is left when all inputs have come."""
        for group in list(self.waiting.values()):
            yield from self._batches(group)
        self.waiting.clear()

    def put(self, batch: Batch, rows: NDArray[np.float32]) -> None:
        """Keeps the rows of a batch; rows of copies are dropped."""
        self.made.update({place: np.array(row) for place, row in zip(batch.places, rows, strict=False)})

    def size_for(self, example: Tensor) -> int:
        """Inputs like `example` (without a batch dimension) in one forward pass."""
        if example.shape not in self.sizes:
            self.sizes[example.shape] = self.choose(self.extractor, example)
        return self.sizes[example.shape]

    def halve(self, batch: Batch) -> Iterator[Batch]:
        """The batch again in batches of half its size, which all later ones of its shape have too."""
        shape, half = batch.inputs[0].shape, batch.size // 2
        with self._lock:
            if self.sizes[shape] > half:
                self.halvings.append((batch.size, half))
                self.sizes[shape] = half
        return batch.cut(half)

    def row(self, key: str, *, moving: bool) -> Row:
        """One row; of a video, its frames' rows in a stack."""
        if key in self.found:
            return self.found[key]
        if moving:
            return np.stack([self.made[key, frame] for frame in range(self.frames[key])])
        return self.made[key, 0]

    def _batches(self, group: list[tuple[Place, Tensor]]) -> Iterator[Batch]:
        places, inputs = [place for place, _ in group], [each for _, each in group]
        return Batch(self, places, inputs, len(inputs)).cut(self.size_for(inputs[0]))


@dataclass(frozen=True)
class Filling:
    """One column while it fills: its maker's rows, what each is made of and the keys they go by."""

    making: Making
    roles: tuple[Role, ...]
    keys: tuple[str, ...]
    moving: bool

    def rows(self) -> NDArray[np.float32]:
        return np.stack([self.making.row(key, moving=self.moving) for key in self.keys])
