"""Signing in by the organisation's own sign-in: the whole exchange, with a real provider on another port."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.test import Client
from oidc_provider_mock import User as Person
from oidc_provider_mock import run_server_in_thread
from pytest_django import Settings

from evalhub.studies.models import LogEntry, Membership, Role, Study, User

PEOPLE = [
    Person(sub="7", claims={"email": "grace@example.org", "email_verified": True, "preferred_username": "grace"}),
    Person(sub="8", claims={"email": "ada@example.org", "email_verified": False, "preferred_username": "ada"}),
    Person(sub="9", claims={"email": "ada@example.org", "email_verified": True, "preferred_username": "ada2"}),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with run_server_in_thread(user_claims=PEOPLE) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def named(provider: str, settings: Settings, db: None) -> str:
    """The site knows the provider, and somebody called ada has an account already."""
    settings.OIDC_SERVER_URL, settings.OIDC_NAME = provider, "Example & Sons"
    app: dict[str, Any] = {"provider_id": "oidc", "name": "Example", "client_id": "evalhub", "secret": "quiet"}
    app["settings"] = {"server_url": provider}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    User.objects.create_user("ada", email="ada@example.org", password="a-long-password")
    return provider


def come(client: Client, sub: str, *, then: str = "", action: str = "") -> Any:
    """From our button to the provider, through its form, and back."""
    begun = client.get("/accounts/oidc/oidc/login/" + (f"?next={then}" if then else ""))
    assert begun.status_code == 302
    answer = httpx.post(begun["Location"], data={"sub": sub, "action": action})
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def signed_in(client: Client) -> User | None:
    known = client.session.get("_auth_user_id")
    return User.objects.get(pk=known) if known else None


def test_the_button_is_there_where_a_provider_is(named: str, client: Client, settings: Settings) -> None:
    assert "Sign in by Example &amp; Sons" in client.get("/accounts/login/").content.decode()
    settings.OIDC_SERVER_URL = ""
    assert "Sign in by" not in client.get("/accounts/login/").content.decode()


def test_a_first_coming_makes_an_account_that_sees_nothing(named: str, client: Client) -> None:
    study = Study.objects.create(slug="secret", name="Secret")
    came = come(client, "7", then="/tokens/")
    assert came["Location"] == "/tokens/"
    user = signed_in(client)
    assert user is not None
    assert (user.username, user.email, user.has_usable_password()) == ("grace", "grace@example.org", False)
    assert not user.is_staff
    assert client.get("/studies/secret/").status_code == 404
    assert LogEntry.objects.filter(verb="came by single sign-on", subject="grace").exists()
    Membership.objects.create(study=study, user=user, role=Role.VIEWER)
    client.logout()
    come(client, "7")
    assert signed_in(client) == user
    assert client.get("/studies/secret/").status_code == 200


@pytest.mark.parametrize("sub", ["8", "9"])
def test_nobody_takes_an_account_over_by_a_name_or_an_address(named: str, client: Client, sub: str) -> None:
    ada = User.objects.get(username="ada")
    come(client, sub)
    assert signed_in(client) != ada
    ada.refresh_from_db()
    assert ada.check_password("a-long-password")


def test_a_verified_address_opens_its_account_where_the_operator_says_so(
    named: str, client: Client, settings: Settings
) -> None:
    trusting = {"EMAIL_AUTHENTICATION": True, "EMAIL_AUTHENTICATION_AUTO_CONNECT": True}
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"].update(trusting)
    come(client, "8")  # who says that the address is hers, and no more
    assert signed_in(client) != User.objects.get(username="ada")
    client.logout()
    come(client, "9")
    assert signed_in(client) == User.objects.get(username="ada")


def test_where_no_accounts_are_made_a_page_says_so(named: str, client: Client, settings: Settings) -> None:
    settings.OIDC_MAKES_ACCOUNTS = False
    came = come(client, "7")
    assert "You have no account here" in came.content.decode()
    assert signed_in(client) is None
    assert not User.objects.filter(username="grace").exists()


def test_a_refusal_and_a_forged_answer_are_pages(named: str, client: Client) -> None:
    assert "You are not signed in" in come(client, "7", action="deny").content.decode()
    forged = client.get("/accounts/oidc/oidc/login/callback/?code=abc&state=forged")
    assert "You are not signed in" in forged.content.decode()
    assert signed_in(client) is None


def test_a_provider_that_is_away_is_a_page(named: str, client: Client, settings: Settings) -> None:
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"] = {"server_url": "http://localhost:9"}
    answer = client.get("/accounts/oidc/oidc/login/")
    assert answer.status_code == 502
    assert "You are not signed in" in answer.content.decode()


def test_without_a_provider_there_is_no_such_page(db: None, client: Client) -> None:
    assert client.get("/accounts/oidc/oidc/login/").status_code == 404


@pytest.mark.parametrize("page", ["", "signup/", "login/cancelled/", "login/error/"])
def test_allauths_own_pages_are_ours_or_lead_to_the_sign_in(db: None, client: Client, page: str) -> None:
    answer = client.get(f"/accounts/sso/{page}")
    assert answer.status_code in {200, 302, 401}
    if answer.status_code == 302:
        assert answer["Location"].startswith("/accounts/login/")
    else:
        assert "<nav" in answer.content.decode() or "EvalHub" in answer.content.decode()
