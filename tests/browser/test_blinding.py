"""Every byte that reaches a rater's browser through a whole session, searched for anything that names a contestant."""

import base64
import json
import re
import select
import socket
import socketserver
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, Sample, User
from raters import services
from raters.models import Comparison, PresentationCopy
from tests.browser.rating import desk, press, revealed, site
from tests.raters.conftest import Desk, make_desk, noise, png, store
from tests.raters.disguises import png_of_a_generator

__all__ = ["desk", "site"]  # fixtures

NAMES = ["Nightjar", "Kestrel", "Bittern"]
# Where ids begin, so that finding one is no accident.
FIRST_ID = 718_293_645


class Wire(socketserver.ThreadingTCPServer):
    """A relay between browser and server that keeps every byte of both directions."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.streams: list[bytearray] = []
        super().__init__(("127.0.0.1", 0), Relay)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Relay(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        heard, said = bytearray(), bytearray()
        self.server.streams += [heard, said]
        with socket.create_connection(self.server.server) as onwards:
            ways = {self.request: (onwards, said), onwards: (self.request, heard)}
            while True:
                for source in select.select(list(ways), [], [], 60)[0]:
                    target, kept = ways[source]
                    data = source.recv(65536)
                    if not data:
                        return
                    kept += data
                    target.sendall(data)


@dataclass
class Capture:
    """What reached a browser, left it, or stayed in it; each piece under where it was seen."""

    seen: dict[str, bytes] = field(default_factory=dict)

    def note(self, where: str, what: str | bytes) -> None:
        self.seen[f"{len(self.seen)} {where}"] = what.encode() if isinstance(what, str) else what

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.note("console", message.text + json.dumps(message.location)))
        page.on("pageerror", lambda error: self.note("uncaught error", str(error)))

    def keep(self, page: Page) -> None:
        """What is in the browser now."""
        self.note("document", page.content())
        self.note("cookies", json.dumps(page.context.cookies()))
        self.note("kept in the browser", page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])"))

    def holding(self, secrets: dict[str, str]) -> list[str]:
        """Which secrets were seen where, in any of the forms that bytes travel in."""
        return [
            f"{what} in {where}"
            for what, secret in secrets.items()
            for form in _forms(secret)
            for where, content in self.seen.items()
            if form in content.lower()
        ]


def _forms(secret: str) -> set[bytes]:
    """The secret as it is, escaped, in hexadecimal and inside of a base64 text, in lower case."""
    plain = secret.encode()
    forms = {plain, quote(secret).encode(), plain.hex().encode()}
    if re.fullmatch(r"[0-9a-f-]{36}", secret):
        plain = uuid.UUID(secret).bytes
        forms |= {plain.hex().encode(), plain}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + plain)
        inner = encoded[4 if offset else 0 : (offset + len(plain)) // 3 * 4]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {form.lower() for form in forms if len(form) >= 6}


def secrets_of(desk: Desk) -> dict[str, str]:
    found: dict[str, str] = {}
    for checkpoint in desk.checkpoints:
        found[f"name of {checkpoint}"] = checkpoint.name.lower()
        found[f"family of {checkpoint}"] = checkpoint.family.lower()
        found[f"step of {checkpoint}"] = str(checkpoint.step)
        found[f"id of {checkpoint}"] = str(checkpoint.pk)
        found[f"submission of {checkpoint}"] = str(checkpoint.submission.pk)
    for sample in Sample.objects.filter(checkpoint__in=desk.checkpoints).select_related("media"):
        found[f"id of {sample}"] = str(sample.pk)
        found[f"media of {sample}"] = str(sample.media.pk)
        found[f"hash of {sample}"] = sample.media.sha256
        found[f"start of the hash of {sample}"] = sample.media.sha256[:12]
    for copy in PresentationCopy.objects.all():
        found[f"copy {copy.pk}"] = str(copy.pk)
        found[f"path of copy {copy.pk}"] = copy.path
    for comparison in Comparison.objects.all():
        found[f"comparison {comparison.pk}"] = str(comparison.pk)
    found["the study's id"] = str(desk.study.pk)
    found["a storage folder"] = "studies/" + str(desk.study.pk)[:8]
    for prompt in desk.prompts:
        found[f"key of {prompt}"] = prompt.key
        for media in (prompt.source, prompt.mask, prompt.reference):
            if media is not None:
                found[f"id of {media}"], found[f"hash of {media}"] = str(media.pk), media.sha256
    return found


@pytest.fixture
def named(site: str) -> Desk:
    """A study whose every truth is a word or number that cannot be met by accident."""
    with connection.cursor() as cursor:
        for number, table in enumerate(
            ("studies_sample", "studies_media", "raters_presentationcopy", "raters_comparison", "raters_vote")
        ):
            first = FIRST_ID + number * 1_000_000
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {first})")
    desk = make_desk(prompts=4, votes_per_rater=7)
    for number, prompt in enumerate(desk.prompts):
        prompt.key = f"promptkey-{number}-quillwort"
        prompt.save()
    for number, name in enumerate(NAMES):
        # Each file names its maker in a C2PA manifest, XMP, EXIF and text; the second prompt's are shown in tiles.
        checkpoint = desk.contestant(
            name, lambda place, maker: noise(place, maker).resize((4200, 70) if place == 1 else (48, 32))
        )
        for sample in checkpoint.samples.select_related("media"):
            sign(sample, name)
        checkpoint.family, checkpoint.step = f"family-{name}", 30_517_000 + number
        checkpoint.save()
    editing = desk.prompts[0]
    for given, colour in (("source", 20), ("mask", 30), ("reference", 40)):
        setattr(editing, given, store(desk.study, png(noise(colour, 5)), "png"))
    editing.save()
    services.prepare_presentation(study=desk.study)
    return desk


def sign(sample: Sample, name: str) -> None:
    """Put in the place of a sample's file the same picture as its generator would have written it."""
    with default_storage.open(sample.media.path) as file, Image.open(file) as picture:
        content = png_of_a_generator(picture.convert("RGB"), f"{name} generator")
    sample.media = store(sample.media.study, content, "png")
    sample.save()


