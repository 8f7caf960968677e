"""The page, its downloads and its API: who sees them and what they say."""

import csv
import io
import json

import pytest
from django.test import Client

from tests.leaderboard.conftest import Scene

PAGES = [
    "/studies/photographs/",
    "/studies/photographs/leaderboard.csv",
    "/studies/photographs/leaderboard.json",
    "/studies/photographs/leaderboard.svg",
    "/studies/photographs/leaderboard.png",
    "/api/v1/studies/photographs/leaderboard/",
]


@pytest.mark.parametrize("page", PAGES)
def test_members_who_may_see_it_do_and_others_do_not(scene: Scene, client: Client, page: str) -> None:
    scene.fit()
    for user, status in ((scene.ada, 200), (scene.vera, 200), (scene.ben, 403), (scene.cy, 404)):
        client.force_login(user)
        assert client.get(page).status_code == status, user
    client.logout()
    assert client.get(page).status_code in {302, 401, 403, 404}


def page_text(scene: Scene, client: Client, query: str = "") -> str:
    client.force_login(scene.vera)
    return client.get(f"/studies/photographs/{query}").content.decode()


def test_it_shows_ranks_ratings_rates_and_scores(scene: Scene, client: Client) -> None:
    scene.fit()
    scene.score(scene.checkpoints[0], "fid", 31.4159, low=30.0, high=33.0)
    text = page_text(scene, client)
    for expected in ("1–2", "1,540", "1,500 … 1,580", "50%", "31.42", "n = 96", "self-reported"):
        assert expected in text


def test_names_are_text_in_the_table_and_in_the_chart(scene: Scene, client: Client) -> None:
    fit = scene.fit()
    fit.ratings.update(rating=1500.0, low=1400.0, high=1600.0)
    text = page_text(scene, client)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") >= 2


def test_simulated_votes_are_said_to_be_so(scene: Scene, client: Client) -> None:
    scene.fit(votes=120, simulated_votes=100)
    text = page_text(scene, client)
    assert "simulated raters, not by people" in text
    assert "What people say" not in text
    assert text.count("100 of them simulated") == 2  # under the chart, and in how this was ranked
    assert text.count("100 of 120 votes simulated") >= 1  # in the chart, which may be copied from the page


def test_what_is_taken_home_says_which_votes_are_simulated(scene: Scene, client: Client) -> None:
    fit = scene.fit(votes=120, simulated_votes=100)
    client.force_login(scene.vera)
    svg = client.get("/studies/photographs/leaderboard.svg").content.decode()
    assert "100 of 120 votes simulated" in svg
    simulated = client.get("/studies/photographs/leaderboard.png").content
    sheet = client.get("/studies/photographs/leaderboard.csv").content.decode()
    lines = list(csv.DictReader(io.StringIO(sheet)))
    assert {(line["ranking_votes"], line["ranking_simulated_votes"]) for line in lines} == {("120", "100")}
    fit.simulated_votes = 0
    fit.save()
    assert "simulated" not in client.get("/studies/photographs/leaderboard.svg").content.decode()
    assert simulated != client.get("/studies/photographs/leaderboard.png").content


def test_an_unknown_criterion_shows_the_first_and_is_refused_to_programs(scene: Scene, client: Client) -> None:
    client.force_login(scene.vera)
    for criterion, status in (("nope", 422), ("%00", 400)):
        assert client.get(f"/studies/photographs/?criterion={criterion}").status_code == 200
        refused = client.get(f"/api/v1/studies/photographs/leaderboard/?criterion={criterion}")
        assert refused.status_code == status, refused.json()


def test_real_votes_are_not_called_simulated(scene: Scene, client: Client) -> None:
    scene.fit()
    assert "simulated" not in page_text(scene, client)


def test_before_the_first_vote_it_says_so(scene: Scene, client: Client) -> None:
    assert "No votes have been counted yet" in page_text(scene, client)


def test_a_frozen_fit_has_an_address_of_its_own(scene: Scene, client: Client) -> None:
    old = scene.fit(votes=11)
    scene.fit(votes=22)
    text = page_text(scene, client, f"?fit={old.pk}")
    assert "11 votes" in text
    client.force_login(scene.vera)
    for wrong in ("?fit=nonsense", f"?fit={scene.study.pk}"):
        assert client.get(f"/studies/photographs/{wrong}").status_code == 404


def test_a_sorted_page_keeps_the_fit_it_shows(scene: Scene, client: Client) -> None:
    fit = scene.fit()
    assert f"?fit={fit.pk}&amp;sort=rating" in page_text(scene, client, f"?fit={fit.pk}")


def test_it_refreshes_itself_only_while_something_is_under_way(scene: Scene, client: Client) -> None:
    scene.fit()
    assert "hx-trigger" not in page_text(scene, client)
    scene.run(scene.checkpoints[0], state="running", finished_at=None)
    assert "hx-trigger" in page_text(scene, client)


def test_csv_has_a_line_per_contestant_and_no_formulas(scene: Scene, client: Client) -> None:
    scene.fit()
    scene.checkpoints[2].name = "=cmd()"
    scene.checkpoints[2].save()
    client.force_login(scene.vera)
    lines = list(csv.DictReader(io.StringIO(client.get("/studies/photographs/leaderboard.csv").content.decode())))
    assert [line["checkpoint"] for line in lines] == ["plain", "sharp", "'=cmd()"]
    assert float(lines[0]["rating"]) == 1540


def test_the_api_says_the_same_as_the_download(scene: Scene, client: Client) -> None:
    scene.fit()
    scene.score(scene.checkpoints[0], "lpips", 0.25)
    client.force_login(scene.vera)
    api = client.get("/api/v1/studies/photographs/leaderboard/").json()
    assert api == json.loads(client.get("/studies/photographs/leaderboard.json").content)
    assert api["rows"][0]["scores"][0]["value"] == 0.25
