"""The newest scores of a study, by contestant and metric column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce

from evalhub.leaderboard.columns import Column, metric_column
from evalhub.studies.models import Study
from metrics.engine import registry
from metrics.models import Run, RunState, Score, ScoreState

# A cell's state, beside those of a score: a worker is at it.
SCORING = "scoring"


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
class Scores:
    """A study's metric columns and what each contestant has in them.

    Args:
        newest: by contestant, metric and fingerprint.
        without_value: by contestant and metric, the newest that ended without one, whatever protocol it would have had.
        running: unfinished runs, the oldest first.
    """

    columns: tuple[Column, ...]
    newest: dict[tuple[UUID, str, str], Score]
    without_value: dict[tuple[UUID, str], Score]
    running: tuple[Run, ...]

    @classmethod
    def of(cls, study: Study) -> "Scores":
        newest, running = newest_scores(study), tuple(_unfinished_runs(study))
        without_value = {
            (owner, metric): score for (owner, metric, _), score in newest.items() if score.state != ScoreState.DONE
        }
        return cls(_columns(newest, running), newest, without_value, running)

    def cells(self, checkpoint: UUID) -> tuple[Cell, ...]:
        """One contestant's cells, in the order of the columns."""
        mine = [run for run in self.running if run.submission.checkpoint_id == checkpoint]
        under_way = {metric for run in mine for metric in run.metrics}
        return tuple(self._cell(checkpoint, column, under_way) for column in self.columns)

    def _cell(self, checkpoint: UUID, column: Column, under_way: set[str]) -> Cell:
        found = self.newest.get((checkpoint, column.metric, column.fingerprint))
        score = found or self.without_value.get((checkpoint, column.metric))
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


def newest_scores(study: Study) -> dict[tuple[UUID, str, str], Score]:
    """By checkpoint, metric and fingerprint: the newest value, or the newest reason why there is none."""
    scores = (
        Score.objects.filter(run__submission__checkpoint__study=study)
        .exclude(run__state=RunState.CANCELLED)
        .select_related("run__submission")
        .defer("protocol", "details", "efficiency", "run__protocol")
        .order_by("created_at")
    )
    newest: dict[tuple[UUID, str, str], Score] = {}
    for score in scores:
        if score.metric in registry.METRICS:
            newest[(score.run.submission.checkpoint_id, score.metric, score.fingerprint)] = score
    return newest


def _unfinished_runs(study: Study) -> QuerySet[Run]:
    unfinished = [RunState.WAITING, RunState.RUNNING, RunState.MERGING]
    runs = Run.objects.filter(submission__checkpoint__study=study, state__in=unfinished)
    done = Coalesce(Sum("shards__samples_done"), 0)
    return runs.select_related("submission__checkpoint").annotate(samples_done=done).order_by("created_at")


def _columns(scores: dict[tuple[UUID, str, str], Score], running: Sequence[Run]) -> tuple[Column, ...]:
    """A column per metric and fingerprint; a metric that nobody has a value of yet keeps one for the reasons."""
    values = Counter((score.metric, score.fingerprint) for score in scores.values() if score.state == ScoreState.DONE)
    valued = {metric for metric, _ in values}
    asked = {score.metric for score in scores.values()} | {metric for run in running for metric in run.metrics}
    without = {(metric, "") for metric in asked & set(registry.METRICS) - valued}
    order = {name: place for place, name in enumerate(registry.METRICS)}
    pairs = sorted(set(values) | without, key=lambda pair: (order[pair[0]], -values[pair], pair[1]))
    return tuple(metric_column(metric, fingerprint) for metric, fingerprint in pairs)
