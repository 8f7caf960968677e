"""Signing in, the first visit, passwords, the look, and what a stranger is told."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from evalhub.studies.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a pass phrase for tests"


@pytest.fixture(autouse=True)
def no_attempts_counted() -> None:
    cache.clear()


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", "ada@example.org", PASSWORD)


def test_the_first_visit_makes_the_administrator_and_signs_her_in(client: Client) -> None:
    assert client.get("/", follow=True).redirect_chain[-1][0] == reverse("setup")
    form = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    response = client.post(reverse("setup"), form, follow=True)
    assert User.objects.get().is_superuser
    assert "This site is yours" in response.text


def test_nobody_sets_a_site_up_twice(client: Client, ada: User) -> None:
    form = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}
    assert client.get(reverse("setup")).headers["Location"] == reverse("login")
    assert client.post(reverse("setup"), form).headers["Location"] == reverse("login")
    assert list(User.objects.all()) == [ada]
