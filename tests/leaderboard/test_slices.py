"""Slices, pooled rankings and late publication: what an address asks, who may have it made, and what the page says."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from evalhub.studies.models import Criterion, Prompt
from raters.models import Fit, FitState, slice_digest
from raters.services import fit_slice
from tests.leaderboard.conftest import Scene

PAGE = "/studies/photographs/"
API = "/api/v1/studies/photographs/leaderboard/"
SECTIONS = ("head-to-head", "training", "cost", "metrics", "history")


@pytest.fixture
def asked(scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Signed in as Vera, who only reads; which fits were asked of a worker."""
    Prompt.objects.create(study=scene.study, key="one", tags=["faces, old", "night"])
    rung: list[str] = []
    monkeypatch.setattr("raters.services.on_demand.enqueue", lambda name, fit: rung.append(fit))
    client.force_login(scene.vera)
    return rung


def test_a_slice_is_asked_for_by_post_and_shows_how_far_it_is(scene: Scene, client: Client, asked: list[str]) -> None:
    scene.fit()
    query = "?tag=night&weighting=trust"
    page = client.get(PAGE + query).content.decode()
    assert "Nobody has asked for this ranking yet" in page
    assert "prompts tagged “night”" in page
    assert Fit.objects.exclude(slice={}).count() == 0  # looking writes nothing
    reply = client.post(f"{PAGE}leaderboard/fit/", {"criterion": "quality", "tag": "night", "weighting": "trust"})
    assert reply.status_code == 302
    assert reply["Location"] == PAGE + query
    fit = Fit.objects.get(state=FitState.WAITING)
    assert asked == [str(fit.pk)]
    waiting = client.get(PAGE + query).content.decode()
    assert "waiting for a worker" in waiting
    assert "hx-trigger" in waiting
    assert "waiting for a worker" in client.get(f"{PAGE}?fit={fit.pk}").content.decode()
    fit.state, fit.stage = FitState.RUNNING, "Reading the votes"
    fit.save()
    assert "Reading the votes" in client.get(PAGE + query).content.decode()


def test_asking_twice_makes_one(scene: Scene, client: Client, asked: list[str]) -> None:
    for _ in range(2):
        client.post(f"{PAGE}leaderboard/fit/", {"criterion": "quality", "raters": "people"})
    assert len(asked) == 1
    assert Fit.objects.count() == 1


def test_without_a_vote_it_fails_with_a_sentence_and_can_be_tried_again(
    scene: Scene, client: Client, asked: list[str]
) -> None:
    client.post(f"{PAGE}leaderboard/fit/", {"criterion": "quality", "raters": "people"})
    fit_slice(fit=Fit.objects.get())
    page = client.get(f"{PAGE}?raters=people").content.decode()
    assert "No vote falls into this slice yet" in page
    assert "Try again" in page
    assert "hx-trigger" not in page


def test_a_finished_slice_keeps_its_address_and_a_permanent_one(scene: Scene, client: Client, asked: list[str]) -> None:
    scene.fit(votes=120)
    slice = {"raters": "people"}
    fit = scene.fit(votes=77, slice=slice, slice_digest=slice_digest(slice))
    page = client.get(f"{PAGE}?raters=people").content.decode()
    assert "77 votes" in page
    assert f"?fit={fit.pk}" in page
    assert "people only" in page
    assert "Make it anew" in page
    assert f"reproduce_fit {fit.pk}" in page
    assert "120 votes" in client.get(PAGE).content.decode()
    assert "77 votes" in client.get(f"{PAGE}?fit={fit.pk}").content.decode()
    sheet = client.get(f"{PAGE}leaderboard.csv?raters=people").content.decode()
    assert ",77,0," in sheet


def test_a_new_ranking_of_a_slice_shows_the_old_one_meanwhile(scene: Scene, client: Client, asked: list[str]) -> None:
    slice = {"raters": "people"}
    old = scene.fit(votes=77, slice=slice, slice_digest=slice_digest(slice))
    Fit.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=1), cut_off=-1)
    client.post(f"{PAGE}leaderboard/fit/", {"criterion": "quality", "raters": "people"})
    page = client.get(f"{PAGE}?raters=people").content.decode()
    assert "77 votes" in page
    assert "waiting for a worker" in page


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?tag=nope", "A slice&#x27;s tag is one of faces, old, night; got “nope”"),
        ("?since=yesterday", "is a date such as"),
        ("?raters=robots", "is one of people, simulated; got “robots”"),
        ("?since=2026-02-01&until=2026-01-01", "before it begins"),
        ("?covariates=colour", "got “colour”"),
    ],
)
def test_a_slice_that_cannot_be_gets_a_sentence(
    scene: Scene, client: Client, asked: list[str], query: str, sentence: str
) -> None:
    reply = client.get(PAGE + query)
    assert reply.status_code == 422
    assert sentence in reply.content.decode()
    assert client.get(f"{PAGE}leaderboard.csv{query}").status_code == 404
    assert client.get(API + query).status_code in {400, 422}  # 400 where the schema says so already
    parameters = dict(pair.split("=") for pair in query[1:].split("&"))
    followed = client.post(f"{PAGE}leaderboard/fit/", parameters, follow=True)
    assert sentence in followed.content.decode()
    assert not asked


