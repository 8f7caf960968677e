"""What a study has to offer: which samples can be put side by side."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from django.db.models import Max
from numpy.typing import NDArray

from evalhub.studies.models import Sample, Study, SubmissionState
from raters.models import PresentationCopy
from raters.presentation import POLICY

Integers = NDArray[np.int64]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Offers:
    """Samples that have copies, as a table: one row per prompt and seed, one column per checkpoint.

    A row holds copies of one canvas only, so any two samples in it can be compared; 0 stands for no sample.

    Args:
        checkpoints: ids, in the order of the columns.
        prompts: (R,) prompt ids.
        samples, copies: (R, K) ids.
    """

    checkpoints: tuple[uuid.UUID, ...]
    prompts: Integers
    samples: Integers
    copies: Integers
    places: dict[int, Pair]

    def allowed(self, seen: Iterable[Pair]) -> NDArray[np.bool_]:
        """(K, K) which pairs of checkpoints still have a row whose two samples are not among the pairs `seen`."""
        there = (self.samples > 0).astype(np.int64)
        left = there.T @ there
        np.fill_diagonal(left, 0)
        for first, second in seen:
            one, other = self.places.get(first), self.places.get(second)
            if one and other and one[0] == other[0]:
                left[one[1], other[1]] -= 1
                left[other[1], one[1]] -= 1
        return np.asarray(left > 0)

    def rows(self, first: int, second: int, seen: set[Pair]) -> list[int]:
        """The rows that can show the columns `first` and `second` to somebody who has seen the pairs `seen`."""
        both = np.flatnonzero((self.samples[:, first] > 0) & (self.samples[:, second] > 0))
        pairs = zip(both.tolist(), self.samples[both, first].tolist(), self.samples[both, second].tolist(), strict=True)
        return [row for row, one, other in pairs if unordered(one, other) not in seen]


def unordered(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def offers_of(study: Study) -> Offers:
    """The study's offers as they stand now."""
    live = study.checkpoints.filter(withdrawn_at=None, submission__state=SubmissionState.COMPLETE)
    newest = PresentationCopy.objects.filter(study=study).aggregate(newest=Max("id"))["newest"]
    return _load(study.pk, newest, tuple(live.order_by("pk").values_list("pk", flat=True)))


@lru_cache(maxsize=16)
def _load(study: uuid.UUID, newest: int | None, checkpoints: tuple[uuid.UUID, ...]) -> Offers:
    """Read the offers. What they depend on only ever grows, and its newest part is among the arguments."""
    copies: dict[int, dict[Pair, int]] = defaultdict(dict)
    ready = PresentationCopy.objects.ready().filter(study=study, policy=POLICY)
    for copy, media, width, height in ready.values_list("id", "media", "width", "height"):
        copies[media][(width, height)] = copy
    columns = {checkpoint: place for place, checkpoint in enumerate(checkpoints)}
    table = _rows(study, columns, copies)
    samples = np.zeros((len(table), len(checkpoints)), dtype=np.int64)
    chosen = np.zeros_like(samples)
    places: dict[int, Pair] = {}
    for row, cells in enumerate(table.values()):
        size = _common_canvas(copies[media] for _, media in cells.values())
        for column, (sample, media) in cells.items():
            if size in copies[media]:
                samples[row, column], chosen[row, column] = sample, copies[media][size]
                places[sample] = (row, column)
    prompts = np.array([prompt for prompt, _ in table], dtype=np.int64)
    return Offers(checkpoints, prompts, samples, chosen, places)


def _rows(study: uuid.UUID, columns: dict[uuid.UUID, int], copies: dict[int, Any]) -> dict[Pair, dict[int, Pair]]:
    """By prompt and ordinal of seed: the sample and media of each column. Contestants may have used different seeds, so
    the first of one stands beside the first of another."""
    table: dict[Pair, dict[int, Pair]] = defaultdict(dict)
    ordinal: Counter[Pair] = Counter()
    samples = Sample.objects.filter(checkpoint__study=study, checkpoint__in=columns).order_by("prompt", "seed", "id")
    for sample, checkpoint, prompt, media in samples.values_list("id", "checkpoint", "prompt", "media"):
        column = columns[checkpoint]
        table[(prompt, ordinal[(prompt, column)])][column] = (sample, media)
        ordinal[(prompt, column)] += 1
    return table


def _common_canvas(of_each: Iterable[dict[Pair, int]]) -> Pair:
    """The canvas that most have a copy on, the larger of two; while a grown one is being made, the old one serves."""
    counts = Counter(size for sizes in of_each for size in sizes)
    return max(counts, key=lambda size: (counts[size], size[0] * size[1], size), default=(0, 0))
