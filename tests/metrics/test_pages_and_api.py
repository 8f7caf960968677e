"""The page of a run, a submission's runs, and the same for programs: what they show and to whom."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from evalhub.settings import prices_by_device as prices
from evalhub.studies.models import Membership, Role, Study, Submission, User
from evalhub.studies.services import create_token
from metrics import services, views
from metrics.engine.protocol import Protocol
from metrics.engine.registry import METRICS
from metrics.models import Run, RunState, ScoreState
from tests.metrics.material import claimed
from tests.metrics.material import finish as finish_shard

pytestmark = pytest.mark.django_db

MakeSubmission = Callable[..., Submission]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def run(grey_submission: MakeSubmission, settings: Settings) -> Run:
    settings.SHARD_SIZE = 2
    return services.start_run(submission=grey_submission(4))


@pytest.fixture
def signed_in(client: Client, run: Run) -> Callable[[str], Client]:
    """A browser of a member with that role; without a role, of a stranger."""

    def as_role(role: str) -> Client:
        user = User.objects.create_user(f"a {role or 'stranger'}")
        if role:
            Membership.objects.create(study=Study.objects.get(), user=user, role=role)
        client.force_login(user)
        return client

    return as_role


SignedIn = Callable[[str], Client]


def finish(run: Run) -> None:
    for shard in run.shards.all():
        finish_shard(claimed(shard))
    merge = services.claim_merge(run_id=run.pk)
    assert merge is not None
    efficiency = {
        "images_per_second": 12.5,
        "decoded": 8,
        "peak_memory": 2**20,
        "device": "cpu",
        "seconds": {"wall": 3},
        "stages": {"decode": 80.0, "forward": 14.0},
        "busy_share": 0.9,
        "batch_size": {"inception": 4},
        "notes": ["A batch of 8 did not fit into memory and was halved."],
        "price_per_hour": 2.5,
        "cost_per_million": 55.5,
    }
    fid = services.Result(
        metric="fid",
        value=12.3456,
        low=10.0,
        high=14.5,
        interval="a jackknife",
        n=4,
        fingerprint="f" * 64,
        warnings=["FID on 4 samples is weak."],
        protocol={"metric": "fid", "resize": "bicubic-antialias-clamp"},
        efficiency=efficiency,
        drift={"shift": 0.01, "samples": 64},
    )
    lpips = services.Result(metric="lpips", problem="The outputs were unreadable.")
    services.finish_merge(run_id=run.pk, token=merge.merge_token, results=[fid, lpips])


def test_a_run_under_way_shows_its_parts_and_asks_for_itself_again(run: Run, signed_in: SignedIn) -> None:
    first, second = run.shards.all()
    shard = claimed(first, "gpu@host process 7")
    services.renew_lease(shard_id=shard.pk, token=shard.token, done=1, stage="fetching weights x 10 %")
    services.fail_attempt(shard_id=second.pk, token=claimed(second).token, error="The disk was full.")

    page = signed_in(Role.VIEWER).get(reverse("run", args=[run.pk])).content.decode()

    for shown in ("gpu@host process 7", "fetching weights x 10 %", "The disk was full.", "1 of 4 samples"):
        assert shown in page
    assert f'hx-get="{reverse("run", args=[run.pk])}" hx-trigger="every 2s"' in page
    assert "<code>python manage.py weights import clip-vit-b-32 FILE</code>" in page


def test_a_finished_run_shows_its_scores_and_asks_no_more(run: Run, signed_in: SignedIn) -> None:
    finish(run)
    page = signed_in(Role.VIEWER).get(reverse("run", args=[run.pk])).content.decode()

    for shown in ("12.35", "10.00 … 14.50", "ffffffffffff", "bicubic-antialias-clamp", "FID on 4 samples is weak."):
        assert shown in page
    for shown in ("$55.50", "busy in networks 90% of the time", "$2.5 per hour", "decode 80.00, forward 14.00"):
        assert shown in page
    assert "A batch of 8 did not fit into memory and was halved." in page
    assert "drift +0.01<" in page
    assert "+0.01 against float32, on the first 64 samples" in page
    assert "The outputs were unreadable." in page
    assert "hx-trigger" not in page


def test_of_very_many_parts_the_telling_ones_are_shown(
    run: Run, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PARTS_SHOWN", 1)
    _, second = run.shards.all()
    claimed(second, "gpu@host process 7")
    page = signed_in(Role.VIEWER).get(reverse("run", args=[run.pk])).content.decode()
    assert "gpu@host process 7" in page
    assert "These 1 are the failed and running ones" in page


def test_worker_time_has_a_price_where_the_operator_says_it(run: Run, signed_in: SignedIn, settings: Settings) -> None:
    settings.DEVICE_PRICE_PER_HOUR = {"cpu": 2.5, "": 9.0}
    finish(run)
    hour_ago = timezone.now() - timedelta(hours=1)
    run.shards.update(started_at=hour_ago, finished_at=hour_ago + timedelta(minutes=30))
    page = signed_in(Role.VIEWER).get(reverse("run", args=[run.pk])).content.decode()
    assert "60 min 00 s, about $2.50" in page


def test_prices_are_read_as_the_operator_writes_them(settings: Settings) -> None:
    settings.DEVICE_PRICE_PER_HOUR = prices("cpu=0.10, NVIDIA H200=3.90")
    assert services.price_of("NVIDIA H200") == 3.9
    assert services.price_of("cpu") == 0.1
    assert services.price_of("NVIDIA A100") is None
    settings.DEVICE_PRICE_PER_HOUR = prices("2.50")
    assert services.price_of("NVIDIA A100") == 2.5
    assert prices("") == {}
    with pytest.raises(ImproperlyConfigured, match="DEVICE_PRICE_PER_HOUR is a price"):
        prices("cpu=cheap")


def test_htmx_gets_the_changing_part_alone(run: Run, signed_in: SignedIn) -> None:
    part = signed_in(Role.VIEWER).get(reverse("run", args=[run.pk]), headers=HTMX).content.decode()
    assert "<html" not in part
    assert 'id="run"' in part


def test_the_submissions_part_shows_its_runs(run: Run, signed_in: SignedIn) -> None:
    address = reverse("submission_runs", args=[run.submission_id])
    browser = signed_in(Role.RESEARCHER)
    part = browser.get(address, headers=HTMX).content.decode()
    assert reverse("run", args=[run.pk]) in part
    assert 'hx-trigger="every 3s"' in part
    assert "Start a run" in part
    finish(run)
    assert "hx-trigger" not in browser.get(address, headers=HTMX).content.decode()
    assert "<html" in browser.get(address).content.decode()


def test_the_submissions_part_says_how_far_each_run_is_and_what_it_took(run: Run, signed_in: SignedIn) -> None:
    client, address = signed_in("viewer"), reverse("submission_runs", args=[run.submission_id])
    claimed(run.shards.all()[0])
    assert "1 part waiting, 1 part running" in client.get(address, headers=HTMX).text
    run.shards.update(state="waiting", token=0)
    finish(run)
    said = " ".join(client.get(address, headers=HTMX).text.split())
    assert "2 parts done" in said
    assert "of cpu · at most 1.0 MB of memory" in said


def test_a_page_of_many_parts_takes_few_queries(
    run: Run, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    browser = signed_in(Role.VIEWER)
    with django_assert_max_num_queries(12):
        browser.get(reverse("run", args=[run.pk]))


def test_a_researcher_cancels_and_retries(run: Run, signed_in: SignedIn) -> None:
    browser = signed_in(Role.RESEARCHER)
    browser.post(reverse("run_cancel", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED

    answer = browser.post(reverse("run_cancel", args=[run.pk]))
    assert answer.status_code == 409
    assert answer.content.decode().count("cancelled already, so there is nothing to cancel") == 1

    browser.post(reverse("run_retry", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_a_researcher_starts_a_run_or_reads_why_not(run: Run, signed_in: SignedIn) -> None:
    browser = signed_in(Role.RESEARCHER)
    address = reverse("run_start", args=[run.submission_id])
    started = browser.post(address, {"metrics": ["kid"]})
    assert started.status_code == 302
    assert Run.objects.get(metrics=["kid"]).created_by is not None

    refused = browser.post(address, {"protocol": "tf1"})
    assert refused.status_code == 422
    page = refused.content.decode()
    assert page.count("A run needs at least one metric") == 1
    # The form comes back as it was filled.
    assert '<option value="tf1" selected>' in page
    unknown = browser.post(address, {"metrics": ["kid"], "protocol": "clean", "dtype": "float8"})
    assert "There is no arithmetic called “float8”" in unknown.content.decode()


def test_every_metric_is_offered_under_its_heading_or_with_the_reason_why_not(run: Run, signed_in: SignedIn) -> None:
    page = signed_in(Role.RESEARCHER).get(reverse("submission_runs", args=[run.submission_id])).content.decode()
    for name, metric in METRICS.items():
        assert f'value="{name}"' in page
        assert metric.title in page
    for heading in ("Distributions", "Prompts", "Pairs", "Editing", "Video"):
        assert f"<legend>{heading}</legend>" in page
    assert "PSNR outside the mask compares each sample with its prompt&#x27;s source, and 4 of 4 have none." in page
    assert "Frame consistency (CLIP ViT-B/32) scores videos, and this study&#x27;s outputs are images." in page
    offered = re.findall(r'value="(\w+)" id="metric-\w+" aria-describedby="[\w-]+"( disabled| checked|)', page)
    assert dict(offered)["psnr_outside"] == " disabled"
    assert dict(offered)["fid"] == " checked"
    assert dict(offered)["dists"] == ""


@pytest.mark.parametrize(
    ("role", "sees", "changes"),
    [
        (Role.OWNER, 200, 302),
        (Role.RESEARCHER, 200, 302),
        (Role.VIEWER, 200, 403),
        (Role.RATER, 403, 403),
        ("", 404, 404),
    ],
)
def test_who_may_see_and_change(run: Run, signed_in: SignedIn, role: str, sees: int, changes: int) -> None:
    browser = signed_in(role)
    assert browser.get(reverse("run", args=[run.pk])).status_code == sees
    assert browser.get(reverse("submission_runs", args=[run.submission_id])).status_code == sees
    assert browser.post(reverse("run_start", args=[run.submission_id]), {"metrics": ["kid"]}).status_code == changes
    assert browser.post(reverse("run_cancel", args=[run.pk])).status_code == changes
    assert browser.post(reverse("run_retry", args=[run.pk])).status_code == changes


def test_a_run_that_is_none_is_nothing(run: Run, signed_in: SignedIn) -> None:
    assert signed_in(Role.OWNER).get(reverse("run", args=[uuid4()])).status_code == 404


def test_whoever_is_not_signed_in_signs_in_first(run: Run, client: Client) -> None:
    assert client.get(reverse("run", args=[run.pk])).status_code == 302


# -- the API ------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(client: Client, run: Run) -> Callable[..., Client]:
    """A program that signs with a token of a member with that role."""

    def with_token(role: str, scope: str = "submit") -> Client:
        user = User.objects.create_user(f"a program of a {role or 'stranger'}")
        if role:
            Membership.objects.create(study=Study.objects.get(), user=user, role=role)
        _, token = create_token(user=user, name="test", scope=scope)
        client.defaults["HTTP_AUTHORIZATION"] = f"Token {token}"
        return client

    return with_token


Program = Callable[..., Client]


def test_a_program_starts_follows_cancels_and_retries(run: Run, program: Program) -> None:
    client = program(Role.RESEARCHER)
    runs = f"/api/v1/submissions/{run.submission_id}/runs/"

    started = client.post(runs, {"metrics": ["kid", "lpips"]}, content_type="application/json")
    assert started.status_code == 201
    told = started.json()
    assert told["metrics"] == ["kid", "lpips"]
    assert told["state"] == RunState.WAITING
    assert told["samples"] == 4
    assert [shard["attempts"] for shard in told["shards"]] == [0, 0]
    address = f"/api/v1/runs/{told['id']}/"
    assert client.get(address).json() == told
    assert client.post(f"{address}cancel/").json()["state"] == RunState.CANCELLED
    assert client.post(f"{address}retry/").json()["state"] == RunState.RUNNING
    assert len(client.get(runs).json()["results"]) == 2


def test_a_program_reads_scores(run: Run, program: Program) -> None:
    finish(run)
    told = program(Role.VIEWER).get(f"/api/v1/runs/{run.pk}/").json()
    assert [score["metric"] for score in told["scores"]] == ["fid", "lpips", "clip_score"]
    scores = {score["metric"]: score for score in told["scores"]}
    assert scores["fid"]["value"] == 12.3456
    assert scores["fid"]["higher_is_better"] is False
    assert scores["clip_score"]["state"] == ScoreState.WAITING_FOR_WEIGHTS
    assert "weights import clip-vit-b-32 FILE" in scores["clip_score"]["note"]
    assert told["remaining_seconds"] is None


def test_a_program_asks_what_can_be_computed_and_chooses_a_protocol(run: Run, program: Program) -> None:
    client = program(Role.RESEARCHER)
    submission = f"/api/v1/submissions/{run.submission_id}/"
    offered = {choice["metric"]: choice for choice in client.get(f"{submission}metrics/").json()["results"]}
    assert set(offered) == set(METRICS)
    assert offered["fid"]["automatic"]
    assert offered["fid"]["obstacle"] == offered["fid"]["waits"] == ""
    assert offered["clip_score"]["waits"].startswith("CLIPScore (ViT-B/32) waits for its weights")
    assert offered["lpips_outside"]["group"] == "Editing"
    assert "have none" in offered["lpips_outside"]["obstacle"]
    for query, keeps in (
        ("group=Editing", lambda choice: choice["group"] == "Editing"),
        ("automatic=true", lambda choice: choice["automatic"]),
        ("possible=true", lambda choice: not choice["obstacle"]),
        ("possible=false&group=Video", lambda choice: choice["obstacle"] and choice["group"] == "Video"),
    ):
        found = [choice["metric"] for choice in client.get(f"{submission}metrics/?{query}").json()["results"]]
        assert found == [name for name, choice in offered.items() if keeps(choice)] != []

    asked = {"metrics": ["fid"], "protocol": "tf1", "dtype": "bfloat16"}
    told = client.post(f"{submission}runs/", asked, content_type="application/json").json()
    assert (told["protocol"], told["dtype"]) == ("tf1", "bfloat16")
    pinned = Protocol.from_dict(Run.objects.get(pk=told["id"]).protocol)
    assert (pinned.fid_resize, pinned.dtype) == ("tf1-bilinear", "bfloat16")
    refused = client.post(f"{submission}runs/", {"protocol": "tf2"}, content_type="application/json")
    assert refused.status_code == 400
    assert "tf2" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("metrics", "code", "sentence"),
    [
        (["nonsense"], 422, "There is no metric called “nonsense”"),
        ([], 422, "at least one metric"),
        ("fid", 400, "list"),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(
    run: Run, program: Program, metrics: object, code: int, sentence: str
) -> None:
    runs = f"/api/v1/submissions/{run.submission_id}/runs/"
    answer = program(Role.OWNER).post(runs, {"metrics": metrics}, content_type="application/json")
    assert answer.status_code == code
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    ("role", "scope", "sees", "changes"),
    [
        ("researcher", "read", 200, 403),
        ("viewer", "submit", 200, 403),
        ("rater", "submit", 403, 403),
        ("", "submit", 404, 404),
    ],
)
def test_which_program_may_see_and_change(
    run: Run, program: Program, role: str, scope: str, sees: int, changes: int
) -> None:
    client = program(role, scope)
    assert client.get(f"/api/v1/runs/{run.pk}/").status_code == sees
    assert client.post(f"/api/v1/runs/{run.pk}/cancel/").status_code == changes
    assert client.post(f"/api/v1/submissions/{run.submission_id}/runs/").status_code == changes
