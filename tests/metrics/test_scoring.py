"""Real weights on real photographs through a real Celery worker."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import torch
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from pytest_django import Settings

from evalhub.studies.models import Study, Submission, User
from evalhub.supervisor import Child
from metrics import services
from metrics.models import CachedFile, FeatureRow, Run, RunState, ScoreState, Shard, ShardState, Weights
from tests.metrics.material import photograph_submission
from tests.workers import wait_for, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

Until = Callable[[Run], Run]
Join = Callable[[Study], User]
CLIP = "clip-vit-b-32"


@pytest.fixture
def submission() -> Submission:
    return photograph_submission(14)


def figures(run: Run) -> dict[str, tuple[object, ...]]:
    """Everything of a run's scores that must not depend on how it was computed."""
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


def decoded(run: Run) -> set[int]:
    return {score.efficiency["decoded"] for score in run.scores.filter(state=ScoreState.DONE)}


def test_one_and_seven_shards_give_the_same_bits(
    submission: Submission, researcher: User, score: Until, settings: Settings
) -> None:
    results = []
    for shards, size in ((1, 14), (7, 2)):
        # Nothing that an earlier round computed may be found again.
        CachedFile.objects.all().delete()
        settings.SHARD_SIZE = size
        run = score(services.start_run(submission=submission, metrics=["fid", "kid", "lpips"], actor=researcher))
        assert (run.state, run.error) == (RunState.DONE, "")
        assert run.shards.count() == shards
        assert decoded(run) == {28}
        results.append(figures(run))

    assert set(results[0]) == {"fid", "kid", "lpips"}
    assert results[0] == results[1]


def test_a_second_run_decodes_nothing(submission: Submission, researcher: User, score: Until) -> None:
    first = score(services.start_run(submission=submission, metrics=["fid", "lpips"], actor=researcher))
    second = score(services.start_run(submission=submission, metrics=["fid", "lpips"], actor=researcher))

    assert decoded(first) == {28}
    assert decoded(second) == {0}
    assert first.scores.get(metric="fid").efficiency["reference_decoded"] == 14
    assert second.scores.get(metric="fid").efficiency["reference_decoded"] == 0
    assert figures(first) == figures(second)
    assert second.scores.get(metric="fid").efficiency["images_per_second"] is None


def test_what_cannot_be_read_from_the_cache_is_computed_again(
    submission: Submission, researcher: User, score: Until
) -> None:
    first = score(services.start_run(submission=submission, metrics=["lpips"], actor=researcher))
    for path in CachedFile.objects.values_list("path", flat=True):
        default_storage.delete(path)

    second = score(services.start_run(submission=submission, metrics=["lpips"], actor=researcher))

    assert decoded(second) == {28}
    assert figures(first) == figures(second)


def test_a_score_says_what_it_rests_on(submission: Submission, score: Until) -> None:
    run = score(services.start_run(submission=submission))

    fid = run.scores.get(metric="fid")
    assert fid.n == 14
    assert fid.low is not None
    assert fid.value is not None
    assert fid.high is not None
    assert fid.low < fid.value < fid.high
    assert "2,048" in fid.warnings[0]
    assert fid.protocol["reference"]
    assert {"images_per_second", "seconds", "decoded", "peak_memory", "device"} <= set(fid.efficiency)
    lpips = run.scores.get(metric="lpips")
    assert lpips.samples.count() == 14
    assert lpips.value == pytest.approx(sum(lpips.samples.values_list("value", flat=True)) / 14)
    assert run.scores.get(metric="clip_score").state == ScoreState.WAITING_FOR_WEIGHTS
    shard = run.shards.get()
    assert (shard.state, shard.attempts, shard.samples_done) == (ShardState.DONE, 1, 14)
    assert default_storage.exists(shard.block)


def test_a_file_that_went_bad_in_storage_fails_the_run_with_its_prompt(
    submission: Submission, researcher: User, score: Until
) -> None:
    broken = submission.checkpoint.samples.order_by("pk")[3]
    default_storage.delete(broken.media.path)
    default_storage.save(broken.media.path, ContentFile(b"\x89PNG\r\n\x1a\nnot a picture"))

    run = score(services.start_run(submission=submission, metrics=["fid"], actor=researcher))

    assert run.state == RunState.FAILED
    assert f"The output for prompt “{broken.prompt.key}”" in run.error
    assert "Traceback" not in run.error
    assert run.shards.get().attempts == 1


