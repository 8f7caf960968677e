"""The one join of ratings and scores: what people said and what machines measured, a row per contestant.

Nothing is computed here but sums and rates: fits and scores are frozen where they were made.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch, QuerySet, Sum
from django.db.models.functions import Coalesce

from evalhub.studies.models import Checkpoint, Criterion, Study, SubmissionState
from metrics.engine import registry
from metrics.models import Run, RunState, Score, ScoreState
from raters.models import Fit, FitState, Rating, Vote

# Below this many comparisons a contestant's place is a first impression, whatever its interval says.
FEW_COMPARISONS = 50
# A cell's state, beside those of a score: a worker is at it.
SCORING = "scoring"


@dataclass(frozen=True)
class Column:
    """One metric under one protocol. Scores of different fingerprints never share a column."""

    metric: str
    fingerprint: str
    title: str
    unit: str
    higher_is_better: bool

    @property
    def key(self) -> str:
        return f"{self.metric}:{self.fingerprint[:8]}" if self.fingerprint else self.metric


@dataclass(frozen=True)
class Cell:
    """A score, or why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    interval: str = ""
    warnings: tuple[str, ...] = ()
    state: str = ""
    note: str = ""
    run: str = ""


@dataclass(frozen=True)
class Row:
    """One contestant."""

    checkpoint: Checkpoint
    rating: Rating | None
    cells: tuple[Cell, ...]
    warnings: tuple[str, ...]

    def rate(self, outcome: str) -> float | None:
        """Share of the contestant's comparisons that ended so; none before the first."""
        if self.rating is None or not self.rating.comparisons:
            return None
        return float(getattr(self.rating, outcome)) / self.rating.comparisons

    @property
    def win_rate(self) -> float | None:
        return self.rate("wins")

    @property
    def tie_rate(self) -> float | None:
        return self.rate("ties")

    @property
    def both_bad_rate(self) -> float | None:
        return self.rate("both_bad")


@dataclass(frozen=True)
class Leaderboard:
    """A study's contestants in order, with the fit and the scores they are ordered by."""

    study: Study
    criterion: Criterion | None
    fit: Fit | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    waiting_votes: int
    running: tuple[Run, ...] = field(default=())

    @property
    def is_settled(self) -> bool:
        """Nothing is under way that would change this page by itself."""
        return not self.running and not self.waiting_votes


def leaderboard(
    *,
    study: Study,
    criterion: Criterion | None = None,
    fit: Fit | None = None,
    sort: str = "",
) -> Leaderboard:
    """The newest finished fit (or the one given) and the newest scores of every complete submission.

    Args:
        sort: a column's key, `rating`, `name`, `latency` or `price`; a leading minus turns the order round. The default
            is best rating first.
    """
    criterion = criterion or (fit.criterion if fit else study.criteria.first())
    fit = fit or _newest_fit(study, criterion)
    checkpoints = list(_contestants(study))
    ratings = {rating.checkpoint_id: rating for rating in fit.ratings.all()} if fit else {}
    scores = _newest_scores(study)
    running = list(_unfinished_runs(study))
    columns = _columns(scores, running)
    rows = [_row(checkpoint, ratings.get(checkpoint.pk), columns, scores, running) for checkpoint in checkpoints]
    return Leaderboard(
        study=study,
        criterion=criterion,
        fit=fit,
        columns=columns,
        rows=tuple(_sorted(rows, columns, sort)),
        waiting_votes=_votes_after(study, criterion, fit),
        running=tuple(running),
    )


def _contestants(study: Study) -> QuerySet[Checkpoint]:
    return study.checkpoints.filter(submission__state=SubmissionState.COMPLETE).select_related("submission")


def _newest_fit(study: Study, criterion: Criterion | None) -> Fit | None:
    fits = Fit.objects.filter(study=study, criterion=criterion, state=FitState.DONE)
    return fits.prefetch_related(Prefetch("ratings", Rating.objects.select_related("checkpoint"))).first()


def _votes_after(study: Study, criterion: Criterion | None, fit: Fit | None) -> int:
    """Votes cast since the fit; an index-only count of a few rows, however many votes the study has."""
    return Vote.objects.filter(study=study, criterion=criterion, id__gt=fit.cut_off if fit else 0).count()


def _unfinished_runs(study: Study) -> QuerySet[Run]:
    unfinished = [RunState.WAITING, RunState.RUNNING, RunState.MERGING]
    runs = Run.objects.filter(submission__checkpoint__study=study, state__in=unfinished)
    done = Coalesce(Sum("shards__samples_done"), 0)
    return runs.select_related("submission__checkpoint").annotate(samples_done=done).order_by("created_at")


