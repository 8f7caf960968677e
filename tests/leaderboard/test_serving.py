"""Serving is constant in votes: a page reads frozen rows, and of the votes at most the few that no fit has seen."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evalhub.leaderboard.services import find_agreement
from evalhub.leaderboard.tables import MOST_WAITING
from evalhub.studies.models import Membership, Role, Study, User
from raters.services import refit
from tests.benchmarks._filled import filled_study

PAGE = "/studies/filled/"
ADDRESSES = [
    PAGE,
    f"{PAGE}?raters=people",
    f"{PAGE}?sort=name&columns=rating,next",
    *(f"{PAGE}leaderboard/{section}/" for section in ("head-to-head", "training", "cost", "metrics", "history")),
    *(f"{PAGE}leaderboard.{kind}" for kind in ("csv", "json", "parquet", "tex", "svg", "png")),
    f"{PAGE}leaderboard/history.csv",
    f"{PAGE}leaderboard/head-to-head.svg",
    "/api/v1/studies/filled/leaderboard/",
    "/api/v1/studies/filled/leaderboard/head-to-head/",
    "/api/v1/studies/filled/leaderboard/curves/",
]
VOTES = 8_000


@pytest.fixture
def study(client: Client, db: None) -> Study:
    """A study with 8,000 votes and two rankings of all of them."""
    study = filled_study("filled", VOTES, contestants=6, prompts=40, raters=100)
    for _ in range(2):
        refit(study=study)
    find_agreement(study=study)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE raters_vote, raters_comparison, raters_fit, raters_rating")
    user = User.objects.create_user("vera")
    Membership.objects.create(study=study, user=user, role=Role.VIEWER)
    client.force_login(user)
    return study


def plans(queries: CaptureQueriesContext) -> list[tuple[str, dict[str, Any]]]:
    """How PostgreSQL did each query again, with the rows that it really read."""
    found = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if query["sql"].startswith("SELECT") and "raters_" in query["sql"]:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"])
                plan = cursor.fetchone()
                assert plan is not None
                content = json.loads(plan[0]) if isinstance(plan[0], str) else plan[0]
                found.append((query["sql"], content[0]["Plan"]))
    return found


def votes_read(plan: dict[str, Any]) -> int:
    """Rows that the nodes over votes and comparisons went through, filtered ones included."""
    own = 0
    if plan.get("Relation Name") in {"raters_vote", "raters_comparison"}:
        rows = (
            plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        )
        own = int(rows * plan["Actual Loops"])
    return own + sum(votes_read(part) for part in plan.get("Plans", []))


def test_no_query_goes_through_the_votes(study: Study, client: Client) -> None:
    for address in ADDRESSES:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200, address
        assert len(queries) < 30, address
        for sql, plan in plans(queries):
            assert votes_read(plan) == 0, f"{address}: {sql}"


def test_of_the_votes_that_no_ranking_has_seen_it_counts_only_so_many(study: Study, client: Client) -> None:
    study.fits.update(cut_off=0)
    with CaptureQueriesContext(connection) as queries:
        page = client.get(PAGE).content.decode()
    assert f"More than {MOST_WAITING:,} new votes" in page
    assert sum(votes_read(plan) for _, plan in plans(queries)) <= MOST_WAITING