def test_a_file_that_is_gone_uses_up_the_attempts(
    submission: Submission, researcher: User, score: Until, scoring_worker: Child
) -> None:
    media = submission.checkpoint.samples.order_by("pk")[0].media
    default_storage.delete(media.path)

    run = score(services.start_run(submission=submission, metrics=["lpips"], actor=researcher))

    assert run.state == RunState.FAILED
    assert run.error.startswith("Part 1 failed after 3 attempts. Storage did not give or take a file (No such file")


def test_a_cancelled_run_frees_its_worker(researcher: User, scoring_worker: Child) -> None:
    # Enough that it cannot end between two pulses of its lease, in which a worker hears of a cancellation.
    submission = photograph_submission(97)
    run = services.start_run(submission=submission, metrics=["fid", "lpips"], actor=researcher)
    wait_for(lambda: run.shards.get().samples_done > 0, scoring_worker)

    services.cancel_run(run=run, actor=researcher)

    assert "asked to stop" not in scoring_worker.last_words(1)
    wait_for(lambda: "The pass was asked to stop" in scoring_worker.last_words(3), scoring_worker, seconds=20)
    shard = run.shards.get()
    assert (shard.state, shard.block) == (ShardState.CANCELLED, "")
    assert not FeatureRow.objects.exists()


def test_the_worker_fetches_weights_on_first_need(
    submission: Submission, researcher: User, tmp_path: Path, doorbell: redis.Redis
) -> None:
    with worker("fetching", EVALHUB_WEIGHTS=str(tmp_path)) as process:
        run = services.start_run(submission=submission, metrics=["lpips"], actor=researcher)
        wait_for(lambda: Shard.objects.get().stage.startswith("fetching weights lpips-alexnet"), process)
        wait_for(lambda: Run.objects.get().state == RunState.DONE, process)

    assert run.scores.get().state == ScoreState.DONE
    assert (tmp_path / "lpips-alexnet.safetensors").exists()
    assert Weights.objects.get().name == "lpips-alexnet"


def test_without_a_registry_a_score_waits_and_follows_once_the_weights_are_there(
    submission: Submission, researcher: User, tmp_path: Path, weights_folder: Path, doorbell: redis.Redis
) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    with worker("offline", EVALHUB_WEIGHTS=str(tmp_path), UV_DEFAULT_INDEX=nowhere) as process:
        run = services.start_run(submission=submission, metrics=["lpips"], actor=researcher)
        wait_for(lambda: Run.objects.get().state == RunState.DONE, process)
        waiting = run.scores.get()
        assert waiting.state == ScoreState.WAITING_FOR_WEIGHTS
        assert "python manage.py weights import lpips-alexnet" in waiting.note

        carried = weights_folder / "lpips-alexnet.safetensors"
        call_command("weights", "--folder", tmp_path, "import", "lpips-alexnet", carried)
        assert services.sweep().resumed == 1
        wait_for(lambda: Run.objects.filter(state=RunState.DONE).count() == 2, process)

    waiting.refresh_from_db()
    assert waiting.retried_in is not None
    assert waiting.retried_in.scores.get().state == ScoreState.DONE


def test_clip_score_follows_the_import_of_a_checkpoint(
    submission: Submission, tmp_path: Path, weights_folder: Path, doorbell: redis.Redis
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder, folder)
    with worker("importing", EVALHUB_WEIGHTS=str(folder)) as process:
        run = services.start_run(submission=submission)
        wait_for(lambda: Run.objects.get().state == RunState.DONE, process)
        waiting = run.scores.filter(state=ScoreState.WAITING_FOR_WEIGHTS).values_list("metric", flat=True)
        assert list(waiting) == ["clip_score"]
        assert not run.scores.filter(state=ScoreState.FAILED).exists()

        call_command("weights", "--folder", folder, "import", CLIP, random_clip(tmp_path / "random.pt"))
        assert services.sweep().resumed == 1
        wait_for(lambda: Run.objects.filter(state=RunState.DONE).count() == 2, process)

    resumed = Run.objects.get(metrics=["clip_score"])
    clip = resumed.scores.get()
    assert clip.state == ScoreState.DONE
    assert clip.samples.count() == 14
    # The number is worth what its checkpoint is: the protocol names that by its hash.
    pinned = Weights.objects.get(name=CLIP).sha256
    assert {column["weights"] for column in clip.protocol["columns"]} == {pinned}


def random_clip(path: Path) -> Path:
    """A checkpoint of CLIP's shape that knows nothing: seeded random numbers, half precision to keep the file small."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", pretrained=None)
    torch.save({name: tensor.half() for name, tensor in model.state_dict().items()}, path)
    return path
