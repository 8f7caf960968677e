"""A study of videos from the folder to the leaderboard: real clips, two codecs, the real worker and its weights."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from evalhub.studies import services
from evalhub.studies.demo.clips import Clip, clips
from evalhub.studies.demo.codecs import CODECS, original, output
from evalhub.studies.models import Modality, Study, User
from evalhub.studies.services import CheckpointFacts
from evalhub.supervisor import Child
from metrics.models import Run, RunState, ScoreState
from tests.submitting import promised
from tests.workers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def small() -> list[Clip]:
    return [clip for clip in clips() if clip.source == "carphone"]


@pytest.fixture
def study(researcher: User, small: list[Clip], tmp_path: Path) -> Study:
    study = services.create_study(slug="films", name="Films", actor=researcher, modality=Modality.VIDEO)
    for clip in small:
        (tmp_path / f"{clip.key}.mp4").write_bytes(original(clip))
        reference = services.store_media(study=study, path=tmp_path / f"{clip.key}.mp4")
        services.add_prompt(study=study, key=clip.key, text=clip.caption, reference=reference, actor=researcher)
    services.publish_study(study=study, actor=researcher)
    return study


def deliver(study: Study, actor: User, name: str, small: list[Clip], qualities: float) -> None:
    """Submit the clips as this codec writes them, so much worse than the demo's."""
    codec = CODECS[name]
    contents = {
        f"{clip.key}.{codec.container}": output(codec, clip, clip.qualities[name] + qualities)[0] for clip in small
    }
    submission = services.receive_manifest(
        study=study,
        actor=actor,
        checkpoint=CheckpointFacts(name=name),
        files=[promised(path, content) for path, content in contents.items()],
    )
    for entry in submission.entries.all():
        services.receive_file(submission=submission, sha256=entry.sha256, stream=io.BytesIO(contents[entry.path]))
    services.complete_submission(submission=submission)


def test_videos_are_scored_and_stand_on_the_leaderboard(
    study: Study,
    researcher: User,
    small: list[Clip],
    score: Callable[[Run], Run],
    scoring_worker: Child,
    client: Client,
) -> None:
    deliver(study, researcher, "av1", small, 0)
    deliver(study, researcher, "vp8", small, 18)
    begun = Run.objects.filter(submission__checkpoint__study=study)
    wait_for(lambda: begun.count() == 2, scoring_worker)  # each submission begins one by itself
    for run in begun:
        ended = score(run)
        assert (ended.state, ended.error) == (RunState.DONE, "")
        states = dict(ended.scores.values_list("metric", "state"))
        assert {name for name, state in states.items() if state == ScoreState.DONE} == {"lpips", "psnr", "ssim"}
        assert states["frame_consistency"] == states["clip_score"] == ScoreState.WAITING_FOR_WEIGHTS
        assert "fid" not in states
        assert ended.scores.get(metric="lpips").n == len(small)

    client.force_login(researcher)
    rows = {
        row["checkpoint"]: {score["metric"]: score for score in row["scores"]}
        for row in client.get("/api/v1/studies/films/leaderboard/").json()["rows"]
    }
    assert set(rows) == {"av1", "vp8"}
    assert rows["av1"]["psnr"]["value"] > rows["vp8"]["psnr"]["value"] > 20
    assert rows["av1"]["ssim"]["value"] > rows["vp8"]["ssim"]["value"]
    assert 0 < rows["av1"]["lpips"]["value"] < rows["vp8"]["lpips"]["value"]
    page = client.get("/studies/films/").text
    for name in ("av1", "vp8"):
        assert name in page
        assert f"{rows[name]['psnr']['value']:.2f}" in page
