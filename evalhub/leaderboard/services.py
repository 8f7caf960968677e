"""Which metrics agree with people: worked out behind the pages, after a ranking or new scores, and kept."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from numpy.typing import NDArray

from evalhub.leaderboard.columns import Column
from evalhub.leaderboard.models import MetricAgreement
from evalhub.leaderboard.scores import Scores
from evalhub.studies.models import Criterion, Sample, Study
from metrics.engine import registry
from metrics.models import RunState, SampleScore, Score, ScoreState
from raters import locks
from raters.models import Fit, FitState
from raters.ranking import Votes
from raters.ranking.concordance import (
    draw_prompts,
    find_concordance,
    redrawn_means,
    redrawn_strengths,
    vote_accuracy,
)
from raters.services.copying import BIGINT, DOUBLE, copy
from raters.services.copying import UUID as LABELLED
from raters.services.counting import NO_CONTROL, read
from raters.services.slices import votes_of

REPLICATES = 200
SEED = 0  # of the prompts drawn; any will do, as long as it stays
# A comparison is made anew at most so often, and takes at most this part of a worker's time.
PAUSE = timedelta(seconds=60)
PAUSES_PER_SECOND_OF_WORK = 20

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def find_agreement(*, study: Study) -> list[MetricAgreement]:
    """Compare metrics and people in each of the study's newest rankings that were not compared with all scores yet.

    It may be called any number of times and by many at once: one does what is due, and not more often than the pause.
    """
    with locks.only_one(study, "agreement") as alone:
        if not alone:
            return []
        due = [fit for _, fit in _due(Criterion.objects.filter(study=study))]
        return [row for fit in Fit.objects.filter(pk__in=due) for row in compare(fit=fit)]


def studies_to_compare() -> list[Study]:
    """Studies with something due: what is left when a ring was lost or came too soon."""
    return list(Study.objects.filter(pk__in={study for study, _ in _due(Criterion.objects.all())}))


def compare(*, fit: Fit) -> list[MetricAgreement]:
    """How far each metric column agrees with one fit: computed, and kept in place of what was."""
    began, scores = time.monotonic(), Scores.of(fit.study)
    columns = [column for column in scores.columns if column.fingerprint]
    newest = Score.objects.filter(_counting(), run__submission__checkpoint__study=fit.study).order_by("-created_at")
    until = newest.values_list("created_at", flat=True).first()
    if until is None or not columns:
        return []
    evidence = _Evidence.of(fit)
    rows = [_agreement(fit, column, scores, evidence) for column in columns]
    for row in rows:
        row.scores_until, row.seconds = until, time.monotonic() - began
    with transaction.atomic():
        MetricAgreement.objects.filter(fit=fit).delete()
        return MetricAgreement.objects.bulk_create(rows)


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What people said, as columns that any metric can be held against.

    Args:
        contestants: ids, in the order of the codes (K).
        strengths, redrawn: (K,) ratings in Elo, nan for the unrated; (replicates, K) strengths under draws of prompts.
        votes: those the fit counted; prompts are columns of `draws`.
        left, right: (n,) rows of the samples shown.
        samples: (S,) their ids in order; `owner` and `prompt` are codes of each one's contestant and prompt.
    """

    contestants: tuple[UUID, ...]
    strengths: Floats
    redrawn: Floats
    votes: Votes
    left: Codes
    right: Codes
    samples: Codes
    owner: Codes
    prompt: Codes
    draws: Codes

    @classmethod
    def of(cls, fit: Fit) -> "_Evidence":
        contestants = tuple(UUID(checkpoint) for checkpoint, _ in fit.inputs["contestants"])
        names = [name for _, name in fit.inputs["contestants"]]
        samples, owner, prompt, prompts = _samples(fit, contestants)
        answers = read(votes_of(fit), samples=True)
        ranked = np.array([contestant in contestants for contestant in answers.contestants], dtype=bool)
        counted = (answers.control == NO_CONTROL) & ~answers.by(fit.inputs["excluded"])
        kept = answers.only(counted & ranked[answers.left] & ranked[answers.right])
        assert kept.left_sample is not None  # asked for above
        assert kept.right_sample is not None
        left, right = (np.searchsorted(samples, column) for column in (kept.left_sample, kept.right_sample))
        votes = replace(kept.votes(contestants), prompt=prompt[left])
        draws = draw_prompts(max(prompts, 1), REPLICATES, SEED)
        rated = dict(fit.ratings.values_list("checkpoint_id", "rating"))
        model = {name: fit.settings[name] for name in ("model", "position", "phantom") if name in fit.settings}
        return cls(
            contestants=contestants,
            strengths=_column(rated.get(contestant) for contestant in contestants),
            redrawn=redrawn_strengths(votes, names, draws, **model),
            votes=votes,
            left=left,
            right=right,
            samples=samples,
            owner=owner,
            prompt=prompt,
            draws=draws,
        )


