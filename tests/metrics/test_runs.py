"""Starting, cancelling and retrying runs, and what each pins. Nothing is computed here."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.db import connection
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Modality, Study, Submission, SubmissionState, User
from metrics import services
from metrics.engine.protocol import Protocol, named
from metrics.models import Run, RunState, ScoreState, Shard, ShardState
from tests.metrics.material import claimed, finish, grey, make_study, store, submit

pytestmark = pytest.mark.django_db

MakeSubmission = Callable[..., Submission]


def test_a_run_pins_protocol_reference_and_samples_in_prompt_order(
    grey_submission: MakeSubmission, settings: Settings
) -> None:
    settings.SHARD_SIZE = 2
    submission = grey_submission(5)

    run = services.start_run(submission=submission)

    assert run.metrics == ["fid", "kid", "lpips", "clip_score", "psnr", "ssim"]
    assert Protocol.from_dict(run.protocol) == named("clean")
    assert run.samples == 5
    assert run.reference is not None
    assert [image.media_id for image in run.reference.images.all()] == list(
        submission.checkpoint.study.prompts.values_list("reference_id", flat=True)
    )
    in_order = list(submission.checkpoint.samples.order_by("prompt__position").values_list("pk", flat=True))
    assert [shard.sample_ids for shard in run.shards.all()] == [in_order[:2], in_order[2:4], in_order[4:]]


@pytest.mark.parametrize(
    ("references", "captions", "expected"),
    [
        (True, True, ["fid", "kid", "lpips", "clip_score", "psnr", "ssim"]),
        (True, False, ["fid", "kid", "lpips", "psnr", "ssim"]),
        (False, True, ["clip_score"]),
    ],
)
def test_without_a_choice_a_run_takes_what_the_prompts_allow(
    grey_submission: MakeSubmission, references: bool, captions: bool, expected: list[str]
) -> None:
    run = services.start_run(submission=grey_submission(references=references, captions=captions))
    assert run.metrics == expected


def test_a_study_that_no_metric_fits_is_told_why(grey_submission: MakeSubmission) -> None:
    submission = grey_submission(references=False, captions=False)
    with pytest.raises(Refusal, match="No metric fits this study: FID and LPIPS need prompts with reference images"):
        services.start_run(submission=submission)


def test_videos_are_not_scored_by_image_metrics(grey_submission: MakeSubmission, researcher: User) -> None:
    submission = grey_submission()
    Study.objects.update(modality=Modality.VIDEO)
    submission.refresh_from_db()
    submission = Submission.objects.get(pk=submission.pk)
    with pytest.raises(Refusal, match="videos"):
        services.start_run(submission=submission, metrics=["fid"], actor=researcher)


def test_the_automatic_run_of_a_submission_is_one(grey_submission: MakeSubmission, researcher: User) -> None:
    submission = grey_submission()
    first = services.start_run(submission=submission)
    again = services.start_run(submission=submission)
    by_hand = services.start_run(submission=submission, actor=researcher)

    assert first == again
    assert by_hand != first
    assert submission.runs.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_rings_at_once_start_one_automatic_run(grey_submission: MakeSubmission) -> None:
    submission = grey_submission()

    def start(_: int) -> object:
        try:
            return services.start_run(submission=submission).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        runs = set(threads.map(start, range(8)))

    assert len(runs) == 1
    assert Run.objects.count() == 1
    assert Shard.objects.count() == 1


def test_an_incomplete_submission_is_not_scored(grey_submission: MakeSubmission) -> None:
    submission = grey_submission()
    submission.state, submission.completed_at = SubmissionState.INCOMPLETE, None
    submission.save()
    with pytest.raises(Conflict, match="incomplete"):
        services.start_run(submission=submission)


def test_an_unknown_metric_is_refused_with_the_known_ones(grey_submission: MakeSubmission, researcher: User) -> None:
    with pytest.raises(Refusal, match=r"no metric called “fids”; choose from fid, kid, fid_infinity"):
        services.start_run(submission=grey_submission(), metrics=["fids"], actor=researcher)


def test_a_metric_that_the_samples_do_not_fit_is_refused_when_asked_for(
    grey_submission: MakeSubmission, researcher: User
) -> None:
    submission = grey_submission(5, side=16)
    with pytest.raises(Refusal, match="in the size of its prompt's reference; 5 of 5 have another"):
        services.start_run(submission=submission, metrics=["lpips"], actor=researcher)


def test_a_metric_that_the_samples_do_not_fit_fails_alone_when_nobody_asked(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(5, side=16))

    lpips = run.scores.get(metric="lpips")
    assert lpips.state == ScoreState.FAILED
    assert "5 of 5 have another" in lpips.note
    assert run.shards.count() == 1


def test_without_an_imported_clip_only_its_score_waits_and_names_the_command(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission())

    waiting = run.scores.get()
    assert (waiting.metric, waiting.state) == ("clip_score", ScoreState.WAITING_FOR_WEIGHTS)
    assert "python manage.py weights import clip-vit-b-32 FILE" in waiting.note
    assert run.state == RunState.WAITING
    assert run.shards.count() == 1


def test_a_run_that_can_only_wait_has_no_shards_and_ends(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(references=False))
    assert run.state == RunState.DONE
    assert not run.shards.exists()
    assert run.scores.get().state == ScoreState.WAITING_FOR_WEIGHTS


def test_a_reference_is_made_once_and_again_only_for_other_images(grey_submission: MakeSubmission) -> None:
    submission = grey_submission()
    study = submission.checkpoint.study
    first = services.default_reference(study=study)
    assert services.default_reference(study=study) == first

    study.prompts.filter(key="p000").update(reference=None)

    other = services.default_reference(study=study)
    assert other is not None
    assert other != first
    assert other.images.count() == 4


def test_a_start_rings_for_each_shard_and_is_logged(
    grey_submission: MakeSubmission,
    settings: Settings,
    doorbell: redis.Redis,
    researcher: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.SHARD_SIZE = 2
    submission = grey_submission(5)
    with django_capture_on_commit_callbacks(execute=True):
        services.start_run(submission=submission, actor=researcher)

    assert doorbell.llen("gpu") == 3
    entry = LogEntry.objects.get(verb="started run")
    assert entry.actor == researcher


def test_cancelling_stops_what_is_not_finished(grey_submission: MakeSubmission, settings: Settings) -> None:
    settings.SHARD_SIZE = 1
    run = services.start_run(submission=grey_submission(3))
    done, running, _ = run.shards.all()
    finish(claimed(done))
    token = claimed(running).token

    run = services.cancel_run(run=run, actor=None)

    assert run.state == RunState.CANCELLED
    assert list(run.shards.values_list("state", flat=True)) == ["done", "cancelled", "cancelled"]
    assert not services.renew_lease(shard_id=running.pk, token=token, done=0)
    with pytest.raises(services.StaleLease):
        services.finish_shard(shard_id=running.pk, token=token, block="b")
    with pytest.raises(Conflict, match="cancelled already"):
        services.cancel_run(run=run, actor=None)


def test_a_retry_keeps_what_is_done(grey_submission: MakeSubmission, settings: Settings) -> None:
    settings.SHARD_SIZE = 1
    run = services.start_run(submission=grey_submission(3))
    done = run.shards.all()[0]
    finish(claimed(done))
    services.cancel_run(run=run, actor=None)

    run = services.retry_run(run=run, actor=None)

    assert run.state == RunState.RUNNING
    assert list(run.shards.values_list("state", "attempts")) == [("done", 1), ("waiting", 0), ("waiting", 0)]
    with pytest.raises(Conflict, match="only a failed or cancelled one"):
        services.retry_run(run=run, actor=None)


def test_a_retry_of_a_merge_merges_again(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(3))
    finish(claimed(run.shards.get()))
    services.cancel_run(run=run, actor=None)

    run = services.retry_run(run=run, actor=None)

    assert run.state == RunState.MERGING
    assert services.claim_merge(run_id=run.pk) is not None


def test_samples_with_several_seeds_stay_beside_each_other(settings: Settings) -> None:
    study = make_study([grey(1), grey(2)])
    submission = submit(study, [grey(11), grey(12)])
    first = study.prompts.get(key="p000")
    seventh = submission.checkpoint.samples.create(prompt=first, seed=7, media=store(study, grey(99)))

    run = services.start_run(submission=submission)

    ids = run.shards.get().sample_ids
    assert ids[1] == seventh.pk
    assert run.samples == 3
    assert run.shards.get().state == ShardState.WAITING
