"""Signing in, the first visit, passwords, the look, and what a visitor is told who is nobody here."""

import re
import threading
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.contrib.auth.forms import SetPasswordForm
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from evalhub.studies.models import User
from evalhub.studies.views.accounts import AttemptThrottle

PASSWORD = "a pass phrase for tests"


@pytest.fixture(autouse=True)
def no_attempts_counted() -> None:
    cache.clear()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.org", PASSWORD)


def set_up(client: Client, name: str) -> object:
    return client.post(reverse("setup"), {"username": name, "password1": PASSWORD, "password2": PASSWORD})


@pytest.mark.django_db
def test_the_first_visit_makes_the_administrator_and_signs_her_in(client: Client) -> None:
    assert client.get("/", follow=True).redirect_chain[-1][0] == reverse("setup")
    set_up(client, "ada")
    assert User.objects.get().is_superuser
    assert "This site is yours" in client.get(reverse("studies")).text


def test_nobody_sets_a_site_up_twice(client: Client, ada: User) -> None:
    assert client.get(reverse("setup")).headers["Location"] == reverse("login")
    set_up(client, "eve")
    assert list(User.objects.all()) == [ada]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_set_up_at_once_one_becomes_administrator() -> None:
    start = threading.Barrier(6)

    def visit(number: int) -> None:
        start.wait()
        set_up(Client(), f"first{number}")
        connection.close()

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_weak_password_sets_nothing_up(client: Client) -> None:
    response = client.post(reverse("setup"), {"username": "ada", "password1": "short", "password2": "short"})
    assert response.status_code == 422
    assert "at least 10 characters" in response.text
    assert not User.objects.exists()


def test_signing_in_and_out(client: Client, ada: User) -> None:
    response = client.post(reverse("login"), {"username": "ada", "password": PASSWORD, "next": reverse("tokens")})
    assert response.headers["Location"] == reverse("tokens")
    assert client.get(reverse("logout")).status_code == 405
    client.post(reverse("logout"))
    assert client.get(reverse("studies")).headers["Location"].startswith(reverse("login"))


def test_a_wrong_password_and_an_unknown_name_are_told_the_same(client: Client, ada: User) -> None:
    told = []
    for name in ("ada", "nobody"):
        response = client.post(reverse("login"), {"username": name, "password": "wrong"})
        assert response.status_code == 422
        told.append(re.findall("<p class=.notice bad.*?</p>", response.text))
    assert told[0] == told[1] != []


def test_sign_in_goes_nowhere_outside_the_site(client: Client, ada: User) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post(reverse("login"), form).headers["Location"] == reverse("studies")


def attempts_until_refused(name: str, address: str = "") -> int:
    for number in range(1, 100):
        # Each try from an address of its own, unless one is given: the account's own count must stop them too.
        client = Client(REMOTE_ADDR=address or f"10.0.0.{number}", headers={"X-Forwarded-For": f"192.0.2.{number}"})
        response = client.post(reverse("login"), {"username": name, "password": "wrong"})
        if response.status_code == 429:
            assert re.search(r"too many attempts .* wait \d+ seconds", response.text)
            return number
    raise AssertionError("The hundredth attempt was still let through.")


def test_guessing_is_stopped_per_account_and_per_address(ada: User) -> None:
    rate, _ = AttemptThrottle().parse_rate(AttemptThrottle().get_rate())
    assert rate
    assert attempts_until_refused("ada") == rate + 1
    response = Client(REMOTE_ADDR="10.9.9.9").post(reverse("login"), {"username": "ADA", "password": PASSWORD})
    assert response.status_code == 429
    cache.clear()
    assert attempts_until_refused("", address="10.1.1.1") == rate + 1


def test_the_administration_has_no_door_of_its_own(client: Client, ada: User) -> None:
    visit = client.get("/admin/", follow=True)
    assert visit.redirect_chain[-1][0] == reverse("login") + "?next=/admin/"
    assert client.post("/admin/login/", {"username": "ada", "password": PASSWORD}).status_code == 405
    client.force_login(ada)
    refused = client.get("/admin/", follow=True)
    assert refused.status_code == 403
    assert "site&#x27;s administrators" in refused.text
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/admin/").status_code == 200


