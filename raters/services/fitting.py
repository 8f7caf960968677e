"""From votes to a frozen ranking."""

import logging
import time
import uuid
from array import array
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from redis.exceptions import RedisError

from evalhub.celery import enqueue
from evalhub.studies.models import Checkpoint, Criterion, Study, SubmissionState
from raters import locks
from raters.models import Control, Enrolment, Fit, FitState, Rating, Vote, VoteQuerySet
from raters.ranking import METHOD, OUTCOMES, VERSION, Ranking, RankingError, Votes, pair_probabilities, rank

log = logging.getLogger(__name__)

SEED = 0  # of the simulation behind the rank intervals; any will do, as long as it stays

# What a row of a ranking and a rating have in common.
_ROW_FIELDS = (
    "rating",
    "se",
    "low",
    "high",
    "rank_low",
    "rank_high",
    "comparisons",
    "wins",
    "losses",
    "ties",
    "both_bad",
)


def ask_for_refit(study: Study) -> None:
    """Have the study fitted soon; once for all votes of the next few seconds."""
    delay = settings.REFIT_DELAY_SECONDS
    try:
        # The mark goes before the fit begins, so a vote that comes after the fit's cut-off asks for the next one.
        if not cache.add(f"refit:{study.pk}", True, timeout=delay):
            return
    except (RedisError, OSError) as error:
        log.warning("Redis did not answer (%s); the sweep will start the fit of %s.", error, study.slug)
        return
    enqueue("raters.refit", str(study.pk), countdown=delay + 0.5)


def studies_to_refit() -> list[Study]:
    """Studies with votes that no fit has seen though there was time: what is left when a ring was lost."""
    newest = Fit.objects.filter(study=OuterRef("pk")).order_by("-cut_off").values("cut_off")[:1]
    old_enough = timezone.now() - timedelta(seconds=settings.REFIT_DELAY_SECONDS)
    unseen = Vote.objects.filter(study=OuterRef("pk"), id__gt=OuterRef("seen"), created_at__lte=old_enough)
    return list(Study.objects.annotate(seen=Coalesce(Subquery(newest), Value(0))).filter(Exists(unseen)))


def refit(*, study: Study) -> list[Fit]:
    """Freeze a ranking of all votes committed until now, one per criterion.

    Of several who are asked to at once, one does it; the others return nothing at once.
    """
    with locks.only_one(study, "fit") as alone:
        if not alone:
            return []
        with locks.no_votes_under_way(study):
            cut_off = Vote.objects.filter(study=study).aggregate(newest=Max("id"))["newest"]
        if cut_off is None:
            return []
        return [_fit(study, criterion, cut_off) for criterion in study.criteria.all()]


def _fit(study: Study, criterion: Criterion, cut_off: int) -> Fit:
    began = time.monotonic()
    fit = Fit(study=study, criterion=criterion, cut_off=cut_off, method=METHOD, version=VERSION, seed=SEED)
    delivered = study.checkpoints.filter(submission__state=SubmissionState.COMPLETE)
    contestants = {_name(checkpoint): checkpoint for checkpoint in delivered.order_by("name", "step")}
    columns = _Columns(contestants.values())
    with transaction.atomic():  # rows come in portions, from a cursor that lives as long as its transaction
        for row in _counted(study, criterion, cut_off).values_list(*_Columns.FIELDS).iterator(20_000):
            columns.add(*row)
    votes = columns.votes()
    fit.votes, fit.simulated_votes, fit.raters = len(votes), columns.simulated, len(columns.raters)
    try:
        ranking = rank(votes, list(contestants), seed=SEED)
    except RankingError as error:
        fit.state, fit.error = FitState.FAILED, str(error)
        fit.save()
        log.error("The votes of %s on %s could not be ranked: %s", study.slug, criterion.key, error)
        return fit
    fit.position = {"value": ranking.position.value, "se": ranking.position.se}
    fit.warnings = list(ranking.warnings)
    fit.settings = {**ranking.settings, "clusters": ranking.clusters, "tie": ranking.tie.value}
    fit.pairing = _pairing(list(contestants.values()), votes, ranking)
    fit.seconds = time.monotonic() - began
    _save(fit, ranking, contestants)
    return fit


def _counted(study: Study, criterion: Criterion, cut_off: int) -> VoteQuerySet:
    """The answers that a ranking counts: no controls, nobody excluded, and of each only its latest revision."""
    excluded = Enrolment.objects.filter(study=study).exclude(excluded_at=None).values("rater")
    votes = Vote.objects.filter(study=study, criterion=criterion, control=Control.NONE).exclude(rater__in=excluded)
    return votes.latest_revisions(up_to=cut_off).order_by("id")


class _Columns:
    """Votes as columns of small codes, filled row by row."""

    FIELDS = ("left_checkpoint", "right_checkpoint", "choice", "rater", "prompt", "simulated")

    def __init__(self, contestants: Iterable[Checkpoint]) -> None:
        self.contestants = {checkpoint.pk: code for code, checkpoint in enumerate(contestants)}
        self.outcomes = {word: code for code, word in enumerate(OUTCOMES)}
        self.raters: dict[uuid.UUID, int] = {}
        self.prompts: dict[int, int] = {}
        self.columns = tuple(array("i") for _ in range(5))
        self.simulated = 0

    def add(
        self, left: uuid.UUID, right: uuid.UUID, choice: str, rater: uuid.UUID, prompt: int, simulated: bool
    ) -> None:
        codes = (
            self.contestants[left],
            self.contestants[right],
            self.outcomes[choice],
            self.raters.setdefault(rater, len(self.raters)),
            self.prompts.setdefault(prompt, len(self.prompts)),
        )
        for column, code in zip(self.columns, codes, strict=True):
            column.append(code)
        self.simulated += simulated

    def votes(self) -> Votes:
        return Votes(*(np.frombuffer(column, dtype=np.int32).astype(np.int64) for column in self.columns))


def _name(checkpoint: Checkpoint) -> str:
    """What the ranking's sentences call it. A name may end like another's step, so a step is spelt out."""
    return checkpoint.name if checkpoint.step is None else f"{checkpoint.name} (step {checkpoint.step:,})"


def _pairing(contestants: list[Checkpoint], votes: Votes, ranking: Ranking) -> dict[str, Any]:
    if len(contestants) < 2:
        return {}
    probabilities = pair_probabilities(
        votes.pair_counts(len(contestants)),
        strengths=ranking.strengths,
        covariance=ranking.covariance,
        tie=ranking.tie.value or 0.0,
    )
    return {
        "checkpoints": [str(checkpoint.pk) for checkpoint in contestants],
        "probabilities": probabilities.round(8).tolist(),
    }


def _save(fit: Fit, ranking: Ranking, contestants: dict[str, Checkpoint]) -> None:
    with transaction.atomic():
        fit.save()
        Rating.objects.bulk_create(
            Rating(
                fit=fit,
                checkpoint=contestants[row.name],
                interval=row.interval or "",
                **{field: getattr(row, field) for field in _ROW_FIELDS},
            )
            for row in ranking.rows
        )
