"""What a study has to offer: which samples can be put side by side."""

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from django.db.models import Max
from numpy.typing import NDArray

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import Checkpoint, Sample, Study, SubmissionState
from raters.models import PresentationCopy
from raters.presentation import OUTLINE, Canvas
from raters.services.preparing import Wanted, given_by_prompts, wanted_beside

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Pair = tuple[int, int]

_newest_copy = Prepared(
    lambda: (
        PresentationCopy.objects.filter(study=Slot("study"))
        .values("study")
        .annotate(newest=Max("id"))
        .values_list("newest")
    )
)
_complete = Prepared(
    lambda: (
        Checkpoint.objects.filter(study=Slot("study"), submission__state=SubmissionState.COMPLETE)
        .order_by("pk")
        .values_list("pk")
    )
)

# Reading the offers of a large study takes a second. While copies are being made, which changes them all the time, a
# process spends at most one part in so many of its time on that.
PAUSE = 20
STUDIES_HELD = 32  # by one process; of more, the one that was read longest ago goes


@dataclass(frozen=True, eq=False)
class Seen:
    """The pairs that a rater has seen and that could be offered again: (n,) rows, and the two columns of each."""

    rows: Integers
    firsts: Integers
    seconds: Integers


@dataclass(frozen=True, eq=False)
class Offers:
    """Samples that have copies, as a table: one row per prompt and seed, one column per checkpoint.

    A row holds copies of one canvas only, so any two samples in it can be compared; 0 stands for no sample.

    Args:
        checkpoints: ids, in the order of the columns.
        prompts: (R,) prompt ids.
        samples, copies: (R, K) ids.
        sizes: (R, K) bytes of the copies.
    """

    checkpoints: tuple[uuid.UUID, ...]
    prompts: Integers
    samples: Integers
    copies: Integers
    sizes: Integers

    @cached_property
    def common(self) -> Integers:
        """(K, K) how many rows two checkpoints have in common."""
        there = (self.samples > 0).astype(np.float64)  # which is multiplied far faster than integers
        rows = there.T @ there
        np.fill_diagonal(rows, 0)
        return np.asarray(rows, dtype=np.int64)

    @cached_property
    def _places(self) -> tuple[Integers, Integers, Integers]:
        """Samples in the order of their ids, and the row and column of each."""
        rows, columns = np.nonzero(self.samples)
        samples = self.samples[rows, columns]
        order = np.argsort(samples)
        return samples[order], rows[order], columns[order]

    def seen(self, pairs: Sequence[Pair]) -> Seen:
        """Where the pairs of samples stand in the table; those that cannot be offered (again) are left out."""
        samples, rows, columns = self._places
        wanted = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        places = np.searchsorted(samples, wanted)
        places[places == len(samples)] = 0
        here = (samples[places] == wanted).all(axis=1) if len(samples) else np.zeros(len(wanted), dtype=bool)
        one, other = places[here].T
        together = rows[one] == rows[other]
        one, other = one[together], other[together]
        return Seen(rows[one], columns[one], columns[other])

    def allowed(self, seen: Seen) -> Mask:
        """(K, K) which pairs of checkpoints still have a row that shows them to somebody who has seen those pairs."""
        left = self.common.copy()
        np.subtract.at(left, (seen.firsts, seen.seconds), 1)
        np.subtract.at(left, (seen.seconds, seen.firsts), 1)
        return np.asarray(left > 0)

    def rows(self, first: int, second: int, seen: Seen) -> Integers:
        """The rows that can show the columns `first` and `second` to somebody who has seen those pairs."""
        both = (self.samples[:, first] > 0) & (self.samples[:, second] > 0)
        pair = {first, second}
        of_pair = np.isin(seen.firsts, list(pair)) & np.isin(seen.seconds, list(pair))
        both[seen.rows[of_pair]] = False
        return np.flatnonzero(both)


@dataclass(frozen=True, eq=False)
class _Shelf:
    """Offers as one process holds them: of which state of the study, read when, in how many seconds."""

    state: tuple[Any, ...]
    offers: Offers
    read_at: float
    seconds: float

    @property
    def may_be_old(self) -> bool:
        """Whether it is too early to read again. Offers of nothing are always read again: somebody waits for them."""
        return bool(self.offers.common.any()) and time.monotonic() < self.read_at + PAUSE * self.seconds


