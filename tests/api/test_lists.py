"""Every list comes in pages of one kind, and is narrowed by what its parameters say."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Prompt, Submission
from tests.api.test_schema import OPERATIONS
from tests.api.test_submitting import problem, signed
from tests.submitting import Scene

SUBMISSIONS = "/api/v1/studies/faces/submissions/"
PROMPTS = "/api/v1/studies/faces/prompts/"


@pytest.fixture
def many(scene: Scene) -> list[str]:
    """Seven checkpoints, the oldest first; three begun in the same moment, of which no page may lose one."""
    now = timezone.now()
    for number in range(7):
        family, withdrawn = ("odd", "for a reason") if number % 2 else ("even", "")
        checkpoint = Checkpoint.objects.create(
            study=scene.study,
            name=f"c{number}",
            step=number * 10,
            family=family,
            withdrawn_at=now if withdrawn else None,
            withdrawal_reason=withdrawn,
        )
        Submission.objects.create(checkpoint=checkpoint, created_at=now - timedelta(days=max(2, 9 - number)))
    return [f"c{number}" for number in range(7)]


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    assert set(answer.json()) == {"next", "previous", "results"}
    return [row["checkpoint"]["name"] for row in answer.json()["results"]]


def test_pages_there_and_back_have_each_row_once(client: Client, scene: Scene, many: list[str]) -> None:
    headers, address, seen, last = signed(scene.vera), f"{SUBMISSIONS}?page_size=2", [], ""
    while address:
        page = client.get(address, headers=headers)
        assert len(names(page)) <= 2
        seen += names(page)
        last, address = address, page.json()["next"]
    assert sorted(seen) == many
    back: list[str] = []
    address = last
    while address:
        page = client.get(address, headers=headers)
        back = names(page) + back
        address = page.json()["previous"]
    assert back == seen


def test_a_row_that_comes_meanwhile_moves_no_other(client: Client, scene: Scene, many: list[str]) -> None:
    headers = signed(scene.vera)
    first = client.get(f"{SUBMISSIONS}?page_size=3", headers=headers)
    newer = Checkpoint.objects.create(study=scene.study, name="newer")
    Submission.objects.create(checkpoint=newer)
    rest = client.get(first.json()["next"], headers=headers)
    assert not {*names(first), "newer"} & set(names(rest))


def test_a_cursor_is_of_its_own_list_and_of_nobodys_making(client: Client, scene: Scene, many: list[str]) -> None:
    headers = signed(scene.vera)
    mine = client.get(f"{SUBMISSIONS}?page_size=2", headers=headers).json()["next"].partition("cursor=")[2]
    mine = mine.partition("&")[0]
    for cursor in ("x", "cD14", mine[:-1], "%00", "", "ü"):
        assert "of no page of this list" in problem(client.get(f"{SUBMISSIONS}?cursor={cursor}", headers=headers), 404)
    assert "of no page" in problem(client.get(f"{PROMPTS}?cursor={mine}", headers=headers), 404)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("family=odd", [1, 3, 5]),
        ("family=", []),
        ("checkpoint=c4", [4]),
        ("step=20", [2]),
        ("withdrawn=true", [1, 3, 5]),
        ("withdrawn=false&family=odd", []),
        ("state=complete", []),
        ("state=incomplete&step=0", [0]),
    ],
)
def test_submissions_are_narrowed(
    client: Client, scene: Scene, many: list[str], query: str, expected: list[int]
) -> None:
    answer = client.get(f"{SUBMISSIONS}?{query}", headers=signed(scene.vera))
    if query == "family=":
        assert "family: This field may not be blank" in problem(answer, 400)
        return
    assert sorted(names(answer)) == [f"c{number}" for number in expected]


def test_since_is_a_moment(client: Client, scene: Scene, many: list[str]) -> None:
    headers = signed(scene.vera)
    since = (timezone.now() - timedelta(days=4, hours=1)).isoformat()
    answer = client.get(SUBMISSIONS, {"since": since}, headers=headers)
    assert sorted(names(answer)) == ["c5", "c6"] or sorted(names(answer))[-1] == "c6"
    assert "since: Datetime has wrong format" in problem(client.get(f"{SUBMISSIONS}?since=today", headers=headers), 400)


def test_prompts_by_tag_and_studies_by_state(client: Client, scene: Scene) -> None:
    headers = signed(scene.vera)
    Prompt.objects.filter(study=scene.study, key="cat").update(tags=["animals", "night"])
    found = client.get(f"{PROMPTS}?tag=night", headers=headers).json()["results"]
    assert [prompt["key"] for prompt in found] == ["cat"]
    assert client.get(f"{PROMPTS}?tag=nothing", headers=headers).json()["results"] == []
    for query, number in (("state=draft", 1), ("state=open", 0), ("modality=video", 0)):
        assert len(client.get(f"/api/v1/studies/?{query}", headers=headers).json()["results"]) == number


def test_every_list_is_of_one_style() -> None:
    """What answers with rows has a page's three fields, and takes a cursor and a limited page size."""
    lists = 0
    for label, operation in OPERATIONS.items():
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        assert content["schema"].get("type") != "array", f"{label} answers with all of its rows at once."
        if "Paginated" in content["schema"].get("$ref", ""):
            lists += 1
            parameters = {each["name"]: each["schema"] for each in operation["parameters"]}
            assert parameters["page_size"]["maximum"] <= 10_000, label
            assert "cursor" in parameters, label
    assert lists >= 15
