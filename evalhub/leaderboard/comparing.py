"""Two contestants side by side: what machines measured, prompt by prompt where they can, and what people said."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import hypot, sqrt
from typing import Any, Literal

import numpy as np
import scipy  # its parts take long to load, and load when they are used
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Func, Q, QuerySet
from numpy.typing import NDArray

from evalhub.leaderboard.columns import Column, metric_column
from evalhub.leaderboard.scores import newest_scores
from evalhub.studies.models import Checkpoint, Study
from metrics.engine.registry import METRICS
from metrics.models import SampleScore, Score, ScoreState
from raters.models import Choice, Control, Enrolment, EnrolmentState, Vote

VOTES = "votes"
PAIRED, INDEPENDENT = "paired by prompt", "as if independent"
# A mean over fewer prompts has an interval that says nothing.
LEAST_PROMPTS = 5

Order = Literal["worst", "best"]


@dataclass(frozen=True)
class Difference:
    """A value of the second less that of the first, with its 95 % interval where there is one.

    Args: better: "high" or "low", which end is the better one.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    better: str = "high"

    @property
    def verdict(self) -> str:
        """`better` or `worse`, said of the second, when the interval leaves no doubt; empty otherwise."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return ""
        return "better" if (self.value > 0) == (self.better == "high") else "worse"


@dataclass(frozen=True)
class Said:
    """How often people preferred each of the two, and how often neither; `simulated` of all these are no people's."""

    first: int = 0
    second: int = 0
    undecided: int = 0
    simulated: int = 0

    @property
    def votes(self) -> int:
        return self.first + self.second + self.undecided

    @property
    def share(self) -> float | None:
        """Of the votes for the second, undecided ones halved; None without votes."""
        return (self.second + self.undecided / 2) / self.votes if self.votes else None


@dataclass(frozen=True)
class Line:
    """One metric column: both values and their difference; `differences` where each prompt has values of its own."""

    column: Column
    first: Score
    second: Score
    difference: Difference
    differences: "PromptDifferences | None" = None


