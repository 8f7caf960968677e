"""A run's merge: claimed under a lease like a shard, and ended by writing all of its scores in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from evalhub.celery import enqueue
from metrics.engine.registry import get_metric
from metrics.models import Reference, ReferenceStatistics, Run, RunState, SampleScore, Score, ScoreState
from metrics.services.features import keep_file
from metrics.services.runs import wait_for_weights
from metrics.services.shards import StaleLease, fail_run
from metrics.services.telling import tell_end


@dataclass(frozen=True)
class Result:
    """One metric's outcome as the engine gives it, or why there is none.

    Attributes:
        efficiency: seconds by stage, images per second, decodes, peak memory, device.
        drift: how far reduced precision moved it (`shift`), measured on so many `samples`; empty at float32.
        per_sample: sample id → value, for a metric that has one per sample.
        waits: why it waits for weights; problem: why it failed. Both empty when there is a value.
    """

    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    n: int = 0
    warnings: Sequence[str] = ()
    fingerprint: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    efficiency: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    per_sample: Mapping[int, float] = field(default_factory=dict)
    waits: str = ""
    problem: str = ""


def claim_merge(*, run_id: UUID | str) -> Run | None:
    """Take a run's merge, counting the attempt; None when there is none to take."""
    with transaction.atomic():
        taken = Run.objects.filter(pk=run_id, state=RunState.MERGING, merge_lease_expires_at=None).update(
            merge_attempts=F("merge_attempts") + 1,
            merge_token=F("merge_token") + 1,
            merge_lease_expires_at=timezone.now() + settings.SHARD_LEASE,
            stage="",
        )
        if not taken:
            return None
        return Run.objects.select_related("submission__checkpoint__study", "reference").get(pk=run_id)


def renew_merge(*, run_id: UUID | str, token: int, stage: str = "") -> bool:
    """Keep the merge and say what it is doing. False when it is no longer ours: stop."""
    held = Run.objects.filter(pk=run_id, merge_token=token, state=RunState.MERGING)
    return bool(held.update(merge_lease_expires_at=timezone.now() + settings.SHARD_LEASE, stage=stage[:200]))


def finish_merge(*, run_id: UUID | str, token: int, results: Sequence[Result]) -> None:
    """Write every score, per sample too, and end the run.

    Raises: StaleLease when the merge was taken away meanwhile; nothing is written then.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        if run.merge_token != token or run.state != RunState.MERGING:
            raise StaleLease("The merge was given to another worker or its run was cancelled; this result is dropped.")
        for result in results:
            _write_score(run, result)
        problems = [result.problem for result in results if result.problem]
        run.state = RunState.FAILED if results and len(problems) == len(results) else RunState.DONE
        run.error = " ".join(dict.fromkeys(problems)) if run.state == RunState.FAILED else ""
        run.finished_at, run.stage, run.merge_lease_expires_at = timezone.now(), "", None
        run.save(update_fields=["state", "error", "finished_at", "stage", "merge_lease_expires_at"])
        tell_end(run)


def _write_score(run: Run, result: Result) -> None:
    if result.waits:
        wait_for_weights(run=run, metric=get_metric(result.metric), note=result.waits)
        return
    score = Score.objects.create(
        run=run,
        metric=result.metric,
        state=ScoreState.FAILED if result.problem else ScoreState.DONE,
        note=result.problem,
        value=result.value,
        low=result.low,
        high=result.high,
        interval=result.interval,
        n=result.n,
        warnings=list(result.warnings),
        details=dict(result.details),
        drift=dict(result.drift),
        fingerprint=result.fingerprint,
        protocol=dict(result.protocol),
        efficiency=dict(result.efficiency),
    )
    SampleScore.objects.bulk_create(
        [SampleScore(score=score, sample_id=sample, value=value) for sample, value in result.per_sample.items()],
        batch_size=5000,
    )


def fail_merge(*, run_id: UUID | str, token: int, error: str) -> None:
    """Keep the attempt's error; the merge is tried again, or the run fails when attempts have run out."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        if run.merge_token == token and run.state == RunState.MERGING:
            _end_attempt(run, error)


def expire_merge(*, run_id: UUID | str) -> bool:
    """Take a merge from a worker whose lease has run out."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        lease = run.merge_lease_expires_at
        if run.state != RunState.MERGING or lease is None or lease > timezone.now():
            return False
        _end_attempt(run, "Its worker stopped renewing its lease: it was killed or cut off.")
        return True


def _end_attempt(run: Run, error: str) -> None:
    if run.merge_attempts >= settings.SHARD_MAX_ATTEMPTS:
        fail_run(run=run, error=f"Merging failed after {run.merge_attempts} attempts. {error}")
        return
    Run.objects.filter(pk=run.pk).update(error=error, stage="", merge_lease_expires_at=None)
    enqueue("metrics.merge_run", str(run.pk), countdown=2 ** (run.merge_attempts - 1))


def keep_reference_statistics(*, reference: Reference, fingerprint: str, path: str, size: int, n: int) -> None:
    """Keep a file of a reference's statistics under one fingerprint; of several the first to come stays."""
    with transaction.atomic():
        file = keep_file(path=path, size=size)
        row = ReferenceStatistics(reference=reference, fingerprint=fingerprint, file=file, n=n)
        ReferenceStatistics.objects.bulk_create([row], ignore_conflicts=True)
