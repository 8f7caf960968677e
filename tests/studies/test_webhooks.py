"""What happens is told: signed, once it is committed, again when nobody answers, and not to our own network."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from evalhub.problems import Conflict, Refusal
from evalhub.studies import outgoing
from evalhub.studies.models import (
    CallState,
    ClosedBecause,
    Event,
    LogEntry,
    Membership,
    Role,
    Study,
    StudyState,
    User,
    Webhook,
    WebhookCall,
)
from evalhub.studies.services import close_study, webhooks

ALL = [event.value for event in (Event.SUBMISSION_COMPLETE, Event.RUN_DONE, Event.FIT_CHANGED, Event.STUDY_CLOSED)]


@dataclass
class Receiver:
    """A server that keeps what it was sent, and answers as told."""

    address: str
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    location: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(heard.status)
            if heard.location:
                self.send_header("Location", heard.location)
            self.end_headers()
            self.wfile.write(b"heard it\0" * 1_000)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests say enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Receiver(f"http://127.0.0.1:{server.server_port}/hook?a=b")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield heard
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner", password="a-long-password")


@pytest.fixture
def study(owner: User) -> Study:
    study = Study.objects.create(slug="study", name="Sharper", state=StudyState.OPEN)
    Membership.objects.create(study=study, user=owner, role=Role.OWNER)
    return study


@pytest.fixture
def webhook(study: Study, owner: User, receiver: Receiver, settings: Settings) -> Webhook:
    settings.WEBHOOKS_MAY_REACH = ["127.0.0.0/8"]
    return webhooks.create_webhook(study=study, actor=owner, address=receiver.address, events=ALL)


class TestTelling:
    def test_a_closed_study_is_told_signed(
        self,
        study: Study,
        webhook: Webhook,
        receiver: Receiver,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks() as rung:
            close_study(study=study, because=ClosedBecause.BUDGET, answers=500)
        assert len(rung) == 1
        call = webhooks.attempt(call_id=WebhookCall.objects.get().pk)
        assert call is not None
        assert (call.state, call.status, call.attempts) == (CallState.DONE, 200, 1)
        ((headers, body),) = receiver.heard
        told = json.loads(body)
        assert (told["type"], told["study"]) == ("study.closed", "study")
        assert told["data"] == {"closed_because": "budget", "answers_at_closing": 500}
        assert headers["webhook-id"] == told["id"] == str(call.pk)
        # As https://www.standardwebhooks.com has its receivers check it.
        key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60

    def test_only_what_was_asked_for_is_told_and_nothing_while_paused(
        self, study: Study, webhook: Webhook, owner: User
    ) -> None:
        Webhook.objects.filter(pk=webhook.pk).update(events=["run.done"])
        webhooks.announce(study=study, event=Event.STUDY_CLOSED, data={})
        assert not WebhookCall.objects.exists()
        webhooks.pause_webhook(webhook=webhook, actor=owner, paused=True)
        webhooks.announce(study=study, event=Event.RUN_DONE, data={})
        assert not WebhookCall.objects.exists()
        webhooks.pause_webhook(webhook=webhook, actor=owner, paused=False)
        webhooks.announce(study=study, event=Event.RUN_DONE, data={})
        assert WebhookCall.objects.count() == 1

    def test_a_rolled_back_event_is_never_told(
        self,
        study: Study,
        webhook: Webhook,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks() as rung, transaction.atomic():
            webhooks.announce(study=study, event=Event.STUDY_CLOSED, data={})
            transaction.set_rollback(True)
        assert not rung
        assert not WebhookCall.objects.exists()


class TestTryingAgain:
    def test_a_failure_is_tried_again_later_and_given_up_in_the_end(self, webhook: Webhook, receiver: Receiver) -> None:
        receiver.status = 500
        call = webhooks.ping(webhook=webhook)
        for attempts, pause in enumerate([*webhooks.PAUSES, None], start=1):
            tried = webhooks.attempt(call_id=call.pk)
            assert tried is not None
            assert (tried.attempts, tried.status) == (attempts, 500)
            if pause is None:
                assert tried.state == CallState.FAILED
                break
            assert tried.state == CallState.WAITING
            assert tried.next_at - timezone.now() == pytest.approx(pause, abs=timedelta(seconds=5))
            assert webhooks.attempt(call_id=call.pk) is None  # it is not due
            assert call.pk not in webhooks.calls_due()
            WebhookCall.objects.filter(pk=call.pk).update(next_at=timezone.now())
            assert call.pk in webhooks.calls_due()
        assert len(receiver.heard) == len(webhooks.PAUSES) + 1
        assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
        receiver.status = 204
        webhooks.send_again(call=call)
        tried = webhooks.attempt(call_id=call.pk)
        assert tried is not None
        assert tried.state == CallState.DONE

    def test_a_worker_that_died_on_the_way_does_not_stop_it(self, webhook: Webhook) -> None:
        call = webhooks.ping(webhook=webhook)
        WebhookCall.objects.filter(pk=call.pk).update(attempts=1, next_at=timezone.now() + webhooks.UNDER_WAY)
        assert webhooks.attempt(call_id=call.pk) is None
        WebhookCall.objects.filter(pk=call.pk).update(next_at=timezone.now())
        assert webhooks.calls_due() == [call.pk]

    def test_what_it_answered_is_kept_short_and_harmless(self, webhook: Webhook) -> None:
        call = webhooks.attempt(call_id=webhooks.ping(webhook=webhook).pk)
        assert call is not None
        assert call.said.startswith("heard it")
        assert len(call.said) <= 500
        assert "\0" not in call.said

    def test_nobody_at_home_is_a_sentence(self, webhook: Webhook, settings: Settings) -> None:
        Webhook.objects.filter(pk=webhook.pk).update(address="http://127.0.0.1:9/")
        call = webhooks.attempt(call_id=webhooks.ping(webhook=webhook).pk)
        assert call is not None
        assert call.status is None
        assert call.said.startswith("ConnectError")

    def test_old_calls_are_forgotten(self, webhook: Webhook) -> None:
        ended, waiting = webhooks.ping(webhook=webhook), webhooks.ping(webhook=webhook)
        webhooks.attempt(call_id=ended.pk)
        long_ago = timezone.now() - webhooks.KEPT - timedelta(days=1)
        WebhookCall.objects.filter(pk=ended.pk).update(ended_at=long_ago)
        assert webhooks.forget_old_calls() == 1
        assert WebhookCall.objects.get() == waiting


class TestWhereItGoes:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ],
    )
    def test_private_addresses_are_none_of_the_public_internet(self, address: str) -> None:
        assert not outgoing.is_public(ip_address(address))

    @pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
    def test_others_are(self, address: str) -> None:
        assert outgoing.is_public(ip_address(address))

    @pytest.mark.parametrize(
        ("address", "says"),
        [
            ("https://127.0.0.1/hook", "not an address of the public internet"),
            ("https://localhost/hook", "not an address of the public internet"),
            ("https://2130706433/", "not an address of the public internet"),
            ("https://0x7f.1/", "not an address of the public internet"),
            ("https://[::1]/", "not an address of the public internet"),
            ("http://8.8.8.8/", "begins with https"),
            ("ftp://8.8.8.8/", "begins with https"),
            ("https://user:secret@8.8.8.8/", "holds no name or password"),
            ("https://8.8.8.8:99999/", "A port is a number"),
            ("https://no-such-host.invalid/", "No address is known"),
            ("https:///nothing", "begins with https"),
        ],
    )
    def test_the_own_network_and_nonsense_are_refused(self, study: Study, owner: User, address: str, says: str) -> None:
        with pytest.raises(Refusal, match=says):
            webhooks.create_webhook(study=study, actor=owner, address=address, events=ALL)
        assert not Webhook.objects.exists()

    def test_a_name_that_has_moved_into_our_network_is_not_called(
        self, webhook: Webhook, receiver: Receiver, settings: Settings
    ) -> None:
        settings.WEBHOOKS_MAY_REACH = []
        call = webhooks.attempt(call_id=webhooks.ping(webhook=webhook).pk)
        assert call is not None
        assert (call.status, call.state) == (None, CallState.WAITING)
        assert "https://" in call.said
        assert not receiver.heard

    def test_redirections_are_not_followed(self, webhook: Webhook, receiver: Receiver) -> None:
        receiver.status, receiver.location = 302, receiver.address
        call = webhooks.attempt(call_id=webhooks.ping(webhook=webhook).pk)
        assert call is not None
        assert call.status == 302
        assert len(receiver.heard) == 1

    def test_the_host_that_was_named_is_the_host_that_is_asked_for(self, webhook: Webhook, receiver: Receiver) -> None:
        Webhook.objects.filter(pk=webhook.pk).update(address=receiver.address.replace("127.0.0.1", "localhost"))
        webhooks.attempt(call_id=webhooks.ping(webhook=webhook).pk)
        ((headers, _),) = receiver.heard
        assert headers["host"].startswith("localhost:")


class TestDoors:
    def test_owners_add_try_pause_and_remove_by_the_api(
        self, study: Study, client: Client, owner: User, receiver: Receiver, settings: Settings
    ) -> None:
        settings.WEBHOOKS_MAY_REACH = ["127.0.0.1"]
        client.force_login(owner)
        root = "/api/v1/studies/study/webhooks/"
        asked = {"address": receiver.address, "events": ["run.done"]}
        made = client.post(root, asked, content_type="application/json")
        assert made.status_code == 201
        assert made.json()["secret"].startswith("whsec_")
        assert "secret" not in client.get(root).json()["results"][0]
        again = client.post(root, asked, content_type="application/json")
        assert again.status_code == 409
        one = f"{root}{made.json()['id']}/"
        assert client.post(f"{one}ping/").status_code == 201
        calls = client.get(f"{one}calls/").json()
        assert [call["event"] for call in calls["results"]] == ["ping"]
        paused = client.patch(one, {"paused": True}, content_type="application/json")
        assert paused.json()["paused_at"]
        assert client.delete(one).status_code == 204
        assert client.get(root).json()["results"] == []
        verbs = set(LogEntry.objects.filter(study=study).values_list("verb", flat=True))
        assert {"added webhook", "paused webhook", "removed webhook"} <= verbs

    def test_the_page_does_the_same_and_shows_the_secret_once(
        self, study: Study, client: Client, owner: User, receiver: Receiver, settings: Settings
    ) -> None:
        settings.WEBHOOKS_MAY_REACH = ["127.0.0.1"]
        client.force_login(owner)
        page = client.post("/studies/study/webhooks/", {"address": receiver.address, "events": ["fit.changed"]})
        webhook = Webhook.objects.get()
        assert webhook.secret in page.content.decode()
        assert webhook.secret not in client.get("/studies/study/webhooks/").content.decode()
        one = f"/studies/study/webhooks/{webhook.pk}/"
        client.post(one, {"do": "ping"})
        assert WebhookCall.objects.get().event == "ping"
        client.post(one, {"do": "pause"})
        assert Webhook.objects.get().paused_at
        client.post(one, {"do": "remove"})
        assert not Webhook.objects.exists()
        refused = client.post("/studies/study/webhooks/", {"address": "https://10.0.0.1/", "events": ["fit.changed"]})
        assert refused.status_code == 422
        assert "not an address of the public internet" in refused.content.decode()

    def test_researchers_and_strangers_see_nothing(self, study: Study, client: Client) -> None:
        researcher = User.objects.create_user("researcher")
        Membership.objects.create(study=study, user=researcher, role=Role.RESEARCHER)
        client.force_login(researcher)
        assert client.get("/api/v1/studies/study/webhooks/").status_code == 403
        assert client.get("/studies/study/webhooks/").status_code == 403
        client.force_login(User.objects.create_user("stranger"))
        assert client.get("/api/v1/studies/study/webhooks/").status_code == 404

    def test_a_study_has_so_many(self, study: Study, owner: User, settings: Settings) -> None:
        settings.WEBHOOKS_MAY_REACH = ["127.0.0.1"]
        for number in range(webhooks.MOST_WEBHOOKS):
            webhooks.create_webhook(study=study, actor=owner, address=f"http://127.0.0.1/{number}", events=ALL)
        with pytest.raises(Conflict, match="at most"):
            webhooks.create_webhook(study=study, actor=owner, address="http://127.0.0.1/more", events=ALL)
