"""A study's settings: limits, what is shown and said, texts, the questions of a draft, what it lacks, its end."""

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
TEXTS, SHOWING, LIMITS = (f"{SETTINGS}{section}/" for section in ("texts", "showing", "limits"))


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
QUALITY = {"key": "quality", "name": "Quality", "question": "Which picture is better?", **BOTH}
BLANK = {"key": "", "name": "", "question": "", **BOTH}


# -- limits --------------------------------------------------------------------------------------------------------


def test_limits_are_set_changed_and_lifted(ada: Client, scene: Scene) -> None:
    limits = {"votes_per_rater": 200, "votes_per_rater_per_day": 50, "vote_budget": 5_000}
    assert ada.post(LIMITS, {**limits, "closes_when_separated": "on", "publishes_late": "on"}).status_code == 302
    study = Study.objects.get()
    assert {name: getattr(study, name) for name in limits} == limits
    assert study.closes_when_separated
    assert study.publishes_late
    details = LogEntry.objects.filter(verb="changed study").latest("id").details
    assert details["before"]["vote_budget"] is None
    assert details["after"]["vote_budget"] == 5_000
    # While it is open the limits may change; when ratings are published may not.
    services.publish_study(study=study, actor=scene.ada)
    assert "Frozen when the study was published." in ada.get(LIMITS).text
    assert 'hx-get="/studies/faces/progress/"' in ada.get(SETTINGS).text
    assert ada.post(LIMITS, {"votes_per_rater_per_day": 60}).status_code == 302
    study.refresh_from_db()
    assert (study.votes_per_rater, study.votes_per_rater_per_day, study.vote_budget) == (None, 60, None)
    assert (study.closes_when_separated, study.publishes_late) == (False, True)


@pytest.mark.parametrize("name", ["votes_per_rater", "votes_per_rater_per_day", "vote_budget"])
def test_limits_that_are_none(ada: Client, scene: Scene, name: str) -> None:
    for value in ("0", "-1", "many", "9" * 12):
        response = ada.post(LIMITS, {name: value})
        assert response.status_code == 422
        assert "see what is said beside the fields" in response.text
    for number in (0, -1, 2**31):
        with pytest.raises(Refusal, match="A limit on votes is a number from 1"):
            services.change_study(study=scene.study, actor=scene.ada, **{name: number})
    assert getattr(Study.objects.get(), name) is None


# -- showing, and what raters may say ------------------------------------------------------------------------------


def test_raters_may_give_usual_reasons_and_others(ada: Client, scene: Scene) -> None:
    html = ada.get(SHOWING).text
    assert "Reasons to tick" in html
    assert "Flickers" not in html  # of videos only
    assert "Answers wait" not in html
    posted = {
        "presentation_edge": 1024,
        "reason_tags": ["Anatomy", "Blurred"],
        "more_reasons": " Wrong  logo \n\nAnatomy\n",
        "asks_region": "on",
        "is_sensitive": "on",
    }
    assert ada.post(SHOWING, posted).status_code == 302
    study = Study.objects.get()
    assert study.reason_tags == ["Anatomy", "Blurred", "Wrong logo"]
    assert (study.asks_region, study.asks_comment, study.is_sensitive) == (True, False, True)
    assert study.presentation_edge == 1024
    page = ada.get(SHOWING).text
    assert "Wrong logo</textarea>" in page
    assert page.count(" checked") == 4
    entries = LogEntry.objects.filter(verb="changed study").count()
    assert ada.post(SHOWING, posted).status_code == 302
    assert LogEntry.objects.filter(verb="changed study").count() == entries  # nothing was changed
    refused = ada.post(SHOWING, {**posted, "more_reasons": "x" * 41})
    assert refused.status_code == 422
    assert "A reason has at most 40 characters; “" in refused.text
    assert ada.post(SHOWING, {**posted, "reason_tags": ["Not one of ours"]}).status_code == 422


def test_publishing_freezes_what_raters_are_shown_and_asked(ada: Client, scene: Scene) -> None:
    services.change_study(study=scene.study, actor=scene.ada, reason_tags=["Anatomy"])
    services.publish_study(study=scene.study, actor=scene.ada)
    response = ada.post(SHOWING, {"presentation_edge": 512, "asks_comment": "on", "works_without_javascript": "on"})
    assert response.status_code == 302
    study = Study.objects.get()
    assert (study.presentation_edge, study.asks_comment, study.reason_tags) == (16_384, False, ["Anatomy"])
    assert study.works_without_javascript
    with pytest.raises(Conflict, match="what raters are asked"):
        services.change_study(study=scene.study, actor=scene.ada, reason_tags=[])


# -- texts ---------------------------------------------------------------------------------------------------------


def texts(**changes: str) -> dict[str, str]:
    return {"name": "Faces", "description": "", "licence": "", "consent": "", "instructions": "", **changes}


def test_texts_are_saved_and_a_new_consent_is_asked_anew(ada: Client, scene: Scene) -> None:
    form = texts(consent="You agree.", licence="CC BY 4.0")
    for _ in range(2):
        assert ada.post(TEXTS, form).status_code == 302
        study = Study.objects.get()
        assert (study.consent, study.consent_version, study.licence) == ("You agree.", 2, "CC BY 4.0")
    response = ada.post(TEXTS, texts(name=""))
    assert response.status_code == 422
    assert response.text.count("errorlist") == 1
    assert '<span class="study-name">Faces</span>' in response.text


def test_texts_are_shown_as_raters_would_read_them_and_not_saved(ada: Client, scene: Scene) -> None:
    response = ada.post(
        TEXTS, texts(consent="I take part **freely**.", instructions="<script>x</script>", preview="yes")
    )
    assert response.status_code == 200
    assert "<strong>freely</strong>" in response.text
    assert "<script>x" not in response.text
    assert "Nothing is saved yet." in response.text
    assert Study.objects.get().consent == ""


