"""Prompts down, contestants across."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from evalhub.studies.models import Membership, Prompt, Role, Sample, User
from evalhub.studies.views.gallery import MOST_COLUMNS, PROMPTS_ON_A_PAGE, SHOWN_UNASKED
from tests.raters.conftest import Desk, make_desk, noise, png, store

PROMPTS = 30


@pytest.fixture
def desk(db: None) -> Desk:
    desk = make_desk(prompts=PROMPTS)
    for name in ("Alpha", "Beta", '<script>alert("x")</script>'):
        desk.contestant(name)
    return desk


@pytest.fixture
def viewer(desk: Desk, client: Client) -> Client:
    user = User.objects.create_user("viewer")
    Membership.objects.create(study=desk.study, user=user, role=Role.VIEWER)
    client.force_login(user)
    return client


def test_each_prompt_has_each_contestants_output(desk: Desk, viewer: Client) -> None:
    page = viewer.get("/studies/study/gallery/")
    assert [prompt.key for prompt, _ in page.context["rows"]] == [f"prompt-{n}" for n in range(PROMPTS_ON_A_PAGE)]
    for prompt, cells in page.context["rows"]:
        for cell in cells:
            assert cell.sample == Sample.objects.get(checkpoint=cell.checkpoint, prompt=prompt)
    assert "<script>alert" not in page.content.decode()
    assert page.content.decode().count('loading="lazy"') == 3 * PROMPTS_ON_A_PAGE


def test_words_tags_and_contestants_narrow_it(desk: Desk, viewer: Client) -> None:
    Prompt.objects.filter(pk=desk.prompts[4].pk).update(tags=["night"], text="Two OWLS under the moon")
    page = viewer.get("/studies/study/gallery/?q=owls")
    assert [prompt.key for prompt, _ in page.context["rows"]] == ["prompt-4"]
    page = viewer.get(f"/studies/study/gallery/?tag=night&c={desk.checkpoints[1].pk}")
    assert [(prompt.key, len(cells)) for prompt, cells in page.context["rows"]] == [("prompt-4", 1)]
    assert page.context["columns"] == [desk.checkpoints[1]]
    assert "No prompt is like that" in viewer.get("/studies/study/gallery/?q=zebra").content.decode()


@pytest.mark.parametrize("query", ["c=x", "q=%00", "tag=%00%00", "page=-3", "page=999", "c=&q=&tag="])
def test_odd_addresses_are_answered(viewer: Client, query: str) -> None:
    assert viewer.get(f"/studies/study/gallery/?{query}").status_code == 200


def test_only_so_many_columns_are_shown(desk: Desk, viewer: Client) -> None:
    for number in range(MOST_COLUMNS):
        desk.contestant(f"More {number}")
    assert len(viewer.get("/studies/study/gallery/").context["columns"]) == SHOWN_UNASKED
    everything = "&".join(f"c={checkpoint.pk}" for checkpoint in desk.checkpoints)
    assert len(viewer.get(f"/studies/study/gallery/?{everything}").context["columns"]) == MOST_COLUMNS


def test_further_seeds_are_counted(desk: Desk, viewer: Client) -> None:
    media = store(desk.study, png(noise(77, 77)), "png")
    Sample.objects.create(checkpoint=desk.checkpoints[0], prompt=desk.prompts[0], seed=5, media=media)
    cells = viewer.get("/studies/study/gallery/").context["rows"][0][1]
    assert {cell.checkpoint.name: cell.seeds for cell in cells}["Alpha"] == 2
    assert all(cell.sample.seed == 0 for cell in cells)


def test_its_queries_do_not_grow(viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(10):
        viewer.get("/studies/study/gallery/")


def test_raters_do_not_see_it(desk: Desk, client: Client) -> None:
    user = User.objects.create_user("rater")
    Membership.objects.create(study=desk.study, user=user, role=Role.RATER)
    client.force_login(user)
    assert client.get("/studies/study/gallery/").status_code == 403
