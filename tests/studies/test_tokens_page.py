"""A person's own API tokens."""

import re
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.models import ApiToken
from tests.submitting import Scene

FORM = {"name": "cluster", "scope": "submit", "study": "", "days": "30"}


def browser(scene: Scene, who: str = "ben") -> Client:
    client = Client()
    client.force_login(getattr(scene, who))
    return client


def test_a_token_is_shown_once_and_opens_the_api(scene: Scene) -> None:
    client = browser(scene)
    page = client.post(reverse("tokens"), FORM | {"study": scene.study.slug})
    secret = re.search(r'id="secret">(\w+)<', page.text)
    assert secret is not None
    assert "no-store" in page.headers["Cache-Control"]
    assert secret[1] not in client.get(reverse("tokens")).text
    token = ApiToken.objects.get()
    assert (token.user, token.study, token.scope) == (scene.ben, scene.study, "submit")
    assert token.expiry is not None
    assert timedelta(days=29) < token.expiry - timezone.now() <= timedelta(days=30)


def test_the_form_sent_twice_makes_one_token(scene: Scene) -> None:
    client = browser(scene)
    client.post(reverse("tokens"), FORM)
    again = client.post(reverse("tokens"), FORM)
    assert again.status_code == 409
    assert "already have a token called “cluster”" in again.text
    assert ApiToken.objects.count() == 1


def test_a_token_for_somebody_else_s_study_is_refused(scene: Scene) -> None:
    other = services.create_study(slug="other", name="Not for Ben", actor=scene.cy)
    client = browser(scene)
    assert "Not for Ben" not in client.get(reverse("tokens")).text
    assert client.post(reverse("tokens"), FORM | {"study": other.slug}).status_code == 422
    assert browser(scene, "ria").post(reverse("tokens"), FORM | {"study": scene.study.slug}).status_code == 422
    assert not ApiToken.objects.exists()


def test_a_token_is_revoked_by_its_owner_only(scene: Scene) -> None:
    token, _ = services.create_token(user=scene.ben, name="cluster")
    form = {"token": token.pk}
    assert browser(scene, "ada").post(reverse("token_revoke"), form).status_code == 404
    for nothing in ({}, {"token": "a\0b"}, {"token": "no such token"}):
        assert browser(scene).post(reverse("token_revoke"), nothing).status_code == 404
    assert ApiToken.objects.exists()
    assert "is revoked" in browser(scene).post(reverse("token_revoke"), form, follow=True).text
    assert not ApiToken.objects.exists()


def test_names_are_shown_as_text_and_old_tokens_as_expired(scene: Scene) -> None:
    services.create_token(user=scene.ben, name="<script>alert(1)</script>", expiry=timedelta(seconds=-1))
    text = browser(scene).get(reverse("tokens")).text
    assert "<script>alert" not in text
    assert "Expired" in text
