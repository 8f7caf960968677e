"""Who reaches which page: every page of a study, asked for by every kind of person."""

import pytest
from django.test import Client
from django.urls import reverse

from evalhub.studies.models import Media
from tests.submitting import Scene

SEE = {"ada": 200, "ben": 200, "vera": 200, "ria": 403, "cy": 404, "nobody": 302}
MANAGE = {"ada": 200, "ben": 403, "vera": 403, "ria": 403, "cy": 404, "nobody": 302}
PAGES = {
    "submissions": SEE,
    "prompts": SEE,
    "submission": SEE,
    "media": SEE,
    "members": MANAGE,
    "study_settings": MANAGE,
    "study_section": MANAGE,
    "study_questions": MANAGE,
    "prompts_add": MANAGE,
    "study_log": MANAGE,
    "study_log_sheet": MANAGE,
}
# A deed that is refused must not happen: 405 would only say that it was asked for in the wrong way.
DEEDS: dict[str, dict[str, str]] = {
    "prompts_add": {},
    "prompt_type": {"key": "mine"},
    "prompts_waiting": {"to": "replace"},
    "prompts_remove": {"to": "all"},
    "members": {"who": "cy-faces", "role": "owner"},
    "member_role": {"role": "viewer"},
    "member_remove": {},
    "invite_create": {"role": "owner"},
    "study_section": {"name": "Mine now"},
    "study_delete": {"slug": "faces"},
    "study_questions": {},
    "study_state": {"to": "closed"},
}


def address(scene: Scene, name: str) -> str:
    if name == "submission":
        return reverse(name, args=[scene.study.checkpoints.get().submission.pk])
    if name == "media":
        return reverse(name, args=[scene.study.slug, Media.objects.earliest("pk").pk])
    if name == "study_section":
        return reverse(name, args=[scene.study.slug, "texts"])
    if name.startswith("member_"):
        return reverse(name, args=[scene.study.slug, scene.ben.pk])
    return reverse(name, args=[scene.study.slug])


def browser_of(scene: Scene, who: str) -> Client:
    client = Client()
    if who != "nobody":
        client.force_login(getattr(scene, who))
    return client


@pytest.mark.parametrize("name", PAGES)
def test_who_sees_a_page(scene: Scene, name: str) -> None:
    scene.submit(scene.outputs())
    found = {who: browser_of(scene, who).get(address(scene, name)).status_code for who in PAGES[name]}
    assert found == PAGES[name]


@pytest.mark.parametrize("name", DEEDS)
def test_only_an_owner_changes_a_study(scene: Scene, name: str) -> None:
    lines = scene.study.log.count()
    others = [who for who in MANAGE if who != "ada"]
    found = {who: browser_of(scene, who).post(address(scene, name), DEEDS[name]).status_code for who in others}
    assert found == {who: MANAGE[who] for who in others}
    assert scene.study.log.count() == lines  # every change writes a line
    assert browser_of(scene, "ada").post(address(scene, name), DEEDS[name]).status_code in {200, 302, 409, 422}


def test_a_member_without_the_right_is_told_which_role_it_takes(scene: Scene) -> None:
    text = browser_of(scene, "ria").get(address(scene, "prompts")).text
    assert "takes the role viewer, researcher or owner; yours is rater" in text


def test_a_rater_meets_no_name_of_a_checkpoint_anywhere(scene: Scene) -> None:
    scene.submit(scene.outputs(), name="secret-checkpoint")
    client = browser_of(scene, "ria")
    names = ["studies", "tokens", *PAGES]
    for name in names:
        path = reverse(name) if name in {"studies", "tokens"} else address(scene, name)
        text = client.get(path).content.decode(errors="replace")
        assert "secret-checkpoint" not in text, path