def test_a_forgotten_password_is_reset_by_the_link_in_the_letter(client: Client, ada: User) -> None:
    response = client.post(reverse("password_reset"), {"email": "ADA@example.org"}, headers={"Host": "localhost"})
    assert response.headers["Location"] == reverse("password_reset_done")
    letter = mail.outbox[0]
    link = re.search(r"http\S+", str(letter.body))
    assert link is not None
    assert link[0].startswith(configured.SITE_URL)
    form_page = client.get(link[0].removeprefix(configured.SITE_URL), follow=True)
    assert isinstance(form_page.context["form"], SetPasswordForm)
    new = "another pass phrase"
    client.post(form_page.redirect_chain[-1][0], {"new_password1": new, "new_password2": new})
    assert client.login(username="ada", password=new)
    again = Client().get(link[0].removeprefix(configured.SITE_URL), follow=True)
    assert "no longer works" in again.text


def test_a_reset_tells_nobody_which_addresses_exist(client: Client, ada: User) -> None:
    known = client.post(reverse("password_reset"), {"email": "ada@example.org"}, follow=True)
    unknown = client.post(reverse("password_reset"), {"email": "eve@example.org"}, follow=True)
    tokens = re.compile(r'"X-CSRFToken": "\w+"')
    assert tokens.sub("", known.text) == tokens.sub("", unknown.text)
    assert len(mail.outbox) == 1


def test_without_a_mail_server_the_page_says_where_letters_go(
    client: Client, ada: User, settings: Settings, tmp_path: Path
) -> None:
    assert "no mail server" not in client.get(reverse("password_reset_done")).text
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path
    page = client.post(reverse("password_reset"), {"email": "ada@example.org"}, follow=True)
    assert "no mail server" in page.text
    assert "accounts/reset/" in next(tmp_path.iterdir()).read_text()


def test_changing_the_password_keeps_this_browser_signed_in(client: Client, ada: User) -> None:
    client.force_login(ada)
    other = Client()
    other.force_login(ada)
    new = "another pass phrase"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert "password is changed" in client.post(reverse("password_change"), form, follow=True).text
    assert other.get(reverse("studies")).status_code == 302


def test_the_chosen_look_is_in_the_page_itself(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert "data-theme" not in client.get(reverse("studies")).text
    back = client.post(reverse("theme"), {"theme": "dark", "next": reverse("tokens")})
    assert back.headers["Location"] == reverse("tokens")
    assert '<html lang="en" data-theme="dark">' in client.get(reverse("studies")).text
    client.post(reverse("theme"), {"theme": '"><script>', "next": "//evil.example"})
    assert "data-theme" not in client.get(reverse("studies")).text


def test_theme_goes_nowhere_outside_the_site(client: Client, ada: User) -> None:
    client.force_login(ada)
    for back in ("//evil.example/", "/\\evil.example/", "javascript:alert(1)", "login", "-1", "a\0b", ""):
        response = client.post(reverse("theme"), {"theme": "dark", "next": back})
        assert response.status_code == 302
        assert response.headers["Location"] == reverse("studies")


@pytest.mark.django_db
def test_a_page_that_is_not_there_offers_to_sign_in(client: Client) -> None:
    response = client.get("/studies/no/such/page/")
    assert response.status_code == 404
    assert "?next=/studies/no/such/page/" in response.text


def test_a_fault_shows_a_page_and_no_traceback(client: Client, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the inside of the house")

    monkeypatch.setattr("evalhub.studies.views.studies.visible_studies", fail)
    client.force_login(ada)
    client.raise_request_exception = False
    response = client.get(reverse("studies"))
    assert response.status_code == 500
    assert "Something broke here" in response.text
    assert "the inside of the house" not in response.text


@pytest.mark.parametrize(
    ("form", "body", "host"),
    [
        ("application/x-www-form-urlencoded; charset=utf-16", b"theme=dark", "testserver"),
        ("application/x-www-form-urlencoded", b"a=1&" * 20_001, "testserver"),
        ("multipart/form-data", b"no boundary", "testserver"),
        ("application/x-www-form-urlencoded", b"theme=dark", "another.example"),
    ],
)
def test_what_cannot_be_read_is_said_on_a_page(ada: User, form: str, body: bytes, host: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    strict.get(reverse("studies"))  # brings the cookie of the form token
    response = strict.post(reverse("theme"), body, content_type=form, headers={"Host": host})
    assert response.status_code == 400
    assert "This cannot be read" in response.text


def test_a_form_from_another_site_is_refused_with_a_page(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    response = strict.post(reverse("theme"), {"theme": "dark"})
    assert response.status_code == 403
    assert "out of date" in response.text