@dataclass(frozen=True, eq=False)
class PromptDifferences:
    """(n,) prompts that both have answered, in order, and the values of both.

    Args: are_shares: whether the two values are shares of votes, which together are one.
    """

    prompts: NDArray[np.int64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    better: str
    are_shares: bool = False

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return np.asarray(self.second - self.first)

    def order(self, order: Order) -> NDArray[np.int64]:
        """Places of the prompts, the worst for the second first, or the best."""
        gains = self.values if self.better == "high" else -self.values
        return np.argsort(gains if order == "worst" else -gains, kind="stable")

    def places_of(self, prompts: Sequence[int]) -> NDArray[np.int64]:
        """Where those of some prompts are that both have answered."""
        places = np.searchsorted(self.prompts, prompts)
        places = np.minimum(places, len(self.prompts) - 1)
        return places[self.prompts[places] == prompts]

    def over(self, places: NDArray[np.int64]) -> Difference | None:
        """The mean difference over the prompts at some places; None over none."""
        if not len(places):
            return None
        if self.are_shares:
            return difference_of_shares(self.second[places])
        return mean_difference(self.values[places], self.better)

    @property
    def mean(self) -> Difference:
        """Over all prompts, of which there is one at least."""
        found = self.over(np.arange(len(self.values)))
        assert found is not None
        return found


def mean_difference(values: NDArray[np.float64], better: str) -> Difference:
    """The mean with Student's interval over prompts, which are what is drawn anew when somebody asks again."""
    mean, n = float(values.mean()), len(values)
    if n < LEAST_PROMPTS:
        return Difference(mean, None, None, n, PAIRED, better)
    half = float(scipy.special.stdtrit(n - 1, 0.975) * values.std(ddof=1) / sqrt(n))
    return Difference(mean, mean - half, mean + half, n, PAIRED, better)


def difference_of_shares(shares: NDArray[np.float64]) -> Difference:
    """The mean share of the second over prompts, less what is left to the first.

    Wilson's interval, which stays between none and all, as if every prompt were so many votes as their spread says.
    """
    mean, n = float(shares.mean()), len(shares)
    if n < LEAST_PROMPTS:
        return Difference(2 * mean - 1, None, None, n, PAIRED)
    spread = float(shares.var(ddof=1)) / n
    votes = mean * (1 - mean) / spread if spread > 0 else float(n)
    square = float(scipy.special.stdtrit(n - 1, 0.975)) ** 2
    middle = (mean + square / (2 * votes)) / (1 + square / votes)
    half = sqrt(square * (mean * (1 - mean) / votes + square / (4 * votes**2))) / (1 + square / votes)
    return Difference(2 * mean - 1, 2 * (middle - half) - 1, 2 * (middle + half) - 1, n, PAIRED)


def independent_difference(first: Score, second: Score, better: str) -> Difference:
    """From the intervals of two scores, each side's widths added as those of independent errors."""
    assert first.value is not None
    assert second.value is not None
    value, n = second.value - first.value, min(first.n, second.n)
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Difference(value, None, None, n, INDEPENDENT, better)
    below = hypot(second.value - second.low, first.high - first.value)
    above = hypot(second.high - second.value, first.value - first.low)
    return Difference(value, value - below, value + above, n, INDEPENDENT, better)


@dataclass(frozen=True, eq=False)
class Comparing:
    """The first is the baseline, the second what is held against it."""

    study: Study
    first: Checkpoint
    second: Checkpoint
    lines: tuple[Line, ...]
    said: Said
    said_of: dict[int, Said] = field(default_factory=dict)

    def differences(self, key: str) -> PromptDifferences | None:
        """Prompt by prompt: by the column of that key, or by the votes for `votes`; None where there is nothing."""
        if key == VOTES:
            return self._by_votes()
        return next((line.differences for line in self.lines if line.column.key == key), None)

    def _by_votes(self) -> PromptDifferences | None:
        if not self.said_of:
            return None
        prompts = np.array(sorted(self.said_of), dtype=np.int64)
        share = np.array([self.said_of[prompt].share for prompt in prompts], dtype=np.float64)
        return PromptDifferences(prompts, 1 - share, share, "high", are_shares=True)


def compare(study: Study, first: Checkpoint, second: Checkpoint, *, with_votes: bool) -> Comparing:
    """Everything that the page shows of the two, but the single prompts.

    Args: with_votes: whether what people answered may be told.
    """
    found = newest_scores(study)
    outputs = Outputs.of(first), Outputs.of(second)
    lines = []
    for (checkpoint, metric, fingerprint), score in found.items():
        other = found.get((second.pk, metric, fingerprint))
        if checkpoint != first.pk or other is None or {score.state, other.state} != {ScoreState.DONE}:
            continue
        lines.append(_line(metric_column(metric, fingerprint), score, other, outputs))
    order = list(METRICS)
    lines.sort(key=lambda line: (order.index(line.column.metric), line.column.key))
    said_of = _said_of(study, first, second) if with_votes else {}
    return Comparing(study, first, second, tuple(lines), _together(list(said_of.values())), said_of)


@dataclass(frozen=True, eq=False)
class Outputs:
    """(n,) samples of one contestant, in order, and their prompts."""

    samples: NDArray[np.int64]
    prompts: NDArray[np.int64]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Outputs":
        return cls(*_in_one_row(checkpoint.samples.order_by(), "pk", "prompt", sort="pk"))

    def means(self, score: Score) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The prompts that a score has values of, in order, and the means of those."""
        samples, values = _in_one_row(SampleScore.objects.filter(score=score), "sample", "value")
        prompts, of_prompt = np.unique(self.prompts[np.searchsorted(self.samples, samples)], return_inverse=True)
        return prompts, np.bincount(of_prompt, weights=values) / np.bincount(of_prompt)


def _in_one_row(rows: QuerySet[Any], *columns: str, sort: str | None = None) -> Iterator[NDArray[Any]]:
    """Columns as arrays. There may be fifty thousand rows, and to make each a tuple takes longer than to find it."""
    found = rows.aggregate(**{f"all_{name}": ArrayAgg(name, order_by=sort, default=[]) for name in columns})
    for name in columns:
        yield np.array(found[f"all_{name}"], dtype=np.float64 if name == "value" else np.int64)


def by_prompt(first: Score, second: Score, better: str, outputs: tuple[Outputs, Outputs]) -> PromptDifferences | None:
    """Mean values of the prompts that both scores have; None when they have none in common."""
    (of_first, before), (of_second, after) = outputs[0].means(first), outputs[1].means(second)
    prompts, in_first, in_second = np.intersect1d(of_first, of_second, assume_unique=True, return_indices=True)
    return PromptDifferences(prompts, before[in_first], after[in_second], better) if len(prompts) else None


@dataclass(frozen=True)
class Tagged:
    tag: str
    difference: Difference


def by_tag(study: Study, differences: PromptDifferences, order: Order) -> list[Tagged]:
    """The mean difference over the prompts of each tag, the worst for the second first, or the best."""
    tagged = study.prompts.order_by().annotate(tag=Func("tags", function="unnest")).values("tag")
    found = []
    for tag, prompts in tagged.values_list("tag", ArrayAgg("pk", distinct=True)):
        if difference := differences.over(differences.places_of(prompts)):
            found.append(Tagged(tag, difference))
    up = 1 if (differences.better == "high") == (order == "worst") else -1
    return sorted(found, key=lambda one: (up * one.difference.value, one.tag))


def _line(column: Column, first: Score, second: Score, outputs: tuple[Outputs, Outputs]) -> Line:
    differences = by_prompt(first, second, column.better, outputs)
    if differences is None:
        return Line(column, first, second, independent_difference(first, second, column.better))
    return Line(column, first, second, differences.mean, differences)


def _said_of(study: Study, first: Checkpoint, second: Checkpoint) -> dict[int, Said]:
    """By prompt: what was answered, without controls and without raters who are excluded or took back their consent."""
    both = [first.pk, second.pk]
    left_out = Q(excluded_at__isnull=False) | Q(state=EnrolmentState.WITHDRAWN)
    excluded = Enrolment.objects.filter(left_out, study=study).values("rater")
    of_first = Q(choice=Choice.LEFT, left_checkpoint=first) | Q(choice=Choice.RIGHT, right_checkpoint=first)
    of_second = Q(choice=Choice.LEFT, left_checkpoint=second) | Q(choice=Choice.RIGHT, right_checkpoint=second)
    rows = (
        Vote.objects.filter(study=study, control=Control.NONE, left_checkpoint__in=both, right_checkpoint__in=both)
        .latest_revisions()
        .exclude(rater__in=excluded)
        .order_by()
        .values(prompt_of=F("prompt"))
        .annotate(
            first=Count("pk", filter=of_first),
            second=Count("pk", filter=of_second),
            undecided=Count("pk", filter=Q(choice__in=[Choice.TIE, Choice.BOTH_BAD])),
            made_up=Count("pk", filter=Q(simulated=True)),
        )
    )
    return {row["prompt_of"]: Said(row["first"], row["second"], row["undecided"], row["made_up"]) for row in rows}


def _together(said: Sequence[Said]) -> Said:
    totals: Counter[str] = Counter()
    for one in said:
        totals.update(first=one.first, second=one.second, undecided=one.undecided, simulated=one.simulated)
    return Said(totals["first"], totals["second"], totals["undecided"], totals["simulated"])
