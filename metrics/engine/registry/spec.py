"""What is known of a metric before it is computed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from metrics.engine.columns import COLUMNS, Role


class Need(StrEnum):
    """What a metric needs beside the samples themselves."""

    REFERENCE_SET = "reference set"
    PAIRED_REFERENCE = "paired reference"
    CAPTION = "caption"
    SOURCE = "source"
    MASK = "mask"
    SOURCE_CAPTION = "source caption"


@dataclass(frozen=True)
class MetricSpec:
    """One metric's unchanging facts.

    Attributes:
        name: the key used in runs, protocols and on the command line.
        version: raised whenever the formula changes; part of every fingerprint.
        direction: which way is better.
        unit: what one step of the value means.
        minimum_n: samples below which the value is weak and carries a warning.
        needs: what must be supplied beside the samples.
        weights: names in `metrics.engine.catalogue`.
        columns: the per-image arrays it is computed from; metrics that share a column share the work.
        per_sample: whether each sample gets its own value.
        modalities: what it scores, “image” or “video” or both; a video through frames sampled from it.
    """

    name: str
    title: str
    version: int
    direction: Literal["higher", "lower"]
    unit: str
    minimum_n: int
    needs: frozenset[Need]
    weights: tuple[str, ...]
    columns: tuple[str, ...]
    per_sample: bool
    summary: str
    weak_because: str
    modalities: frozenset[str] = frozenset({"image"})

    @property
    def roles(self) -> tuple[Role, ...]:
        """What each sample is compared with, in the order in which the columns name it."""
        named = (role for column in self.columns for role in COLUMNS[column].roles)
        return tuple(role for role in dict.fromkeys(named) if role is not Role.SAMPLE)

    @property
    def higher_is_better(self) -> bool:
        return self.direction == "higher"

    def weakness(self, n: int) -> str | None:
        """The warning sentence for a value from `n` samples, or None when there are enough."""
        if n >= self.minimum_n:
            return None
        return f"{self.title} on {n:,} samples is weak: {self.weak_because}; use at least {self.minimum_n:,}."
