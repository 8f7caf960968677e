"""However a run is cut, whoever computes its parts and in which order, and whatever dies: the same bits. And what is
computed once is not computed again."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from evalhub.studies.models import Sample, Submission, User
from metrics import services
from metrics.models import CachedFile, Run, RunState, ScoreState, Shard
from tests.metrics.material import Picture, claimed, photograph_submission, store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

Compute = Callable[..., Run]
EVERY_KIND = ["fid", "kid", "lpips", "psnr", "ssim"]


@pytest.fixture(scope="module")
def draws() -> random.Random:
    return random.Random(64)


def figures(run: Run) -> dict[str, tuple[Any, ...]]:
    """Everything of a run's scores that must not depend on how it was computed."""
    assert (run.state, run.error) == (RunState.DONE, "")
    return {
        score.metric: (
            score.value,
            score.low,
            score.high,
            score.n,
            score.fingerprint,
            list(score.samples.order_by("sample").values_list("sample", "value")),
        )
        for score in run.scores.filter(state=ScoreState.DONE)
    }


def decoded(run: Run) -> int:
    [count] = {score.efficiency["decoded"] for score in run.scores.filter(state=ScoreState.DONE)}
    return int(count)


def die_after_claiming(shard: Shard) -> None:
    """A worker that takes a shard and is never heard of again."""
    claimed(shard, "gone@host process 1")
    Shard.objects.filter(pk=shard.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert services.expire_lease(shard_id=shard.pk)


def test_one_seven_and_sixty_four_shards_in_any_order_give_the_same_bits(
    compute: Compute, researcher: User, settings: Settings, draws: random.Random
) -> None:
    submission = photograph_submission(64, side=48)
    results = []
    for shards, size in ((1, 64), (7, 10), (64, 1)):
        # Nothing that an earlier round computed of the samples may be found again.
        CachedFile.objects.filter(statistics=None).delete()
        settings.SHARD_SIZE = size
        run = services.start_run(submission=submission, metrics=EVERY_KIND, actor=researcher)
        order = list(run.shards.all())
        assert len(order) == shards
        draws.shuffle(order)
        for shard in order[::9]:
            die_after_claiming(shard)
        run = compute(run, order)
        assert decoded(run) == 128
        assert set(run.shards.values_list("attempts", flat=True)) <= {1, 2}
        results.append(figures(run))

    assert set(results[0]) == set(EVERY_KIND)
    assert results[0] == results[1] == results[2]


def test_only_what_was_never_seen_is_decoded(compute: Compute, researcher: User) -> None:
    submission = photograph_submission(6, side=48)

    def run(*metrics: str) -> Run:
        return compute(services.start_run(submission=submission, metrics=list(metrics), actor=researcher))

    first = run("fid", "kid", "lpips")
    assert decoded(first) == 12
    assert first.scores.get(metric="fid").efficiency["reference_decoded"] == 6
    again = run("fid", "kid", "lpips")
    assert decoded(again) == 0
    assert again.scores.get(metric="fid").efficiency["images_per_second"] is None
    assert figures(again) == figures(first)

    # Another picture takes one prompt's place in the reference.
    prompt = submission.checkpoint.study.prompts.all()[2]
    other = Image.effect_mandelbrot((48, 48), (-2.0, -1.5, 1.0, 1.5), 50).convert("RGB")
    prompt.reference = store(submission.checkpoint.study, Picture.of(other))
    prompt.save()
    features = run("fid", "kid")
    assert decoded(features) == 0
    assert features.scores.get(metric="fid").efficiency["reference_decoded"] == 1
    assert figures(features)["fid"] != figures(first)["fid"]
    # One pair of six is new, and it is two files.
    assert decoded(run("lpips", "fid")) == 2


def test_a_sample_that_one_metric_cannot_take_fails_that_metric_alone(compute: Compute, researcher: User) -> None:
    submission = photograph_submission(3, side=48)
    replace_pair(submission, "p001", Image.effect_noise((20, 20), 60))

    run = compute(services.start_run(submission=submission, metrics=["fid", "lpips", "psnr"], actor=researcher))

    assert run.state == RunState.DONE
    assert dict(run.scores.values_list("metric", "state")) == {
        "fid": ScoreState.DONE,
        "psnr": ScoreState.DONE,
        "lpips": ScoreState.FAILED,
    }
    note = run.scores.get(metric="lpips").note
    assert note.startswith("The output for prompt “p001” (seed 0) is 20 × 20 pixels; LPIPS")
    assert run.shards.get().problems == {"lpips": note}


def replace_pair(submission: Submission, key: str, image: Image.Image) -> None:
    """Give one prompt's reference and its sample this picture, as if they had been so from the start."""
    study = submission.checkpoint.study
    media = store(study, Picture.of(image))
    study.prompts.filter(key=key).update(reference=media)
    Sample.objects.filter(checkpoint=submission.checkpoint, prompt__key=key).update(media=media)


def test_a_mask_that_leaves_nothing_fails_its_metric_alone(compute: Compute, researcher: User) -> None:
    submission = photograph_submission(2, side=48)
    study = submission.checkpoint.study
    for level, prompt in zip((0, 255), study.prompts.all(), strict=True):
        prompt.source, prompt.mask = prompt.reference, store(study, Picture.of(Image.new("L", (48, 48), level)))
        prompt.save()

    run = compute(services.start_run(submission=submission, metrics=["psnr", "psnr_outside"], actor=researcher))

    assert run.scores.get(metric="psnr").state == ScoreState.DONE
    outside = run.scores.get(metric="psnr_outside")
    assert outside.state == ScoreState.FAILED
    assert "p001" in outside.note


def test_a_run_goes_on_over_what_was_evicted_under_it(compute: Compute, researcher: User) -> None:
    submission = photograph_submission(4, side=48)
    first = compute(services.start_run(submission=submission, metrics=["fid", "psnr"], actor=researcher))
    assert services.evict(limit=0).files
    assert not CachedFile.objects.exists()
    for score in first.scores.all():
        assert score.efficiency["decoded"] == 8
    assert not any(default_storage.exists(shard.block) for shard in first.shards.all())

    again = compute(services.start_run(submission=submission, metrics=["fid", "psnr"], actor=researcher))

    assert decoded(again) == 8
    assert figures(again) == figures(first)


def test_reduced_precision_is_another_protocol_and_says_how_far_it_moves_a_value(
    compute: Compute, researcher: User
) -> None:
    submission = photograph_submission(4, side=48)
    metrics = ["fid", "lpips", "psnr"]
    full = compute(services.start_run(submission=submission, metrics=metrics, actor=researcher))
    wanted = services.ProtocolChoice(dtype="bfloat16")
    reduced = compute(
        services.start_run(submission=submission, metrics=metrics, protocol=wanted, actor=researcher),
    )

    assert (reduced.state, reduced.error) == (RunState.DONE, "")
    for metric in ("fid", "lpips"):
        before, after = full.scores.get(metric=metric), reduced.scores.get(metric=metric)
        assert after.fingerprint != before.fingerprint
        assert before.drift == {}
        assert (after.drift["dtype"], after.drift["samples"]) == ("bfloat16", 4)
        # Here the first samples are all of them.
        assert before.value is not None
        assert after.value is not None
        assert after.drift["full"] == pytest.approx(before.value, rel=1e-4)
        assert after.drift["shift"] == pytest.approx(after.value - before.value, rel=1e-3, abs=1e-6)
        assert after.efficiency["dtype"] == "bfloat16"
    # No network computes PSNR, so it is the same score.
    assert reduced.scores.get(metric="psnr").drift == {}
    assert reduced.scores.get(metric="psnr").fingerprint == full.scores.get(metric="psnr").fingerprint