def test_an_unknown_section_is_nowhere(ada: Client, scene: Scene) -> None:
    assert ada.get(f"{SETTINGS}nonsense/").status_code == 404


# -- questions -----------------------------------------------------------------------------------------------------


def test_a_drafts_questions_are_added_reworded_ordered_and_removed(ada: Client, scene: Scene) -> None:
    html = ada.get(QUESTIONS).text
    assert 'value="Which picture is better?"' in html
    assert "One more question, if you like" in html
    detail = {**BLANK, "name": "Fine detail", "question": "Which has more detail?"}
    assert ada.post(QUESTIONS, rows(QUALITY, detail)).status_code == 302
    assert asked() == [
        ("quality", "Quality", "Which picture is better?", True, True),
        ("fine-detail", "Fine detail", "Which has more detail?", True, True),
    ]
    # The second one first, without a tie; the first one in other words.
    first = {**QUALITY, "question": "Which do you prefer?"}
    second = {"key": "fine-detail", "name": "Fine detail", "question": "Which?", "allows_both_bad": "on"}
    ada.post(QUESTIONS, {**rows(first, second, BLANK, initial=2), "do": "up:1"})
    assert asked() == [
        ("fine-detail", "Fine detail", "Which?", False, True),
        ("quality", "Quality", "Which do you prefer?", True, True),
    ]
    details = LogEntry.objects.filter(verb="set questions").latest("id").details
    assert details["after"] == ["Fine detail: Which? (no tie)", "Quality: Which do you prefer?"]
    ada.post(QUESTIONS, {**rows(second, first, BLANK, initial=2), "do": "down:0"})
    assert [row[0] for row in asked()] == ["quality", "fine-detail"]
    removed = ada.post(QUESTIONS, {**rows(first, second, BLANK, initial=2), "do": "remove:1"}, follow=True)
    assert "Removed: Fine detail, “Which?”" in removed.text
    assert [row[0] for row in asked()] == ["quality"]
    # Saved as they are, they are no entry of the log.
    logged = LogEntry.objects.filter(verb="set questions").count()
    ada.post(QUESTIONS, rows(first, BLANK))
    assert LogEntry.objects.filter(verb="set questions").count() == logged == 4


def test_a_usual_question_is_added_in_a_click(ada: Client, scene: Scene) -> None:
    html = ada.get(QUESTIONS).text
    assert "usual:alignment" in html
    assert "usual:motion" not in html  # of videos
    assert "usual:quality" not in html  # which is asked already
    ada.post(QUESTIONS, {**rows(QUALITY, BLANK), "do": "usual:alignment"})
    assert asked()[1] == ("alignment", "Alignment", "Which one follows the prompt better?", True, True)
    for do, sentence in (
        ("usual:motion", "none of the usual questions"),
        ("up:9", "no longer there"),
        ("burn:0", "no longer there"),
        ("up:²", "no longer there"),
    ):
        response = ada.post(QUESTIONS, {**rows(QUALITY, BLANK), "do": do})  # of a page that is older than the other
        assert response.status_code == 422
        assert sentence in response.text
    assert len(asked()) == 2


def test_questions_that_do_not_do(ada: Client, scene: Scene) -> None:
    before = asked()
    for posted, sentence in (
        ({**rows(QUALITY), "do": "remove:0"}, "A study asks 1 to 12 questions, got 0"),
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
    html = ada.get(QUESTIONS).text
    assert "Save the questions" not in html
    assert "Which picture is better?" in html
    response = ada.post(QUESTIONS, rows({**QUALITY, "question": "Which do you prefer?"}))
    assert response.status_code == 409
    assert "froze its questions" in response.text
    with pytest.raises(Conflict, match="froze its questions"):
        services.set_criteria(study=scene.study, questions=[Question("A", "Which?")], actor=scene.ada)


# -- the checklist, and a draft that goes ------------------------------------------------------------------------------


def test_the_overview_says_what_a_draft_lacks(ada: Client, scene: Scene) -> None:
    bare = services.create_study(slug="bare", name="Bare", actor=scene.ada)
    page = ada.get("/studies/bare/settings/")
    assert "Publish the study" not in page.text
    assert "The study can be published once that is there." in page.text
    steps = {step.title: step for step in services.checklist(bare)}
    assert [title for title, step in steps.items() if step.needed and not step.done] == ["Prompts"]
    assert not steps["Consent"].done
    services.add_prompt(study=bare, key="one", text="", actor=scene.ada)
    steps = {step.title: step for step in services.checklist(bare)}
    assert steps["Prompts"].done
    assert "1 have neither a text nor a source" in steps["Prompts that say nothing"].says
    assert "Publish the study" in ada.get("/studies/bare/settings/").text
    services.publish_study(study=bare, actor=scene.ada)
    assert "What it has, and what it lacks" not in ada.get("/studies/bare/settings/").text


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("vera", 403), ("ria", 403), ("cy", 404)])
def test_settings_are_for_owners(client: Client, scene: Scene, who: str, status: int) -> None:
    client.force_login(getattr(scene, who))
    for name in ("study_questions", "study_contestants", "study_state", "study_delete"):
        assert client.post(reverse(name, args=["faces"]), {"to": "open", "slug": "faces"}).status_code == status
    assert client.get(SETTINGS).status_code == status
    for address in (TEXTS, SHOWING, LIMITS):
        assert client.post(address, {"name": "Mine"}).status_code == status
    assert Study.objects.get().state == StudyState.DRAFT
