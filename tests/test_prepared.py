"""Statements composed and planned once find what their querysets find."""

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evalhub.prepared import Prepared, Slot, Statement, any_of
from evalhub.studies.models import LogEntry, Membership, Role, Study, User

pytestmark = pytest.mark.django_db


def study(slug: str) -> Study:
    return Study.objects.create(slug=slug, name=f"100 % of {slug}", reason_tags=["text", "anatomy"])


def test_objects_come_whole_with_what_is_joined() -> None:
    ria = User.objects.create_user("ria")
    made = [Membership.objects.create(study=study(slug), user=ria, role=Role.RATER) for slug in ("one", "two")]
    named = Prepared(
        lambda: Membership.objects.select_related("study", "user").filter(
            study__slug=Slot("slug"), user=Slot("user"), role=Role.RATER, study__name__contains="100 %"
        )
    )
    assert named(slug="one", user=ria.pk) == [made[0]]
    found = named.first(slug="two", user=ria.pk)
    assert found is not None
    with CaptureQueriesContext(connection) as asked:
        assert (found.study.reason_tags, found.user.username) == (["text", "anatomy"], "ria")
    assert len(asked) == 0
    assert named.first(slug="two' OR '1'='1", user=ria.pk) is None


def test_lists_values_and_columns_that_are_converted() -> None:
    first, second = study("one"), study("two")
    LogEntry.write(study=first, actor=None, verb="set questions", subject=first, before=[1], after=["2"])
    slugs = Prepared(lambda: Study.objects.filter(pk__in=any_of("ids", "uuid")).order_by("slug").values_list("slug"))
    assert slugs(ids=[first.pk, second.pk]) == [("one",), ("two",)]
    assert slugs(ids=[]) == []
    (entry,) = Prepared(lambda: LogEntry.objects.filter(study=Slot("study")))(study=first.pk)
    kept = LogEntry.objects.get()
    assert all(
        getattr(entry, field.attname) == getattr(kept, field.attname) for field in LogEntry._meta.concrete_fields
    )


def test_it_is_composed_once_and_planned_once_in_each_connection() -> None:
    asked = []

    def compose() -> QuerySet[Study]:
        asked.append(1)
        return Study.objects.filter(slug=Slot("slug"))

    found = Prepared(compose)
    with CaptureQueriesContext(connection) as sent:
        for _ in range(3):
            assert found(slug="none") == []
    assert asked == [1]
    assert [query["sql"].split()[0] for query in sent] == ["PREPARE", "EXECUTE", "EXECUTE", "EXECUTE"]


def test_a_statement_takes_its_values_by_name_and_as_often_as_it_says() -> None:
    one = study("one")
    statement = Statement("SELECT slug, %(slug)s::text FROM studies_study WHERE id = %(id)s AND slug = %(slug)s")
    assert statement(slug="one", id=one.pk) == [("one", "one")]
    assert Statement("SELECT 1")() == [(1,)]
    assert Statement("DELETE FROM studies_study WHERE slug = %(slug)s")(slug="one") == []
    assert not Study.objects.exists()


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="slug"):
        Prepared(lambda: Study.objects.filter(slug=Slot("slug")))()


class TestSessions:
    def test_signing_out_ends_the_session_everywhere_at_once(self, client: Client) -> None:
        client.force_login(User.objects.create_user("ria", password="a-long-password"))
        other = Client()
        other.cookies = client.cookies.__class__(client.cookies.output(header=""))
        assert client.get("/studies/").status_code == other.get("/studies/").status_code == 200
        client.post("/accounts/logout/")
        assert not Session.objects.exists()
        assert other.get("/studies/").status_code == 302

    def test_so_do_a_changed_password_a_deactivated_account_and_time(self) -> None:
        ria = User.objects.create_user("ria", password="a-long-password")
        clients = [Client(), Client()]
        for client in clients:
            client.force_login(ria)
            assert client.get("/studies/").status_code == 200
        ria.set_password("another-password")
        ria.save()
        assert clients[0].get("/studies/").status_code == 302
        clients[0].force_login(ria)
        User.objects.update(is_active=False)
        assert clients[0].get("/studies/").status_code == 302
        User.objects.update(is_active=True)
        clients[1].force_login(ria)
        assert clients[1].get("/studies/").status_code == 200
        Session.objects.update(expire_date="2020-01-01T00:00Z")
        assert clients[1].get("/studies/").status_code == 302