def _newest_scores(study: Study) -> dict[tuple[Any, str, str], Score]:
    """By checkpoint, metric and fingerprint: the newest value, or the newest reason why there is none."""
    scores = (
        Score.objects.filter(run__submission__checkpoint__study=study)
        .exclude(run__state=RunState.CANCELLED)
        .select_related("run__submission")
        .order_by("created_at")
    )
    newest: dict[tuple[Any, str, str], Score] = {}
    for score in scores:
        newest[(score.run.submission.checkpoint_id, score.metric, score.fingerprint)] = score
    return newest


def _columns(scores: dict[tuple[Any, str, str], Score], running: list[Run]) -> tuple[Column, ...]:
    """A column per metric and fingerprint; a metric that nobody has a value of yet keeps one for the reasons."""
    with_value = {(score.metric, score.fingerprint) for score in scores.values() if score.state == ScoreState.DONE}
    valued = {metric for metric, _ in with_value}
    asked = {score.metric for score in scores.values()} | {metric for run in running for metric in run.metrics}
    without = {(metric, "") for metric in asked - valued}
    order = {name: place for place, name in enumerate(registry.METRICS)}
    pairs = sorted(with_value | without, key=lambda pair: (order.get(pair[0], len(order)), pair))
    return tuple(_column(metric, fingerprint) for metric, fingerprint in pairs)


def _column(metric: str, fingerprint: str) -> Column:
    spec = registry.METRICS[metric]
    return Column(metric, fingerprint, spec.title, spec.unit, spec.higher_is_better)


def _row(
    checkpoint: Checkpoint,
    rating: Rating | None,
    columns: tuple[Column, ...],
    scores: dict[tuple[Any, str, str], Score],
    running: list[Run],
) -> Row:
    under_way = {metric for run in running if run.submission.checkpoint_id == checkpoint.pk for metric in run.metrics}
    cells = tuple(_cell(checkpoint, column, scores, under_way) for column in columns)
    warnings = [warning for cell in cells for warning in cell.warnings]
    if rating is not None and 0 < rating.comparisons < FEW_COMPARISONS:
        warnings.insert(
            0,
            f"Few votes: {rating.comparisons} comparisons, where {FEW_COMPARISONS} are the least to trust.",
        )
    return Row(checkpoint, rating, cells, tuple(dict.fromkeys(warnings)))


def _cell(
    checkpoint: Checkpoint, column: Column, scores: dict[tuple[Any, str, str], Score], under_way: set[str]
) -> Cell:
    score = scores.get((checkpoint.pk, column.metric, column.fingerprint)) or _without_value(checkpoint, column, scores)
    if score is None:
        return Cell(state=SCORING) if column.metric in under_way else Cell()
    return Cell(
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        interval=score.interval,
        warnings=tuple(score.warnings),
        state=score.state,
        note=score.note,
        run=str(score.run_id),
    )


def _without_value(checkpoint: Checkpoint, column: Column, scores: dict[tuple[Any, str, str], Score]) -> Score | None:
    """The newest score of this metric that ended without a value, whatever protocol it would have had."""
    found = [
        score
        for (owner, metric, _), score in scores.items()
        if owner == checkpoint.pk and metric == column.metric and score.state != ScoreState.DONE
    ]
    return found[-1] if found else None


def _sorted(rows: Iterable[Row], columns: tuple[Column, ...], sort: str) -> list[Row]:
    """Rows by one column, those without a value last whichever way round."""
    key, downwards = sort.removeprefix("-"), sort.startswith("-")
    if key not in {"rating", "name", "latency", "price", "comparisons"} | {column.key for column in columns}:
        key, downwards = "rating", True
    places = {column.key: place for place, column in enumerate(columns)}

    def value(row: Row) -> Any:
        if key in places:
            return row.cells[places[key]].value
        if key == "name":
            return str(row.checkpoint).casefold()
        if key == "latency":
            return row.checkpoint.latency_p50
        if key == "price":
            return row.checkpoint.price
        return getattr(row.rating, key) if row.rating else None

    ordered = sorted(rows, key=lambda row: str(row.checkpoint).casefold())
    known = sorted((row for row in ordered if value(row) is not None), key=value, reverse=downwards)
    return known + [row for row in ordered if value(row) is None]
