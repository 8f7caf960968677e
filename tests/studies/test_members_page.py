"""Members, invite links, and what happens to whoever opens one."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.models import Invite, Membership, Role, User
from tests.submitting import Scene

PASSWORD = "a pass phrase for tests"


@pytest.fixture(autouse=True)
def no_attempts_counted() -> None:
    cache.clear()


@pytest.fixture
def owner(scene: Scene) -> Client:
    client = Client()
    client.force_login(scene.ada)
    return client


def address(scene: Scene, name: str, *more: int) -> str:
    return reverse(name, args=[scene.study.slug, *more])


def role_of(scene: Scene, user: User) -> str:
    return scene.study.memberships.get(user=user).role


def link(scene: Scene, role: str, max_uses: int | None = None) -> str:
    _, token = services.create_invite(study=scene.study, role=role, actor=scene.ada, max_uses=max_uses)
    return reverse("join", args=[token])


def test_somebody_is_added_by_name_or_address_whatever_its_case(owner: Client, scene: Scene) -> None:
    User.objects.create_user("dee", "Dee@example.org")
    for who in (scene.cy.username.upper(), "dee@EXAMPLE.org"):
        page = owner.post(address(scene, "members"), {"who": who, "role": "viewer"}, follow=True)
        assert "is now a member" in page.text
    assert role_of(scene, scene.cy) == Role.VIEWER


def test_adding_twice_or_nobody_is_said_in_a_sentence(owner: Client, scene: Scene) -> None:
    form = {"who": scene.cy.username, "role": "viewer"}
    owner.post(address(scene, "members"), form)
    again = owner.post(address(scene, "members"), form)
    assert again.status_code == 409
    assert "is a member of this study already" in again.text
    nobody = owner.post(address(scene, "members"), {"who": "<script>x", "role": "viewer"})
    assert nobody.status_code == 422
    assert "Nobody here has the name or email “&lt;script&gt;x”" in nobody.text
    for name in ("one", "two"):
        User.objects.create_user(name, "shared@example.org")
    shared = owner.post(address(scene, "members"), {"who": "shared@example.org", "role": "viewer"})
    assert "More than one person" in shared.text


def test_a_role_is_changed_and_a_member_removed(owner: Client, scene: Scene) -> None:
    owner.post(address(scene, "member_role", scene.vera.pk), {"role": "researcher"})
    assert role_of(scene, scene.vera) == Role.RESEARCHER
    for _ in range(2):  # the second time she is gone already, which is what was wanted
        assert owner.post(address(scene, "member_remove", scene.vera.pk)).status_code == 302
    assert not scene.study.memberships.filter(user=scene.vera).exists()
    assert owner.post(address(scene, "member_role", scene.ben.pk), {"role": "emperor"}).status_code == 422


def test_the_last_owner_stays(owner: Client, scene: Scene) -> None:
    for deed, form in (("member_remove", {}), ("member_role", {"role": "viewer"})):
        response = owner.post(address(scene, deed, scene.ada.pk), form)
        assert response.status_code == 409
        assert "needs an owner" in response.text
    owner.post(address(scene, "member_role", scene.ben.pk), {"role": "owner"})
    response = owner.post(address(scene, "member_role", scene.ada.pk), {"role": "viewer"})
    assert response.headers["Location"] == reverse("studies")  # she may not see the members any more


def test_a_stranger_s_membership_cannot_be_touched_through_another_study(owner: Client, scene: Scene) -> None:
    other = services.create_study(slug="other", name="Other", actor=scene.cy)
    assert owner.post(address(scene, "member_role", scene.cy.pk), {"role": "viewer"}).status_code == 404
    invite, _ = services.create_invite(study=other, role=Role.RATER, actor=scene.cy)
    assert owner.post(address(scene, "invite_revoke", invite.pk)).status_code == 404


def test_a_link_is_shown_once_and_works_until_it_is_revoked(owner: Client, scene: Scene) -> None:
    form = {"role": "rater", "max_uses": "", "days": "7"}
    page = owner.post(address(scene, "invite_create"), form)
    found = re.search(r"http://testserver(/join/[\w-]+/)", page.text)
    assert found is not None
    assert "no-store" in page.headers["Cache-Control"]
    assert found[1] not in owner.get(address(scene, "members")).text
    invite = Invite.objects.get()
    assert invite.expires_at is not None
    assert timedelta(days=6) < invite.expires_at - timezone.now() <= timedelta(days=7)
    assert Client().get(found[1]).status_code == 200
    owner.post(address(scene, "invite_revoke", invite.pk))
    refused = Client().get(found[1])
    assert refused.status_code == 422
    assert "ask whoever sent it for a new one" in refused.text
    assert Client().post(found[1]).status_code == 422


def test_a_link_for_nobody_is_refused(owner: Client, scene: Scene) -> None:
    response = owner.post(address(scene, "invite_create"), {"role": "rater", "max_uses": "0", "days": "7"})
    assert response.status_code == 422
    assert not Invite.objects.exists()


def test_a_stranger_becomes_a_rater_by_one_button(scene: Scene) -> None:
    services.publish_study(study=scene.study, actor=scene.ada)
    path = link(scene, Role.RATER)
    visitor = Client()
    assert "Continue as a new rater" in visitor.get(path).text
    response = visitor.post(path)
    assert response.headers["Location"] == reverse("rate", args=[scene.study.slug])
    user = User.objects.get(username__startswith="rater-")
    assert not user.has_usable_password()
    assert role_of(scene, user) == Role.RATER
    visitor.post(path)  # pressed twice: she is signed in by now, and a member
    assert Invite.objects.get().uses == 1
    assert User.objects.filter(username__startswith="rater-").count() == 1


def test_a_stranger_may_choose_a_name(scene: Scene) -> None:
    path = link(scene, Role.RATER)
    form = {"username": "mona", "password1": PASSWORD, "password2": PASSWORD, "email": "mona@example.org"}
    Client().post(path, form)
    mona = User.objects.get(username="mona")
    assert mona.email == "mona@example.org"
    assert mona.check_password(PASSWORD)
    taken = Client().post(link(scene, Role.RATER), form)
    assert taken.status_code == 422
    assert "already exists" in taken.text


def test_more_than_a_rater_needs_a_name_and_a_password(scene: Scene) -> None:
    path = link(scene, Role.RESEARCHER)
    assert "Continue as a new rater" not in Client().get(path).text
    assert Client().post(path).status_code == 422
    assert Client().post(path, {"username": "mona", "password1": "x", "password2": "x"}).status_code == 422
    assert not User.objects.filter(username="mona").exists()
    visitor = Client()
    response = visitor.post(path, {"username": "mona", "password1": PASSWORD, "password2": PASSWORD})
    assert response.headers["Location"] == reverse("study", args=[scene.study.slug])
    assert role_of(scene, User.objects.get(username="mona")) == Role.RESEARCHER


def test_a_signed_in_person_confirms_and_keeps_a_stronger_role(scene: Scene) -> None:
    path = link(scene, Role.RATER)
    visitor = Client()
    visitor.force_login(scene.cy)
    assert not Membership.objects.filter(user=scene.cy).exists()
    assert "Join the study" in visitor.get(path).text
    assert not Membership.objects.filter(user=scene.cy).exists()  # opening a link joins nothing
    visitor.post(path)
    assert role_of(scene, scene.cy) == Role.RATER
    visitor.force_login(scene.ben)
    assert "You are researcher of this study already" in visitor.get(path).text
    visitor.post(path)
    assert role_of(scene, scene.ben) == Role.RESEARCHER
    assert Invite.objects.get().uses == 1


def test_a_link_for_one_lets_one_in(scene: Scene) -> None:
    path = link(scene, Role.RATER, max_uses=1)
    assert Client().post(path).status_code == 302
    late = Client().post(path)
    assert late.status_code == 422
    assert User.objects.filter(username__startswith="rater-").count() == 1


def test_accounts_are_not_made_without_end(scene: Scene) -> None:
    path = link(scene, Role.RATER)
    answers = [Client().post(path).status_code for _ in range(30)]
    assert 429 in answers
    assert User.objects.filter(username__startswith="rater-").count() == answers.count(302) < 30
