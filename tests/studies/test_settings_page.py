"""A study's settings: limits, late publication, and the questions of a draft."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.models import LogEntry, Study, StudyState
from evalhub.studies.services import MOST_QUESTIONS, Question
from tests.submitting import Scene


@pytest.fixture
def ada(client: Client, scene: Scene) -> Client:
    client.force_login(scene.ada)
    return client


SETTINGS, QUESTIONS = "/studies/faces/settings/", "/studies/faces/questions/"


def typed(**changes: Any) -> dict[str, Any]:
    """What the form posts for the study as it is, with changes; an unticked box is not posted."""
    study = Study.objects.get(slug="faces")
    names = ("name", "description", "consent", "instructions", "presentation_edge")
    return {**{name: getattr(study, name) for name in names}, **changes}


def rows(*questions: dict[str, Any], initial: int = 1) -> dict[str, Any]:
    """What the questions' form posts."""
    posted: dict[str, Any] = {
        "questions-TOTAL_FORMS": len(questions),
        "questions-INITIAL_FORMS": initial,
        "questions-MIN_NUM_FORMS": 0,
        "questions-MAX_NUM_FORMS": MOST_QUESTIONS,
    }
    for number, question in enumerate(questions):
        posted |= {f"questions-{number}-{name}": value for name, value in question.items()}
    return posted


def asked() -> list[tuple[Any, ...]]:
    study = Study.objects.get(slug="faces")
    return list(study.criteria.values_list("key", "name", "question", "allows_tie", "allows_both_bad"))


BOTH = {"allows_tie": "on", "allows_both_bad": "on"}
QUALITY = {"key": "quality", "name": "Quality", "question": "Which picture is better?", "ORDER": 1, **BOTH}
BLANK = {"key": "", "name": "", "question": "", "ORDER": "", **BOTH}


# -- limits --------------------------------------------------------------------------------------------------------


def test_limits_are_set_changed_and_lifted(ada: Client, scene: Scene) -> None:
    limits = {"votes_per_rater": 200, "votes_per_rater_per_day": 50, "vote_budget": 5_000}
    assert ada.post(SETTINGS, typed(**limits, closes_when_separated="on", publishes_late="on")).status_code == 302
    study = Study.objects.get()
    assert {name: getattr(study, name) for name in limits} == limits
    assert study.closes_when_separated
    assert study.publishes_late
    details = LogEntry.objects.filter(verb="changed study").latest("id").details
    assert details["before"]["vote_budget"] is None
    assert details["after"]["vote_budget"] == 5_000
    # While it is open the limits may change; when ratings are published may not.
    services.publish_study(study=study, actor=scene.ada)
    html = ada.get(SETTINGS).text
    assert "Frozen when the study was published." in html
    assert 'hx-get="/studies/faces/progress/"' in html
    assert ada.post(SETTINGS, typed(votes_per_rater_per_day=60)).status_code == 302
    study.refresh_from_db()
    assert (study.votes_per_rater, study.votes_per_rater_per_day, study.vote_budget) == (None, 60, None)
    assert (study.closes_when_separated, study.publishes_late) == (False, True)


@pytest.mark.parametrize("name", ["votes_per_rater", "votes_per_rater_per_day", "vote_budget"])
def test_limits_that_are_none(ada: Client, scene: Scene, name: str) -> None:
    for value in ("0", "-1", "many", "9" * 12):
        response = ada.post(SETTINGS, typed(**{name: value}))
        assert response.status_code == 422
        assert "see what is said beside the fields" in response.text
    for number in (0, -1, 2**31):
        with pytest.raises(Refusal, match="A limit on votes is a number from 1"):
            services.change_study(study=scene.study, actor=scene.ada, **{name: number})
    assert getattr(Study.objects.get(), name) is None


# -- questions -----------------------------------------------------------------------------------------------------


def test_a_drafts_questions_are_added_reworded_ordered_and_removed(ada: Client, scene: Scene) -> None:
    html = ada.get(SETTINGS).text
    assert 'value="Which picture is better?"' in html
    assert "One more question, if you like" in html
    detail = {**BLANK, "name": "Fine detail", "question": "Which has more detail?", "ORDER": 2}
    assert ada.post(QUESTIONS, rows(QUALITY, detail)).status_code == 302
    assert asked() == [
        ("quality", "Quality", "Which picture is better?", True, True),
        ("fine-detail", "Fine detail", "Which has more detail?", True, True),
    ]
    # The second one first, without a tie; the first one in other words.
    first = {**QUALITY, "question": "Which do you prefer?", "ORDER": 2}
    second = {"key": "fine-detail", "name": "Fine detail", "question": "Which?", "ORDER": 1, "allows_both_bad": "on"}
    ada.post(QUESTIONS, rows(first, second, BLANK, initial=2))
    assert asked() == [
        ("fine-detail", "Fine detail", "Which?", False, True),
        ("quality", "Quality", "Which do you prefer?", True, True),
    ]
    details = LogEntry.objects.filter(verb="set questions").latest("id").details
    assert details["after"] == ["Fine detail: Which? (no tie)", "Quality: Which do you prefer?"]
    ada.post(QUESTIONS, rows({**second, "DELETE": "on"}, first, BLANK, initial=2))
    assert [row[0] for row in asked()] == ["quality"]
    # Saved as they are, they are no entry of the log.
    logged = LogEntry.objects.filter(verb="set questions").count()
    ada.post(QUESTIONS, rows(first, BLANK))
    assert LogEntry.objects.filter(verb="set questions").count() == logged == 3


def test_questions_that_do_not_do(ada: Client, scene: Scene) -> None:
    before = asked()
    for posted, sentence in (
        (rows({**QUALITY, "DELETE": "on"}), "A study asks 1 to 12 questions, got 0"),
        (rows({**QUALITY, "question": ""}), "see what is said beside the fields"),
        (rows(QUALITY, {**BLANK, "name": "quality", "question": "Which?"}), "would both be called “quality”"),
        (rows(QUALITY, {**BLANK, "name": "雪", "question": "Which?"}), "No short name can be made from “雪”"),
        (rows({**QUALITY, "key": "../x"}), "see what is said beside the fields"),
        ({}, "see what is said beside the fields"),
    ):
        response = ada.post(QUESTIONS, posted)
        assert response.status_code == 422
        assert sentence in response.text
    with pytest.raises(Refusal, match="needs a name of 1 to 80 characters"):
        services.set_criteria(study=scene.study, questions=[Question(" ", "Which?")], actor=scene.ada)
    assert asked() == before


def test_publishing_freezes_the_questions(ada: Client, scene: Scene) -> None:
    services.publish_study(study=scene.study, actor=scene.ada)
    html = ada.get(SETTINGS).text
    assert "Save the questions" not in html
    assert "Which picture is better?" in html
    response = ada.post(QUESTIONS, rows({**QUALITY, "question": "Which do you prefer?"}))
    assert response.status_code == 409
    assert "froze its questions" in response.text
    with pytest.raises(Conflict, match="froze its questions"):
        services.set_criteria(study=scene.study, questions=[Question("A", "Which?")], actor=scene.ada)


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("vera", 403), ("ria", 403), ("cy", 404)])
def test_settings_are_for_owners(client: Client, scene: Scene, who: str, status: int) -> None:
    client.force_login(getattr(scene, who))
    for name in ("study_settings", "study_questions", "study_contestants", "study_state"):
        assert client.post(reverse(name, args=["faces"]), {"to": "open"}).status_code == status
    assert Study.objects.get().state == StudyState.DRAFT
