"""The sweep: what came to a stand goes on, and nothing happens twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from django.utils import timezone
from pytest_django import Settings

from evalhub.celery import app
from evalhub.studies.models import Submission
from metrics import services
from metrics.models import Run, RunState, Score, ScoreState, Shard, ShardState

# The rings go to a real Redis, and they do so on commit.
pytestmark = pytest.mark.django_db(transaction=True)

MakeSubmission = Callable[..., Submission]
CLIP = "clip-vit-b-32"


@pytest.fixture(autouse=True)
def _at_once(settings: Settings) -> None:
    settings.SHARD_SIZE = 1
    settings.SWEEP_SECONDS = 0


@pytest.fixture
def run(grey_submission: MakeSubmission, doorbell: redis.Redis) -> Run:
    run = services.start_run(submission=grey_submission(3))
    doorbell.delete("gpu")
    return run


def test_every_task_that_is_rung_for_is_registered() -> None:
    app.loader.import_default_modules()
    names = {
        "metrics.score_submission",
        "metrics.score_shard",
        "metrics.merge_run",
        "metrics.sweep",
        "metrics.collect_orphans",
    }
    assert names <= set(app.tasks)


def test_lost_rings_are_rung_again_once(run: Run, doorbell: redis.Redis) -> None:
    assert services.sweep() == services.Swept(rung=3)
    assert doorbell.llen("gpu") == 3
    assert services.sweep() == services.Swept()
    assert doorbell.llen("gpu") == 3


def test_nothing_is_rung_again_while_rings_are_on_their_way(run: Run, settings: Settings) -> None:
    settings.SWEEP_SECONDS = 3600
    assert services.sweep() == services.Swept()


def test_an_expired_lease_goes_back(run: Run) -> None:
    shard = services.claim_shard(shard_id=run.shards.all()[0].pk, worker="w")
    assert shard is not None
    Shard.objects.filter(pk=shard.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert services.sweep().expired == 1
    shard.refresh_from_db()
    assert (shard.state, shard.attempts) == (ShardState.WAITING, 1)


def test_a_forgotten_merge_is_started(run: Run, doorbell: redis.Redis) -> None:
    run.shards.update(state=ShardState.DONE, block="b")
    assert services.sweep().merges == 1
    run.refresh_from_db()
    assert run.state == RunState.MERGING
    assert doorbell.llen("gpu") == 1


def test_a_merge_whose_ring_was_lost_is_rung_for(run: Run, doorbell: redis.Redis) -> None:
    run.shards.update(state=ShardState.DONE, block="b")
    Run.objects.update(state=RunState.MERGING)
    assert services.sweep() == services.Swept(rung=1)
    assert doorbell.llen("gpu") == 1


def test_a_merge_whose_worker_died_goes_back(run: Run) -> None:
    run.shards.update(state=ShardState.DONE, block="b")
    Run.objects.update(state=RunState.MERGING)
    assert services.claim_merge(run_id=run.pk) is not None
    Run.objects.update(merge_lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert services.sweep().expired == 1
    assert services.claim_merge(run_id=run.pk) is not None


def test_a_complete_submission_without_a_run_gets_one(grey_submission: MakeSubmission, doorbell: redis.Redis) -> None:
    submission = grey_submission(3)
    Submission.objects.update(completed_at=timezone.now() - timedelta(minutes=1))
    assert services.sweep().started == 1
    assert services.sweep().started == 0
    assert submission.runs.get().automatic


def test_a_study_without_material_for_metrics_is_left_alone(grey_submission: MakeSubmission) -> None:
    grey_submission(3, references=False, captions=False)
    Submission.objects.update(completed_at=timezone.now() - timedelta(minutes=1))
    assert services.sweep() == services.Swept()


def test_a_score_that_waited_for_weights_gets_a_run_of_its_own_once(run: Run) -> None:
    assert services.sweep().resumed == 0

    services.note_weights(name=CLIP, sha256="c" * 64, model="ViT-B-32")

    assert services.sweep().resumed == 1
    assert services.sweep().resumed == 0
    waited = run.scores.get(metric="clip_score")
    assert waited.state == ScoreState.WAITING_FOR_WEIGHTS
    assert waited.retried_in is not None
    assert waited.retried_in.metrics == ["clip_score"]
    assert waited.retried_in.protocol["weights"][CLIP] == "c" * 64


def test_weights_that_this_worker_lacks_are_tried_once_per_coming(run: Run) -> None:
    services.note_weights(name=CLIP, sha256="c" * 64, model="ViT-B-32")
    services.sweep()
    second = Run.objects.get(metrics=["clip_score"])
    # Its worker has another folder: the score waits again.
    Score.objects.create(
        run=second, metric="clip_score", state=ScoreState.WAITING_FOR_WEIGHTS, missing_weights=[CLIP], note="Missing."
    )
    assert services.sweep().resumed == 0

    services.note_weights(name=CLIP, sha256="c" * 64, model="ViT-B-32")

    assert services.sweep().resumed == 1
