"""A shard's life: claimed under a lease, renewed, finished or given back. Each step is one conditional UPDATE.

A claim hands out a fencing token. Whoever comes later with an older token has lost the shard and is refused: a worker
that was believed dead can neither write progress nor finish.
"""

from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict
from metrics.models import Run, RunState, Shard, ShardState
from metrics.services.features import CachedRow, keep_rows
from metrics.services.telling import tell_end

UNFINISHED = (RunState.WAITING, RunState.RUNNING)


class StaleLease(Conflict):
    """The shard or the merge was taken away: its lease ran out, or its run was cancelled."""


def claim_shard(*, shard_id: int, worker: str) -> Shard | None:
    """Take a waiting shard, counting the attempt; None when there is nothing to take.

    Attempts are counted here and not at the end, so that a task that always kills its worker runs out of them.
    """
    now = timezone.now()
    with transaction.atomic():
        # No join: under READ COMMITTED the loser of a race re-reads these conditions on the row itself.
        taken = Shard.objects.filter(
            pk=shard_id,
            state=ShardState.WAITING,
            run__in=Run.objects.filter(state__in=UNFINISHED),
        ).update(
            state=ShardState.LEASED,
            attempts=F("attempts") + 1,
            token=F("token") + 1,
            worker=worker,
            lease_expires_at=now + settings.SHARD_LEASE,
            samples_done=0,
            stage="",
            started_at=now,
        )
        if not taken:
            return None
        shard = Shard.objects.select_related("run__submission__checkpoint").get(pk=shard_id)
        Run.objects.filter(pk=shard.run_id, state=RunState.WAITING).update(state=RunState.RUNNING, started_at=now)
    shard.run.refresh_from_db(fields=["state", "started_at"])
    return shard


def renew_lease(*, shard_id: int, token: int, done: int, stage: str = "") -> bool:
    """Keep the shard and say how far it is. False when it is no longer ours: stop."""
    held = Shard.objects.filter(pk=shard_id, token=token, state=ShardState.LEASED)
    return bool(
        held.update(lease_expires_at=timezone.now() + settings.SHARD_LEASE, samples_done=done, stage=stage[:200])
    )


def finish_shard(
    *,
    shard_id: int,
    token: int,
    block: str,
    size: int = 0,
    metrics: Sequence[str] = (),
    problems: Mapping[str, str] | None = None,
    cached: Iterable[CachedRow] = (),
) -> None:
    """Record the shard's block in storage and what it adds to the cache; the last shard of a run starts the merge.

    Args:
        block: announced by `begin_file` and written; size: its bytes.
        metrics: those whose features the block holds; others had no weights on its worker.
        problems: metric → why some of its samples have no features of it.
    Raises: StaleLease when the shard was taken away meanwhile; nothing is recorded then.
    """
    with transaction.atomic():
        # The run's row is locked first, so that of two shards finishing together the later sees the earlier.
        run = Run.objects.select_for_update(of=("self",)).select_related("submission__checkpoint").get(shards=shard_id)
        done = Shard.objects.filter(pk=shard_id, token=token, state=ShardState.LEASED).update(
            state=ShardState.DONE,
            block=block,
            metrics=list(metrics),
            problems=dict(problems or {}),
            lease_expires_at=None,
            stage="",
            finished_at=timezone.now(),
            samples_done=F("sample_ids__len"),
        )
        if not done:
            raise StaleLease("The shard was given to another worker or its run was cancelled; this result is dropped.")
        keep_rows(study_id=run.submission.checkpoint.study_id, path=block, size=size, rows=cached)
        start_merge_if_due(run=run)


def start_merge_if_due(*, run: Run) -> bool:
    """Move a run whose shards are all done on to merging, once; the caller holds its row's lock."""
    if run.state not in UNFINISHED or run.shards.exclude(state=ShardState.DONE).exists():
        return False
    Run.objects.filter(pk=run.pk).update(state=RunState.MERGING)
    enqueue("metrics.merge_run", str(run.pk))
    return True


def fail_attempt(*, shard_id: int, token: int, error: str, final: bool = False) -> None:
    """Keep the attempt's error; the shard waits for another worker, or fails with its run when attempts have run out.

    Args: final: another attempt cannot end otherwise. Does nothing when the shard was taken away meanwhile.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update().get(shards=shard_id)
        shard = Shard.objects.select_for_update().get(pk=shard_id)
        if shard.token != token or shard.state != ShardState.LEASED:
            return
        _end_attempt(run, shard, error, final)


def expire_lease(*, shard_id: int) -> bool:
    """Take a shard from a worker whose lease has run out, as `fail_attempt` would."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(shards=shard_id)
        shard = Shard.objects.select_for_update().get(pk=shard_id)
        lease = shard.lease_expires_at
        if shard.state != ShardState.LEASED or lease is None or lease > timezone.now():
            return False
        _end_attempt(run, shard, f"Worker {shard.worker} stopped renewing its lease: it was killed or cut off.")
        return True


def release_dead_worker(*, shard_id: int, worker: str) -> None:
    """Take a shard from a worker that is known to be dead, without waiting for its lease to run out."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(shards=shard_id)
        shard = Shard.objects.select_for_update().get(pk=shard_id)
        if shard.state == ShardState.LEASED and shard.worker == worker:
            _end_attempt(run, shard, f"Worker {worker} was killed.", ring=False)


def _end_attempt(run: Run, shard: Shard, error: str, final: bool = False, ring: bool = True) -> None:
    over = final or shard.attempts >= settings.SHARD_MAX_ATTEMPTS
    shard.state = ShardState.FAILED if over else ShardState.WAITING
    shard.error, shard.stage, shard.lease_expires_at = error, "", None
    shard.finished_at = timezone.now() if over else None
    shard.save(update_fields=["state", "error", "stage", "lease_expires_at", "finished_at"])
    if over:
        fail_run(run=run, error=f"Part {shard.index + 1} failed after {_times(shard.attempts)}. {error}")
    elif ring:
        # A cause that passes (a full disk, a storage that restarts) gets a little time to do so.
        enqueue("metrics.score_shard", shard.pk, countdown=2 ** (shard.attempts - 1))


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def fail_run(*, run: Run, error: str) -> None:
    """End a run that cannot complete. Its other shards stop; what is done stays, for a retry."""
    going = Run.objects.filter(pk=run.pk).exclude(state__in=(RunState.DONE, RunState.FAILED, RunState.CANCELLED))
    with transaction.atomic():
        if going.update(state=RunState.FAILED, error=error, stage="", finished_at=timezone.now()):
            run.refresh_from_db()
            tell_end(run)
        stop_shards(run=run)


def stop_shards(*, run: Run) -> None:
    """Cancel what is not finished; a worker notices at its next renewal."""
    run.shards.filter(state__in=(ShardState.WAITING, ShardState.LEASED)).update(
        state=ShardState.CANCELLED, lease_expires_at=None, stage=""
    )