def _samples(fit: Fit, contestants: tuple[UUID, ...]) -> tuple[Codes, Codes, Codes, int]:
    """The contestants' samples by id, whose they are, their prompts as codes, and how many prompts there are."""
    rows = Sample.objects.filter(checkpoint__in=contestants).order_by("id")
    found = copy(rows, {"id": BIGINT, "checkpoint_id": LABELLED, "prompt_id": BIGINT})
    place = {contestant: code for code, contestant in enumerate(contestants)}
    owners = np.array([place[label] for label in found.labels["checkpoint_id"]], dtype=np.int64)
    known, prompt = np.unique(found.values["prompt_id"], return_inverse=True)
    return found.values["id"], owners[found.values["checkpoint_id"]], prompt.astype(np.int64), len(known)


def _agreement(fit: Fit, column: Column, scores: Scores, evidence: _Evidence) -> MetricAgreement:
    """One column beside the evidence, turned so that higher is better."""
    sign = 1.0 if column.higher_is_better else -1.0
    mine = [scores.newest.get((contestant, column.metric, column.fingerprint)) for contestant in evidence.contestants]
    values = sign * _column(score.value if score else None for score in mine)
    per_sample = registry.METRICS[column.metric].per_sample
    row = MetricAgreement(fit=fit, metric=column.metric, fingerprint=column.fingerprint, per_sample=per_sample)
    again = None
    if per_sample:
        each = sign * _sample_values([score.pk for score in mine if score], evidence.samples)
        again = _means(each, evidence)
        accuracy = vote_accuracy(evidence.votes, each[evidence.left], each[evidence.right], evidence.draws)
        row.decisions, share = accuracy.votes, accuracy.share
        row.accuracy, row.accuracy_low, row.accuracy_high = share.value, share.low, share.high
    found = find_concordance(evidence.strengths, values, evidence.redrawn, again)
    row.tau, row.tau_low, row.tau_high = found.tau.value, found.tau.low, found.tau.high
    row.rho, row.rho_low, row.rho_high = found.rho.value, found.rho.low, found.rho.high
    row.contestants, row.prompts = found.contestants, evidence.draws.shape[1]
    row.replicates, row.seed = REPLICATES, SEED
    return row


def _sample_values(scores: list[int], samples: Codes) -> Floats:
    """(S,) the metric's value of each sample; nan where it has none."""
    found = copy(
        SampleScore.objects.filter(score__in=scores).order_by("id"), {"sample_id": BIGINT, "value": DOUBLE}
    ).values
    known = np.isin(found["sample_id"], samples)
    values = np.full(len(samples), np.nan)
    values[np.searchsorted(samples, found["sample_id"][known])] = found["value"][known]
    return values


def _means(each: Floats, evidence: _Evidence) -> Floats:
    """(replicates, K) each contestant's mean value under the draws of prompts."""
    known = np.isfinite(each)
    prompts, contestants = evidence.draws.shape[1], len(evidence.contestants)
    place = (evidence.prompt * contestants + evidence.owner)[known]
    sums = np.bincount(place, each[known], prompts * contestants).astype(np.float64)
    counts = np.bincount(place, minlength=prompts * contestants)
    return redrawn_means(sums.reshape(prompts, contestants), counts.reshape(prompts, contestants), evidence.draws)


def _column(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _counting() -> Q:
    """Scores that have a column."""
    cancelled = Q(run__state=RunState.CANCELLED)
    return Q(state=ScoreState.DONE, metric__in=list(registry.METRICS)) & ~cancelled


def _due(criteria: QuerySet[Criterion]) -> list[tuple[UUID, UUID]]:
    """Study and newest ranking of the criteria where that was not held against the newest score, and not just now."""
    done = Fit.objects.official().filter(criterion=OuterRef("pk"), state=FitState.DONE).order_by("-created_at")
    scored = Score.objects.filter(_counting(), run__submission__checkpoint__study=OuterRef("study"))
    last = MetricAgreement.objects.filter(fit__criterion=OuterRef("pk")).order_by("-created_at")
    compared = MetricAgreement.objects.filter(fit=OuterRef("newest_fit"), scores_until__gte=OuterRef("newest_score"))
    found = (
        criteria.annotate(
            newest_fit=Subquery(done.values("pk")[:1]),
            newest_score=Subquery(scored.order_by("-created_at").values("created_at")[:1]),
            last_at=Subquery(last.values("created_at")[:1]),
            last_seconds=Subquery(last.values("seconds")[:1]),
        )
        .filter(newest_fit__isnull=False, newest_score__isnull=False)
        .exclude(Exists(compared))
        .values_list("study", "newest_fit", "last_at", "last_seconds")
    )
    return [(study, fit) for study, fit, at, seconds in found if at is None or timezone.now() - at >= _pause(seconds)]


def _pause(seconds: float) -> timedelta:
    return max(PAUSE, timedelta(seconds=PAUSES_PER_SECOND_OF_WORK * seconds))
