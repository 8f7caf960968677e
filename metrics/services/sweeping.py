"""What a beat does again and again, so that a lost message, a killed worker or a restarted Redis costs only time.

Postgres says what is owed. Rings are sent again only when the doorbell's queue is empty: every ring that was in it has
then been heard or lost, and ringing twice is harmless, because a claim succeeds once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Refusal
from evalhub.studies.models import Prompt, Submission, SubmissionState
from metrics.models import Run, RunState, Score, ScoreState, Shard, ShardState, Weights
from metrics.services.duplicates import ring_for_searches
from metrics.services.features import evict
from metrics.services.merges import expire_merge
from metrics.services.runs import resume_metric, start_run
from metrics.services.shards import UNFINISHED, expire_lease, start_merge_if_due


@dataclass
class Swept:
    """How much a sweep found to do."""

    expired: int = 0
    rung: int = 0
    merges: int = 0
    started: int = 0
    resumed: int = 0
    evicted: int = 0
    searches: int = 0


def sweep() -> Swept:
    """Bring forward whatever has come to a stand. Safe to run at any time, from any number of processes."""
    swept = Swept()
    now = timezone.now()
    for shard in Shard.objects.filter(state=ShardState.LEASED, lease_expires_at__lt=now).values_list("pk", flat=True):
        swept.expired += expire_lease(shard_id=shard)
    for run in Run.objects.filter(state=RunState.MERGING, merge_lease_expires_at__lt=now).values_list("pk", flat=True):
        swept.expired += expire_merge(run_id=run)
    swept.merges = _start_forgotten_merges()
    swept.started = _start_forgotten_runs()
    swept.resumed = _resume_waiting_scores()
    swept.rung = _ring_again()
    swept.evicted = evict().files
    swept.searches = ring_for_searches()
    return swept


def _start_forgotten_merges() -> int:
    unfinished = Shard.objects.filter(run=OuterRef("pk")).exclude(state=ShardState.DONE)
    due = Run.objects.filter(~Exists(unfinished), state__in=UNFINISHED).values_list("pk", flat=True)
    started = 0
    for pk in due:
        with transaction.atomic():
            started += start_merge_if_due(run=Run.objects.select_for_update().get(pk=pk))
    return started


def _start_forgotten_runs() -> int:
    something = Prompt.objects.filter(study=OuterRef("checkpoint__study")).filter(
        Q(reference__isnull=False) | Q(source__isnull=False) | ~Q(text="")
    )
    forgotten = Submission.objects.filter(
        Exists(something),
        state=SubmissionState.COMPLETE,
        completed_at__lt=_patience(),
        runs=None,
    ).select_related("checkpoint__study")
    started = 0
    for submission in forgotten:
        try:
            start_run(submission=submission)
        except Refusal:
            continue
        started += 1
    return started


def _resume_waiting_scores() -> int:
    resumed = 0
    for weights in Weights.objects.all():
        waiting = Score.objects.filter(
            state=ScoreState.WAITING_FOR_WEIGHTS, retried_in=None, missing_weights__contains=[weights.name]
        )
        for pk in waiting.values_list("pk", flat=True):
            with transaction.atomic():
                score = waiting.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk).first()
                if score and _may_run_now(score, weights):
                    resume_metric(score=score)
                    resumed += 1
    return resumed


def _may_run_now(score: Score, weights: Weights) -> bool:
    """Whether these weights came after its run began to look for them: each coming is one try."""
    pinned = score.run.protocol.get("weights", {}).get(weights.name)
    return weights.sha256 != pinned or weights.available_at > (score.run.started_at or score.run.created_at)


def _ring_again() -> int:
    if _rings_in("gpu"):
        return 0
    shards = Shard.objects.filter(state=ShardState.WAITING, run__state__in=UNFINISHED, run__created_at__lt=_patience())
    rung = 0
    for shard in shards.order_by("run__created_at", F("index")).values_list("pk", flat=True)[:5000]:
        enqueue("metrics.score_shard", shard)
        rung += 1
    for run in Run.objects.filter(state=RunState.MERGING, merge_lease_expires_at=None).values_list("pk", flat=True):
        enqueue("metrics.merge_run", str(run))
        rung += 1
    return rung


def _patience() -> datetime:
    """What is younger than the time between two sweeps may still have its ring on the way."""
    return timezone.now() - timedelta(seconds=settings.SWEEP_SECONDS)


def _rings_in(queue: str) -> int:
    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2) as doorbell:
        try:
            return int(doorbell.llen(queue))
        except redis.exceptions.RedisError:
            # Nobody could hear a ring now either.
            return 1
