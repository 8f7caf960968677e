"""The pages of runs in a real browser while they go on."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, Submission, User
from metrics import services
from metrics.models import Run
from tests.browser.test_pages import sign_in
from tests.metrics.material import claimed, finish, grey, make_study, submit

EFFICIENCY = {
    "images_per_second": 61.24,
    "decoded": 8,
    "peak_memory": 2_600_000_000,
    "device": "cpu",
    "seconds": {"decode": 1.2, "forward": 12.3, "wall": 14.1},
    "stages": {"decode": 410.5, "forward": 66.2},
    "busy_share": 0.87,
    "batch_size": {"inception": 4, "lpips_alex": 0},
    "notes": ["A batch of 8 did not fit into memory and was halved to 4."],
    "price_per_hour": 0.1,
    "cost_per_million": 0.45,
}


@pytest.fixture
def submission(settings: Settings) -> Submission:
    settings.SHARD_SIZE = 2
    study = make_study([grey(level) for level in range(8)])
    return submit(study, [grey(100 + level) for level in range(8)], name="a checkpoint of rather a long name")


@pytest.fixture
def rita(submission: Submission) -> User:
    user = User.objects.create_user("rita")
    Membership.objects.create(study=submission.checkpoint.study, user=user, role=Role.RESEARCHER)
    return user


def ended(submission: Submission, user: User) -> Run:
    """A run with a score, one of reduced precision, one that failed and one that waits."""
    wanted = services.ProtocolChoice("tf1", "bfloat16")
    metrics = ["fid", "psnr", "lpips", "clip_score"]
    run = services.start_run(submission=submission, metrics=metrics, protocol=wanted, actor=user)
    for shard in run.shards.all():
        finish(claimed(shard, "gpu-8000@trainer-03 process 4711"))
    merge = services.claim_merge(run_id=run.pk)
    assert merge is not None
    fid = services.Result(
        metric="fid",
        value=123.4,
        low=110.1,
        high=136.7,
        interval="jackknife over 10 groups",
        n=8,
        warnings=["FID on 8 samples is weak: use at least 2,048."],
        fingerprint="c0ffee" * 10,
        protocol={"metric": "fid", "columns": [{"resize": "tf1-bilinear"}]},
        efficiency=EFFICIENCY,
        drift={"shift": -0.0213, "samples": 8},
    )
    psnr = services.Result(metric="psnr", value=31.2, n=8, interval="bootstrap", efficiency=EFFICIENCY)
    lpips = services.Result(metric="lpips", problem="The output for prompt “p001” (seed 0) is 20 × 20 pixels.")
    services.finish_merge(run_id=run.pk, token=merge.merge_token, results=[fid, psnr, lpips])
    return run


def under_way(submission: Submission, user: User) -> Run:
    """A run with a part in every state."""
    run = services.start_run(submission=submission, actor=user)
    first, second, third, _ = run.shards.all()
    finish(claimed(first, "gpu-8000@trainer-03 process 4711"))
    services.renew_lease(shard_id=second.pk, token=claimed(second).token, done=1, stage="fetching weights x 10 %")
    services.fail_attempt(shard_id=third.pk, token=claimed(third).token, error="The disk was full. " * 5)
    return run


def test_what_is_ticked_stays_while_the_runs_go_on(
    page: Page, live_server: LiveServer, submission: Submission, rita: User
) -> None:
    run = under_way(submission, rita)
    sign_in(page.context, live_server, rita)
    page.goto(live_server.url + reverse("submission_runs", args=[submission.pk]))
    page.get_by_text("Score again").click()
    page.get_by_label("DISTS").check()
    services.cancel_run(run=run, actor=rita)
    expect(page.locator("#list-of-runs")).to_contain_text("Cancelled", timeout=10_000)
    expect(page.get_by_label("DISTS")).to_be_checked()
    page.get_by_role("button", name="Start a run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run over")
    assert "dists" in Run.objects.latest("created_at").metrics