def test_criteria_are_pooled_on_request(scene: Scene, client: Client, asked: list[str]) -> None:
    assert "All together" not in client.get(PAGE).content.decode()  # of one criterion there is nothing to pool
    Criterion.objects.create(study=scene.study, key="text", name="Text", question="Which fits?", position=1)
    page = client.get(f"{PAGE}?criterion=*").content.decode()
    assert "all criteria together" in page
    client.post(f"{PAGE}leaderboard/fit/", {"criterion": "*"})
    assert Fit.objects.get().criterion is None


def test_columns_are_chosen_by_address_and_kept_in_every_link(scene: Scene, client: Client) -> None:
    scene.fit()
    scene.score(scene.checkpoints[0], "fid", 31.4159)
    client.force_login(scene.vera)
    page = client.get(f"{PAGE}?columns=rating&columns=gpu&sort=name").content.decode()
    table = page[page.index("<table") : page.index("</table>")]
    assert "GPU" in table
    assert "FID" not in table
    assert "sort=-rating&amp;columns=rating,gpu" in table
    assert "leaderboard.tex?sort=name&amp;columns=rating,gpu" in page
    everything = client.get(f"{PAGE}?columns=nonsense").content.decode()
    assert "31.42" in everything


def test_the_program_asks_and_waits_like_a_person(scene: Scene, client: Client, asked: list[str]) -> None:
    assert client.get(f"{API}?raters=people").json()["fit"] is None
    reply = client.post(f"{API}?raters=people")
    assert reply.status_code == 202
    assert reply.json()["unfinished"]["state"] == "waiting"
    assert client.get(f"{API}head-to-head/").json()["results"] == []
    assert client.get(f"{API}curves/").json()["results"] == []


def test_a_stranger_and_a_rater_ask_for_nothing(scene: Scene, client: Client, asked: list[str]) -> None:
    for user, status in ((scene.ben, 403), (scene.cy, 404)):
        client.force_login(user)
        assert client.post(f"{PAGE}leaderboard/fit/", {"raters": "people"}).status_code == status
        assert client.post(f"{API}?raters=people").status_code == status
        for section in SECTIONS:
            assert client.get(f"{PAGE}leaderboard/{section}/").status_code == status
            assert client.get(f"{PAGE}leaderboard/{section}.csv").status_code == status
    assert client.get(f"{PAGE}leaderboard/fit/").status_code == 405


def test_late_publication_keeps_ratings_from_all_but_owners(scene: Scene, client: Client, asked: list[str]) -> None:
    fit = scene.fit()
    scene.score(scene.checkpoints[0], "fid", 31.4159)
    scene.study.publishes_late = True
    scene.study.state = "open"
    scene.study.save()
    addresses = [PAGE, f"{PAGE}?fit={fit.pk}", f"{PAGE}?raters=people", API, f"{API}?fit={fit.pk}"]
    addresses += [f"{PAGE}leaderboard/{section}/" for section in SECTIONS]
    addresses += [f"{PAGE}leaderboard.{kind}" for kind in ("csv", "json", "tex")]
    for address in addresses:
        text = client.get(address).content.decode()
        assert "1,540" not in text, address
        assert "1540" not in text, address
        assert str(fit.pk) not in text.replace(f"fit={fit.pk}", ""), address
    page = client.get(PAGE).content.decode()
    assert "until it is closed, only its owners see ratings" in page
    assert "31.42" in page  # machines' scores are no secret
    assert client.get(f"{PAGE}leaderboard.svg").status_code == 404
    assert client.post(f"{PAGE}leaderboard/fit/", {"raters": "people"}).status_code == 403
    assert client.post(API).status_code == 403
    client.force_login(scene.ada)
    assert "1,540" in client.get(PAGE).content.decode()
    client.force_login(scene.vera)
    scene.study.state = "closed"
    scene.study.save()
    assert "1,540" in client.get(PAGE).content.decode()


def test_the_withdrawn_and_the_late_are_listed_as_such(scene: Scene, client: Client) -> None:
    scene.fit()
    scene.study.contestants_registered_at = timezone.now() - timedelta(days=1)
    scene.study.save()
    first = scene.checkpoints[0]
    first.created_at = timezone.now() - timedelta(days=2)
    first.withdrawn_at, first.withdrawal_reason = timezone.now(), "Its licence ended."
    first.save()
    client.force_login(scene.vera)
    page = client.get(PAGE).content.decode()
    assert page.count(">Withdrawn<") == 1
    assert "Its licence ended." in page
    assert page.count(">Not registered<") == 2
    assert "Contestants were registered on" in page