_shelves: dict[uuid.UUID, _Shelf] = {}
_reading: dict[uuid.UUID, threading.Lock] = defaultdict(threading.Lock)


def offers_of(study: Study, *, newest: bool = False) -> Offers:
    """The study's offers, of all its complete submissions. They may lag a little behind copies that are just being
    made, and never name what is not there: what they depend on only ever grows.

    Of several threads one reads them anew; the others go on with what was there, or wait when nothing was.

    Args: newest: wait for the offers as they are now.
    """
    state = _state(study)
    shelf = _shelves.get(study.pk)
    if shelf is not None and (shelf.state == state or (shelf.may_be_old and not newest)):
        return shelf.offers
    something = shelf is not None and bool(shelf.offers.common.any()) and not newest
    lock = _reading[study.pk]
    if not lock.acquire(blocking=not something):
        assert shelf is not None
        return shelf.offers
    try:
        shelf = _shelves.get(study.pk)
        if shelf is None or shelf.state != state:
            began = time.monotonic()
            offers = _load(study, state[1])
            now = time.monotonic()
            shelf = _Shelf(state, offers, now, now - began)
            _shelves.pop(study.pk, None)
            _shelves[study.pk] = shelf
            for oldest in list(_shelves)[:-STUDIES_HELD]:
                _shelves.pop(oldest, None)
        return shelf.offers
    finally:
        lock.release()


def _state(study: Study) -> tuple[int | None, tuple[uuid.UUID, ...]]:
    """What the offers depend on: the newest copy, and which submissions are complete."""
    (newest,) = _newest_copy.first(study=study.pk) or (None,)
    return newest, tuple(pk for (pk,) in _complete(study=study.pk))


def _load(study: Study, checkpoints: tuple[uuid.UUID, ...]) -> Offers:
    copies, beside = _copies(study)
    columns = {checkpoint: place for place, checkpoint in enumerate(checkpoints)}
    table = _rows(study, columns) if copies else {}
    given = given_by_prompts(study)
    samples = np.zeros((len(table), len(checkpoints)), dtype=np.int64)
    chosen, sizes = np.zeros_like(samples), np.zeros_like(samples)
    for row, ((prompt, _), cells) in enumerate(table.items()):
        size = _common_canvas(
            [size for size in copies[media] if _has_beside(given.get(prompt, {}), size, beside)]
            for _, media in cells.values()
        )
        for column, (sample, media) in cells.items():
            if size in copies[media]:
                samples[row, column] = sample
                chosen[row, column], sizes[row, column] = copies[media][size]
    prompts = np.array([prompt for prompt, _ in table], dtype=np.int64)
    return Offers(checkpoints, prompts, samples, chosen, sizes)


def _has_beside(given: dict[str, int], size: Canvas, beside: set[Wanted]) -> bool:
    """Whether all that a prompt gives can be shown with sides on that canvas."""
    return all(wanted_beside(name, media, size) in beside for name, media in given.items())


def _copies(study: Study) -> tuple[dict[int, dict[Canvas, Pair]], set[Wanted]]:
    """By media and canvas, the copies that can be sides, and their bytes; and which there are of what prompts give."""
    sides: dict[int, dict[Canvas, Pair]] = defaultdict(dict)
    beside = set()
    ready = PresentationCopy.objects.in_force().ready().filter(study=study)
    for copy, media, policy, weight, *size in ready.values_list("id", "media", "policy", "size", *Canvas._fields):
        beside.add(Wanted(media, Canvas(*size), policy))
        if policy != OUTLINE:
            sides[media][Canvas(*size)] = copy, weight
    return sides, beside


def _rows(study: Study, columns: dict[uuid.UUID, int]) -> dict[Pair, dict[int, Pair]]:
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


def _common_canvas(of_each: Iterable[Iterable[Canvas]]) -> Canvas:
    """The canvas that most have a copy on, the larger of two; while a grown one is being made, the old one serves."""
    counts = Counter(size for sizes in of_each for size in sizes)
    return max(counts, key=lambda size: (counts[size], size.width * size.height, size), default=Canvas(0, 0))
