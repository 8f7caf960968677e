"""What a reducer takes and gives: blocks in sample order in, an estimate with what belongs to it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.intervals import Estimate, mean_estimate

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Reduced:
    """One metric's outcome over a set of samples.

    Attributes:
        estimate: the value with its interval.
        per_sample: (n,) values in the metric's own unit, in sample order; None for distances between sets.
        details: further figures about the whole set.
        per_sample_details: further (n,) arrays.
        warnings: what a reader must know beside the number, in sentences.
    """

    estimate: Estimate
    per_sample: Values | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    per_sample_details: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Reducer(Interface):
    """How one metric, or several that share their work, take blocks and give their outcome."""

    def add(self, block: Block) -> None:
        """Takes the next block in sample order."""

    def finish(self, metric: str) -> Reduced:
        """The outcome of `metric`, after the last block. What several metrics share is computed at the first call."""


class ColumnMean:
    """The mean of a column that already holds one value for each sample; of a video, one for each sampled frame, whose
    mean is the video's."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._pieces: list[Values] = []

    def add(self, block: Block) -> None:
        rows = block.columns[self._column].astype(np.float64)
        self._pieces.append(rows.reshape(len(rows), -1).mean(axis=1))

    def finish(self, metric: str) -> Reduced:
        values = np.concatenate(self._pieces)
        return Reduced(mean_estimate(values), per_sample=values)
