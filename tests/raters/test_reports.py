"""What owners see of reports, skips, marks and comments."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from evalhub.studies.models import Membership, Role, User
from raters import services
from raters.models import Comparison
from raters.services import Region
from raters.views.reports import drawing, remarks_of, reported
from tests.raters.conftest import Desk, cast, offer
from tests.raters.test_skipping import skip


@pytest.fixture
def skipped(desk: Desk) -> list[Comparison]:
    """Broken on the left, broken on the right, both broken, and one that could not be judged."""
    enrolment = desk.rater("ria")
    comparisons = []
    for reason, side in (("broken", "left"), ("broken", "right"), ("broken", ""), ("cannot_tell", "")):
        comparisons.append(skip(offer(desk, enrolment), reason, side=side, comment="Half is <grey>." if side else ""))
    return comparisons


def test_counts_are_per_sample_and_side(desk: Desk, skipped: list[Comparison]) -> None:
    found = reported(desk.study)
    left, right, both, unclear = skipped
    expected: dict[int, list[int]] = {}
    for sample, column in (
        (left.left_id, 0),
        (right.right_id, 1),
        (both.left_id, 0),
        (both.right_id, 1),
        (unclear.left_id, 2),
        (unclear.right_id, 2),
    ):
        expected.setdefault(sample, [0, 0, 0])[column] += 1
    assert {
        sample: [one.broken["left"], one.broken["right"], one.skips["cannot_tell"]] for sample, one in found.items()
    } == expected
    weights = [one.weight for one in found.values()]
    assert weights == sorted(weights, reverse=True)


def test_owners_see_them_and_nobody_else(desk: Desk, owner: Client, skipped: list[Comparison]) -> None:
    page, program = reverse("rater_reports", args=["study"]), reverse("v1:reports", args=["study"])
    html = owner.get(page).content.decode()
    assert "Half is &lt;grey&gt;." in html
    assert "<dt>Pairs skipped</dt><dd>4</dd>" in html
    assert "the left side 2×, the right side 2×" in html
    rows = owner.get(program).json()["results"]
    assert len(rows) == len(reported(desk.study))
    assert sum(row["broken"]["left"] for row in rows) == 2
    assert all(row["shown"] >= 1 for row in rows)
    assert {"sample", "checkpoint", "prompt", "seed", "broken", "skips", "shown"} == set(rows[0])
    for role, status in ((Role.RATER, 403), (Role.VIEWER, 403), (Role.RESEARCHER, 403), (None, 404)):
        user = User.objects.create_user(f"a {role}")
        if role:
            Membership.objects.create(study=desk.study, user=user, role=role)
        client = Client()
        client.force_login(user)
        assert (client.get(page).status_code, client.get(program).status_code) == (status, status)


def test_programs_ask_for_those_of_a_contestant_a_prompt_or_broken_ones(
    desk: Desk, owner: Client, skipped: list[Comparison]
) -> None:
    program = reverse("v1:reports", args=["study"])
    rows = owner.get(program).json()["results"]
    one = rows[-1]
    for query, kept in (
        ({"checkpoint": one["checkpoint"]}, [row for row in rows if row["checkpoint"] == one["checkpoint"]]),
        ({"prompt": one["prompt"]}, [row for row in rows if row["prompt"] == one["prompt"]]),
        ({"broken": "true"}, [row for row in rows if any(row["broken"].values())]),
        ({"broken": "false"}, [row for row in rows if not any(row["broken"].values())]),
        ({"checkpoint": "nobody"}, []),
    ):
        assert owner.get(program, query).json()["results"] == kept


def test_a_study_without_any(desk: Desk, owner: Client) -> None:
    assert "Nothing was skipped" in owner.get(reverse("rater_reports", args=["study"])).content.decode()
    assert owner.get(reverse("v1:reports", args=["study"])).json()["results"] == []


def test_marks_and_comments_of_answers_that_stand(desk: Desk, owner: Client) -> None:
    desk.study.asks_region = desk.study.asks_comment = True
    desk.study.save()
    enrolment = desk.rater("ria")
    first, second = offer(desk, enrolment), None
    cast(first, "left", region=Region("right", 0.5, 0.25, 0.25, 0.5), comment="a <sixth> finger")
    second = offer(desk, enrolment)
    cast(second, "tie", comment="taken back")
    services.undo_last(rater=enrolment.rater, study=desk.study)
    (remark,) = remarks_of(desk.study)
    drawn = drawing(remark)
    assert (drawn["sample"], drawn["size"], drawn["inner"], drawn["corner"]) == (
        first.right,
        (48, 32),
        (48, 32),
        (0, 0),
    )
    assert drawn["rectangle"] == [24, 8, 12, 16]
    html = owner.get(reverse("rater_reports", args=["study"])).content.decode()
    assert "a &lt;sixth&gt; finger" in html
    assert "taken back" not in html
    assert f"Quality: <strong>{first.left_checkpoint}</strong>" in html
    assert 'x="24.0" y="8.0" width="12.0" height="16.0"' in html


def test_the_page_takes_few_queries(
    desk: Desk, owner: Client, skipped: list[Comparison], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(25):
        owner.get(reverse("rater_reports", args=["study"]))
