"""What an administrator does with raters and votes."""

from django.test import Client

from evalhub.studies.models import LogEntry, User
from raters import services
from raters.models import Comparison, Vote
from tests.raters.conftest import Desk
from tests.raters.test_pages import BY_SCRIPT, form_of, page, ria

__all__ = ["ria"]  # a fixture


def test_an_administrator_excludes_a_rater_with_a_reason_and_lets_her_in_again(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    admin = Client()
    admin.force_login(User.objects.create_superuser("root"))
    address = f"/admin/raters/enrolment/{enrolment.pk}/change/"
    assert admin.get(address).status_code == 200
    for reason in ("Always answers left.", ""):
        assert admin.post(address, {"exclusion_reason": reason}).status_code == 302
        enrolment.refresh_from_db()
        assert enrolment.exclusion_reason == reason
        assert (enrolment.excluded_at is not None) == bool(reason)
    assert LogEntry.objects.filter(verb="excluded rater", actor__username="root").count() == 1


def test_an_administrator_reads_votes_and_changes_none(desk: Desk, ria: Client) -> None:
    form = form_of(page(ria))
    ria.post("/rate/study/vote/", {**form, "answer.quality": "left"}, headers=BY_SCRIPT)
    services.refit(study=desk.study)
    admin = Client()
    admin.force_login(User.objects.create_superuser("root"))
    for model in ("rater", "enrolment", "comparison", "vote", "fit"):
        assert admin.get(f"/admin/raters/{model}/").status_code == 200
    comparison = Comparison.objects.get(token=form["comparison"])
    html = admin.get(f"/admin/raters/comparison/{comparison.pk}/change/").content.decode()
    for token in (comparison.token, comparison.left_token, comparison.right_token):
        assert token not in html
    vote = Vote.objects.get()
    assert admin.post(f"/admin/raters/vote/{vote.pk}/change/", {"choice": "right"}).status_code == 403
    assert admin.post(f"/admin/raters/vote/{vote.pk}/delete/", {"post": "yes"}).status_code == 403
