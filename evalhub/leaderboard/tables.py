"""The one join of ratings and scores: what people said and what machines measured, a row per contestant.

Nothing is computed here but rates: fits and scores are frozen where they were made, and no vote is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from evalhub.leaderboard.columns import NAME, RANK, Column, all_columns, shown_columns
from evalhub.leaderboard.scores import Cell, Scores
from evalhub.studies.models import Checkpoint, Criterion, Study, SubmissionState
from metrics.models import Run
from raters.models import Fit, FitState, Rating, Vote

# Below this many comparisons a contestant's place is a first impression, whatever its interval says.
FEW_COMPARISONS = 50
# New votes are counted up to here; beyond, "more than" is enough.
MOST_WAITING = 1000
FACTS = {"latency": "latency_p50", "price": "price", "gpu": "gpu", "dtype": "dtype", "family": "family", "step": "step"}


@dataclass(frozen=True)
class Neighbour:
    """A contestant beside the next one below, as its fit says: separated, or about how many votes are missing."""

    separated: bool
    more_votes: int | None
    sentence: str


@dataclass(frozen=True)
class Row:
    """One contestant."""

    checkpoint: Checkpoint
    rating: Rating | None
    cells: tuple[Cell, ...]
    warnings: tuple[str, ...]
    next: Neighbour | None = None

    def rate(self, outcome: str) -> float | None:
        """Share of the contestant's comparisons that ended so; none before the first."""
        if self.rating is None or not self.rating.comparisons:
            return None
        return float(getattr(self.rating, outcome)) / self.rating.comparisons

    @property
    def is_late(self) -> bool:
        """Whether it was begun after the study's contestants were registered, and so is not ranked."""
        return not self.checkpoint.is_registered

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
    """A study's contestants in order, with the fit and the scores they are ordered by.

    Args:
        columns: the study's metric columns; a row's cells are in their order.
        shown: the columns of the table, those and the others.
        waiting_votes: cast since the fit, at most MOST_WAITING.
    """

    study: Study
    criterion: Criterion | None
    fit: Fit | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    waiting_votes: int
    running: tuple[Run, ...] = field(default=())
    shown: tuple[Column, ...] = field(default=())

    @property
    def heads(self) -> tuple[Column, ...]:
        """The columns of the table from the left."""
        return (NAME, RANK, *self.shown)

    @property
    def is_settled(self) -> bool:
        """Nothing is under way that would change this page by itself."""
        return not self.running and not self.waiting_votes

    @property
    def rated(self) -> list[Row]:
        """Those with a rating, the best first."""
        return ordered(self.rows, self.columns, "-rating", only_known=True)

    def cell(self, row: Row, column: Column) -> Cell:
        """A row's cell in a metric's column."""
        return row.cells[self.columns.index(column)]


def leaderboard(
    *,
    study: Study,
    criterion: Criterion | None = None,
    fit: Fit | None = None,
    sort: str = "",
    columns: Sequence[str] = (),
    rated: bool = True,
) -> Leaderboard:
    """The newest finished fit of the criterion (or the fit given) and the newest scores of every complete submission.

    Args:
        sort: a column's key; a leading minus turns the order round. The default is best rating first.
        columns: the keys of those to show; by default the sensible ones.
        rated: False shows no ratings, whatever fits there are.
    """
    if fit is not None:
        criterion = fit.criterion
    elif rated:
        criterion = criterion or study.criteria.first()
        fit = newest_fit(study, criterion)
    ratings = {rating.checkpoint_id: rating for rating in fit.ratings.all()} if fit else {}
    scores = Scores.of(study)
    neighbours = _neighbours(fit)
    rows = [
        _row(checkpoint, ratings.get(checkpoint.pk), scores, neighbours.get(str(checkpoint.pk)))
        for checkpoint in contestants(study)
    ]
    return Leaderboard(
        study=study,
        criterion=criterion,
        fit=fit,
        columns=scores.columns,
        rows=tuple(ordered(rows, scores.columns, sort)),
        waiting_votes=_votes_after(study, criterion, fit) if rated else 0,
        running=scores.running,
        shown=shown_columns(scores.columns, columns),
    )


def contestants(study: Study) -> QuerySet[Checkpoint]:
    """Everybody whose outputs are complete; a withdrawn one stays listed."""
    return study.checkpoints.filter(submission__state=SubmissionState.COMPLETE).select_related("submission", "study")


def newest_fit(study: Study, criterion: Criterion | None) -> Fit | None:
    """The study's own newest finished ranking."""
    return Fit.objects.of(study, criterion, {}).filter(state=FitState.DONE).first()


def _votes_after(study: Study, criterion: Criterion | None, fit: Fit | None) -> int:
    """Votes cast since the study's own fit: an index-only count that stops early, however many votes there are."""
    if criterion is None or (fit is not None and not fit.is_official):
        return 0
    after = Vote.objects.filter(study=study, criterion=criterion, id__gt=fit.cut_off if fit else 0)
    return after[:MOST_WAITING].count()


def _neighbours(fit: Fit | None) -> dict[str, Neighbour]:
    """By the upper one's id."""
    return {
        pair["upper"]: Neighbour(pair["separated"], pair.get("more_votes"), pair.get("sentence", ""))
        for pair in (fit.separations if fit else [])
    }


def _row(checkpoint: Checkpoint, rating: Rating | None, scores: Scores, neighbour: Neighbour | None) -> Row:
    cells = scores.cells(checkpoint.pk)
    warnings = [warning for cell in cells for warning in cell.warnings]
    if rating is not None and 0 < rating.comparisons < FEW_COMPARISONS:
        warnings.insert(
            0,
            f"Few votes: {rating.comparisons} comparisons, where {FEW_COMPARISONS} are the least to trust.",
        )
    return Row(checkpoint, rating, cells, tuple(dict.fromkeys(warnings)), neighbour)


def value_of(row: Row, metrics: Sequence[Column], key: str) -> Any:
    """What a row is ordered by in the column called `key`; None where it has nothing there."""
    if key == NAME.key:
        return str(row.checkpoint).casefold()
    if key == RANK.key:
        return row.rating and (row.rating.rank_low, row.rating.rank_high) if _has_rank(row) else None
    if key == "next":
        return row.next and (not row.next.separated, row.next.more_votes is None, row.next.more_votes or 0)
    if key in {"win_rate", "tie_rate", "both_bad_rate"}:
        return getattr(row, key)
    if key in FACTS:
        fact = getattr(row.checkpoint, FACTS[key])
        return None if fact == "" else fact
    place = next((place for place, column in enumerate(metrics) if column.key == key), None)
    if place is not None:
        return row.cells[place].value
    return getattr(row.rating, key) if row.rating else None


def _has_rank(row: Row) -> bool:
    return row.rating is not None and row.rating.rank_low is not None


def ordered(rows: Iterable[Row], metrics: Sequence[Column], sort: str, *, only_known: bool = False) -> list[Row]:
    """Rows by one column, those without a value last whichever way round.

    Args:
        only_known: leave those without a value out.
    """
    key, downwards = sort.removeprefix("-"), sort.startswith("-")
    if key not in {NAME.key, RANK.key, *(column.key for column in all_columns(metrics))}:
        key, downwards = "rating", True
    by_name = sorted(rows, key=lambda row: str(row.checkpoint).casefold())
    valued = [(value_of(row, metrics, key), row) for row in by_name]
    known = sorted((pair for pair in valued if pair[0] is not None), key=lambda pair: pair[0], reverse=downwards)
    return [row for _, row in known] + ([] if only_known else [row for value, row in valued if value is None])