@pytest.fixture
def wire(live_server: LiveServer) -> Iterator[Wire]:
    with Wire((live_server.thread.host, live_server.thread.port)) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        yield relay
        relay.shutdown()


def test_nothing_that_reaches_a_rater_names_a_contestant(named: Desk, wire: Wire, page: Page) -> None:
    user = User.objects.create_user("ria", password="wide-awake-and-blind")
    Membership.objects.create(study=named.study, user=user, role=Role.RATER)
    capture = Capture()
    capture.listen(page)
    page.goto(f"{wire.url}/studies/")
    page.get_by_label("Username").fill("ria")
    page.get_by_label("Password", exact=True).fill("wide-awake-and-blind")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Start comparing").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Begin").click()
    for key in ("ArrowLeft", "ArrowRight", "t", "b"):
        press(page, key)
        capture.keep(page)
    services.refit(study=named.study)
    page.keyboard.press("u")
    expect(page.get_by_text("3 of 7 done")).to_be_visible()
    revealed(page)
    page.reload()
    for key in ("ArrowLeft", "ArrowRight", "ArrowLeft"):
        press(page, key)
        capture.keep(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("You have answered 7 pairs")).to_be_visible()
    capture.keep(page)
    # Where she may not go, what is not there, and a study that is paused.
    named.study.state = "paused"
    named.study.save()
    for address in ("/rate/study/", "/studies/study/", "/studies/study/submissions/", "/shown/nothing"):
        page.goto(wire.url + address)
    page.context.request.get(f"{wire.url}/api/schema/")
    for number, stream in enumerate(wire.streams):
        capture.note(f"{'received' if number % 2 == 0 else 'sent'} on connection {number // 2}", bytes(stream))

    everything = b"".join(map(bytes, wire.streams))
    assert everything.count(b"GET /shown/") >= 14
    assert everything.count(b"POST /rate/study/vote/") == 8
    assert everything.count(b"VP8L") >= 14  # the pictures themselves went by
    secrets = secrets_of(named)
    assert len(secrets) > 80
    assert capture.holding(secrets) == []
    spoken = [content.decode() for where, content in capture.seen.items() if where.endswith(("console", "error"))]
    harmless = ("the server responded with a status of 40", "Autofocus processing was blocked")
    assert all(any(words in line for words in harmless) for line in spoken), spoken


def test_the_search_finds_what_is_there(named: Desk) -> None:
    """Each secret, in each form, is found when it is put there."""
    (checkpoint, *_) = named.checkpoints
    sample = checkpoint.samples.select_related("media").all()[0]
    for planted in (
        f'{{"checkpoint": "{checkpoint.pk}"}}'.encode(),
        b"key=" + checkpoint.pk.hex.encode(),
        b"token=" + base64.urlsafe_b64encode(checkpoint.pk.bytes),
        b"payload=" + base64.b64encode(b'{"name": "' + checkpoint.name.encode() + b'", "side": "left"}'),
        checkpoint.name.upper().encode(),
        f"/media/{sample.media.sha256[:16]}.png".encode(),
        f"sample-{sample.pk}".encode(),
    ):
        capture = Capture()
        capture.note("somewhere", b"before " + planted + b" after")
        assert capture.holding(secrets_of(named)), planted
    clean = Capture()
    clean.note("somewhere", f"nothing at {timezone.now()}")
    assert clean.holding(secrets_of(named)) == []
