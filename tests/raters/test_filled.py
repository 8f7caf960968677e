"""Desks leased ahead are filled in from a form; each is what the template itself would have written."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from evalhub.studies.models import Criterion
from raters import services
from raters.models import Enrolment
from raters.views import filled, states
from tests.raters.conftest import Desk

CSRF = re.compile(r'(name="csrfmiddlewaretoken" value=")\w+')


@pytest.fixture(autouse=True)
def no_forms_yet() -> Iterator[None]:
    filled._forms.clear()
    yield
    filled._forms.clear()


def both(desk: Desk, enrolment: Enrolment, count: int = 3) -> tuple[str, str]:
    """The next desks, filled in and rendered, without their tokens against forgery, which differ in every answer."""
    request = HttpRequest()
    assert enrolment.rater.user is not None
    request.user = enrolment.rater.user
    enrolment.study.refresh_from_db()
    leased = services.comparisons_ahead(study=enrolment.study, rater=enrolment.rater, held=(), count=count)
    pairs = states.pairs(enrolment, [comparison for comparison, _ in leased])
    done = [before for _, before in leased]
    rendered = "".join(
        render_to_string("raters/desk.html", {"study": enrolment.study, "done": before, "last": "", **pair}, request)
        for pair, before in zip(pairs, done, strict=True)
    )
    return CSRF.sub(r"\1", filled.desks(request, enrolment, pairs, done)), CSRF.sub(r"\1", rendered)


def change(desk: Desk, **values: Any) -> None:
    for name, value in values.items():
        setattr(desk.study, name, value)
    desk.study.save()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"works_without_javascript": True, "votes_per_rater": 7},
        {"is_sensitive": True, "asks_region": True, "asks_comment": True, "reason_tags": ["text", "<b>own</b>"]},
    ],
)
@pytest.mark.parametrize("text", ["", "A photograph.", "A long caption. " * 20, "<script>&'\"" * 20])
def test_it_is_what_the_template_writes(desk: Desk, values: dict[str, Any], text: str) -> None:
    change(desk, **values)
    for number, prompt in enumerate(desk.prompts):
        prompt.text = text and f"{text} {number}"
        prompt.save()
    enrolment = desk.rater("ria")
    with translation.override("de" if values else "en"):
        given, rendered = both(desk, enrolment)
    assert given == rendered
    assert given.count('<main id="desk"') == 3
    assert filled._MARK not in given


def test_one_form_serves_alike_pairs_and_none_outlives_a_change(desk: Desk) -> None:
    enrolment, other = desk.rater("ria"), desk.rater("otto")
    both(desk, enrolment)
    both(desk, other)
    assert len(filled._forms) == 1
    Criterion.objects.update(question="Which one is <sharper>?", allows_tie=False)
    given, rendered = both(desk, other)
    assert given == rendered
    assert "&lt;sharper&gt;" in given
    change(desk, votes_per_rater=50)
    given, rendered = both(desk, enrolment)
    assert given == rendered
    assert "of 50 done" in given


def test_a_pair_opened_again_is_rendered_with_what_was_said(desk: Desk, client: Client) -> None:
    change(desk, asks_comment=True)
    enrolment = desk.rater("ria")
    first = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert first is not None
    services.cast_vote(token=first.token, rater=enrolment.rater, answers={"quality": "left"}, comment="Too <dark>.")
    services.undo_last(rater=enrolment.rater, study=desk.study)
    given, rendered = both(desk, enrolment, 2)
    assert given == rendered
    assert "Too &lt;dark&gt;." in given
    assert given.count('name="revision" value="3"') == 2  # in the forms for answering and for skipping


def test_forms_kept_are_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled, "FORMS_KEPT", 2)
    enrolment = desk.rater("ria")
    for share in range(20, 25):
        change(desk, votes_per_rater=share)
        both(desk, enrolment)
        assert len(filled._forms) <= 2
