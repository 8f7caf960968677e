"""Claims, leases and fencing tokens of shards and merges, raced by threads on a real PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import redis
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from evalhub.studies.models import Submission
from metrics import services
from metrics.models import FeatureRow, Run, RunState, Score, ScoreState, Shard, ShardState
from tests.metrics.material import claimed, finish

pytestmark = pytest.mark.django_db

MakeSubmission = Callable[..., Submission]
THREADS = 8


@pytest.fixture
def run(grey_submission: MakeSubmission, settings: Settings) -> Run:
    settings.SHARD_SIZE = 1
    return services.start_run(submission=grey_submission(4))


def at_once(work: Callable[[int], object]) -> list[object]:
    """What `work` gives in each of several threads that begin together."""
    barrier = Barrier(THREADS)

    def one(number: int) -> object:
        try:
            barrier.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(one, range(THREADS)))


def let_lease_run_out(shard: Shard) -> None:
    Shard.objects.filter(pk=shard.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_one_succeeds(run: Run) -> None:
    shard = run.shards.all()[0]

    claims = at_once(lambda number: services.claim_shard(shard_id=shard.pk, worker=f"worker {number}"))

    [winner] = [claim for claim in claims if claim is not None]
    shard.refresh_from_db()
    assert isinstance(winner, Shard)
    assert (shard.attempts, shard.token, shard.worker) == (1, 1, winner.worker)


@pytest.mark.django_db(transaction=True)
def test_shards_that_finish_together_start_the_merge_once(run: Run, doorbell: redis.Redis) -> None:
    claims = [claimed(shard) for shard in run.shards.all()]
    doorbell.delete("gpu")
    barrier = Barrier(len(claims))

    def end(shard: Shard) -> None:
        try:
            barrier.wait()
            finish(shard)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(claims)) as threads:
        list(threads.map(end, claims))

    run.refresh_from_db()
    assert run.state == RunState.MERGING
    assert doorbell.llen("gpu") == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_merges_one_succeeds(run: Run) -> None:
    Run.objects.update(state=RunState.MERGING)
    claims = at_once(lambda _: services.claim_merge(run_id=run.pk))
    assert len([claim for claim in claims if claim is not None]) == 1


def test_a_claim_starts_the_run(run: Run) -> None:
    shard = claimed(run.shards.all()[0], "here")
    run.refresh_from_db()
    assert run.state == shard.run.state == RunState.RUNNING
    assert run.started_at is not None
    assert shard.state == ShardState.LEASED


def test_nothing_of_an_ended_run_can_be_claimed(run: Run) -> None:
    shard = run.shards.all()[0]
    Run.objects.update(state=RunState.FAILED, finished_at=timezone.now())
    assert services.claim_shard(shard_id=shard.pk, worker="w") is None


def test_a_worker_believed_dead_is_fenced_off(run: Run) -> None:
    first = claimed(run.shards.all()[0], "slow")
    let_lease_run_out(first)
    assert services.expire_lease(shard_id=first.pk)
    second = claimed(first, "quick")

    assert not services.renew_lease(shard_id=first.pk, token=first.token, done=1)
    services.fail_attempt(shard_id=first.pk, token=first.token, error="Too late.")
    with pytest.raises(services.StaleLease):
        services.finish_shard(
            shard_id=first.pk,
            token=first.token,
            block="stale",
            cached=[services.CachedRow(fingerprint="f", key="k", row=0)],
        )

    second.refresh_from_db()
    assert (second.state, second.worker, second.attempts) == (ShardState.LEASED, "quick", 2)
    assert not FeatureRow.objects.exists()
    finish(second)
    second.refresh_from_db()
    assert (second.state, second.samples_done) == (ShardState.DONE, 1)
    assert second.block.endswith(f"{second.pk}-{second.token}")


def test_a_renewed_lease_does_not_expire_and_shows_progress(run: Run) -> None:
    shard = claimed(run.shards.all()[0])
    let_lease_run_out(shard)
    assert services.renew_lease(shard_id=shard.pk, token=shard.token, done=1, stage="fetching weights x 10 %")
    assert not services.expire_lease(shard_id=shard.pk)
    shard.refresh_from_db()
    assert (shard.samples_done, shard.stage) == (1, "fetching weights x 10 %")


def test_attempts_are_capped_and_the_last_error_is_kept(run: Run, settings: Settings) -> None:
    settings.SHARD_MAX_ATTEMPTS = 2
    shard = run.shards.all()[0]
    for attempt in ("first", "second"):
        services.fail_attempt(shard_id=shard.pk, token=claimed(shard).token, error=f"The {attempt} error.")

    shard.refresh_from_db()
    run.refresh_from_db()
    assert (shard.state, shard.attempts, shard.error) == (ShardState.FAILED, 2, "The second error.")
    assert run.state == RunState.FAILED
    assert run.error == "Part 1 failed after 2 attempts. The second error."
    assert set(run.shards.values_list("state", flat=True)) == {ShardState.FAILED, ShardState.CANCELLED}
    assert services.claim_shard(shard_id=shard.pk, worker="w") is None


def test_a_shard_that_kills_every_worker_runs_out_of_attempts(run: Run, settings: Settings) -> None:
    settings.SHARD_MAX_ATTEMPTS = 3
    shard = run.shards.all()[0]
    for _ in range(3):
        claimed(shard, "gpu@host process 1")
        let_lease_run_out(shard)
        assert services.expire_lease(shard_id=shard.pk)

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "Worker gpu@host process 1 stopped renewing its lease" in run.error


def test_an_error_that_cannot_pass_fails_at_once(run: Run) -> None:
    shard = claimed(run.shards.all()[0])
    services.fail_attempt(shard_id=shard.pk, token=shard.token, error="It is no picture.", final=True)
    run.refresh_from_db()
    assert (run.state, run.error) == (RunState.FAILED, "Part 1 failed after 1 attempt. It is no picture.")


def test_a_dead_workers_shard_is_free_at_once(run: Run) -> None:
    shard = claimed(run.shards.all()[0], "gpu@host process 7")
    services.release_dead_worker(shard_id=shard.pk, worker="gpu@host process 8")
    assert services.claim_shard(shard_id=shard.pk, worker="w") is None
    services.release_dead_worker(shard_id=shard.pk, worker="gpu@host process 7")
    assert claimed(shard).attempts == 2


def finished(run: Run) -> Run:
    for shard in run.shards.all():
        finish(claimed(shard))
    merge = services.claim_merge(run_id=run.pk)
    assert merge is not None
    return merge


def test_a_merge_writes_all_scores_or_none(run: Run) -> None:
    merge = finished(run)
    sample = run.shards.all()[0].sample_ids[0]
    results = [
        services.Result(metric="fid", value=1.5, low=1.0, high=2.0, n=4, fingerprint="f"),
        services.Result(metric="lpips", value=0.5, n=4, per_sample={sample: 0.5}),
    ]
    with pytest.raises(services.StaleLease):
        services.finish_merge(run_id=run.pk, token=merge.merge_token - 1, results=results)
    assert not Score.objects.filter(state=ScoreState.DONE).exists()

    services.finish_merge(run_id=run.pk, token=merge.merge_token, results=results)

    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert run.finished_at is not None
    assert run.scores.get(metric="lpips").samples.get().value == 0.5
    with pytest.raises(services.StaleLease):
        services.finish_merge(run_id=run.pk, token=merge.merge_token, results=results)


def test_one_metric_that_fails_leaves_the_others(run: Run) -> None:
    merge = finished(run)
    services.finish_merge(
        run_id=run.pk,
        token=merge.merge_token,
        results=[services.Result(metric="fid", problem="Too few."), services.Result(metric="lpips", value=0.5)],
    )
    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert dict(run.scores.values_list("metric", "state")) == {
        "clip_score": ScoreState.WAITING_FOR_WEIGHTS,
        "fid": ScoreState.FAILED,
        "lpips": ScoreState.DONE,
    }


def test_merge_attempts_are_capped(run: Run, settings: Settings) -> None:
    settings.SHARD_MAX_ATTEMPTS = 2
    merge = finished(run)
    services.fail_merge(run_id=run.pk, token=merge.merge_token, error="First.")
    merge_again = services.claim_merge(run_id=run.pk)
    assert merge_again is not None
    Run.objects.update(merge_lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert services.expire_merge(run_id=run.pk)

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert run.error.startswith("Merging failed after 2 attempts. Its worker stopped renewing its lease")
    assert not services.renew_merge(run_id=run.pk, token=merge_again.merge_token)
