"""Pairs that are leased ahead, and answers that a page sends in its own time."""

import re

from django.test import Client

from evalhub.studies.models import Membership
from raters.models import Comparison, Vote
from tests.raters.conftest import Desk
from tests.raters.test_pages import BY_SCRIPT, form_of, page, ria

__all__ = ["ria"]  # a fixture

QUEUED = {**BY_SCRIPT, "X-Queued": "1"}


def desks_of(html: str) -> list[dict[str, str]]:
    return [form_of(desk) for desk in html.split('<main id="desk"')[1:]]


def test_the_next_pairs_are_leased_ahead(ria: Client) -> None:
    form = form_of(page(ria))
    more = {"held": form["comparison"], "shown": f"{form['comparison']}:250", "count": "3"}
    html = ria.post("/rate/study/ahead/", more, headers=BY_SCRIPT).content.decode()
    desks = desks_of(html)
    assert len({desk["comparison"] for desk in (form, *desks)}) == 4
    assert len(set(re.findall(r"/shown/[\w-]{43}", html))) == 6
    assert [f"{number} done" in html for number in range(5)] == [False, True, True, True, False]
    before = Comparison.objects.get(token=form["comparison"])
    assert before.shown_at is not None
    assert before.created_at <= before.shown_at
    assert Comparison.objects.exclude(shown_at=None).count() == 1
    # What one window was leased and does not hold any more is offered again, before anything new is drawn.
    held = [form["comparison"], desks[0]["comparison"]]
    again = ria.post("/rate/study/ahead/", {"held": held, "count": "2"}, headers=BY_SCRIPT).content.decode()
    assert desks_of(again) == desks[1:]
    assert Comparison.objects.count() == 4


def test_the_queue_is_only_told_how_it_went(desk: Desk, ria: Client) -> None:
    form = form_of(page(ria))
    answer = {**form, "answer.quality": "right", "milliseconds": "900", "waited": "60000"}
    for _ in range(2):
        response = ria.post("/rate/study/vote/", answer, headers=QUEUED)
        assert (response.status_code, response.content) == (204, b"")
    comparison = Comparison.objects.get()
    assert comparison.shown_at == comparison.created_at  # no pair was shown before it was drawn
    undo = {"comparison": form["comparison"], "revision": "2"}
    for _ in range(2):
        assert ria.post("/rate/study/undo/", undo, headers=QUEUED).status_code == 204
    assert ria.post("/rate/study/vote/", {**answer, "revision": "3"}, headers=QUEUED).status_code == 204
    assert ria.post("/rate/study/undo/", undo, headers=QUEUED).status_code == 204  # late, once more
    assert list(Vote.objects.values_list("choice", flat=True)) == ["right", "withdrawn", "right"]
    unfit = ria.post("/rate/study/vote/", {**answer, "revision": "4", "answer.quality": "up"}, headers=QUEUED)
    assert (unfit.status_code, unfit["Content-Type"]) == (422, "text/plain")
    unknown = ria.post("/rate/study/vote/", {**answer, "comparison": "x" * 43}, headers=QUEUED)
    assert unknown.status_code == 410
    Membership.objects.all().delete()
    assert ria.post("/rate/study/vote/", answer, headers=QUEUED).status_code == 404


def test_an_answer_beyond_her_share_is_not_needed_and_never_will_be(desk: Desk, ria: Client) -> None:
    forms = [form_of(page(ria))]
    more = ria.post("/rate/study/ahead/", {"held": forms[0]["comparison"], "count": "1"}, headers=BY_SCRIPT)
    forms += desks_of(more.content.decode())
    desk.study.votes_per_rater = 1
    desk.study.save()
    statuses = [
        ria.post("/rate/study/vote/", {**form, "answer.quality": "tie"}, headers=QUEUED).status_code for form in forms
    ]
    assert statuses == [204, 410]


def test_an_answer_to_nothing_is_not_found(ria: Client) -> None:
    for token in ("x" * 43, "", "a\0b", "é", "x" * 100_000):
        response = ria.post("/rate/study/vote/", {"comparison": token, "answer.quality": "left"})
        assert response.status_code == 404
        odd = {"held": token, "shown": [token, f"{token}:9", ":-1"], "count": "x"}
        assert ria.post("/rate/study/ahead/", odd).status_code == 200
