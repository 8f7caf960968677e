"""Large files in pieces: where each begins, what is refused before a byte is read, and what several senders do."""

import io
import os
import threading
import time
from typing import Any

import pytest
from django.conf import settings as site
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.models import ManifestEntry, Media
from evalhub.studies.services import parts
from tests.api.test_submitting import manifest, post, problem, put, sha, signed
from tests.studies.test_storage_faults import room_for
from tests.submitting import Scene, make_scene, picture


@pytest.fixture
def big() -> bytes:
    return picture(7, size=(160, 120))


class Sender:
    """Ben, who sends pieces of one file."""

    def __init__(self, client: Client, scene: Scene, content: bytes) -> None:
        self.client, self.headers, self.content = client, signed(scene.ben), content
        self.files = {**scene.outputs(), "cat.png": content}
        self.submission = post(client, scene, manifest(self.files), self.headers).json()["id"]
        self.address = f"/api/v1/submissions/{self.submission}/files/{sha(content)}/"

    def piece(self, start: int, end: int, *, content: bytes | None = None, said: str = "", **more: Any) -> Any:
        body = (content or self.content)[start:end]
        headers = {**self.headers, "Content-Range": said or f"bytes {start}-{end - 1}/{len(self.content)}"}
        return self.client.put(self.address, body, content_type="application/octet-stream", headers=headers, **more)

    def finish(self) -> Any:
        headers = {**self.headers, "Content-Range": f"bytes */{len(self.content)}"}
        return self.client.put(
            self.address, b"", content_type="application/octet-stream", headers=headers, CONTENT_LENGTH="0"
        )

    def offset(self) -> int:
        answer = self.client.get(self.address, headers=self.headers)
        head = self.client.head(self.address, headers=self.headers)
        assert head["Upload-Offset"] == answer["Upload-Offset"] == str(answer.json()["offset"])
        return int(answer.json()["offset"])


@pytest.fixture
def sender(client: Client, scene: Scene, big: bytes) -> Sender:
    return Sender(client, scene, big)


def no_parts(submission: Any) -> bool:
    return not (site.UPLOAD_FOLDER / "parts" / str(submission)).exists()


def test_pieces_in_order_make_the_file(sender: Sender, scene: Scene, client: Client) -> None:
    size = len(sender.content)
    assert sender.offset() == 0
    first = sender.piece(0, 1000)
    assert (first.status_code, first.json()) == (202, {"offset": 1000, "size": size})
    again = post(client, scene, manifest(sender.files), sender.headers).json()
    assert {file["path"]: file["offset"] for file in again["missing"]} == {"cat.png": 1000, "dog.png": 0, "tree.png": 0}
    assert sender.piece(1000, 30_000).status_code == 202
    last = sender.piece(30_000, size)
    assert (last.status_code, last.json()["entries"]) == (200, [{"path": "cat.png", "state": "received"}])
    assert default_storage.open(Media.objects.get().path).read() == sender.content
    assert no_parts(sender.submission)
    assert sender.offset() == size
    assert sender.piece(0, 1000).status_code == 200  # it is here: nothing is read
    for path in ("dog.png", "tree.png"):
        done = put(client, sender.submission, sender.files[path], sender.headers)
    assert done.json()["submission"] == "complete"


@pytest.mark.parametrize(("start", "end"), [(0, 500), (500, 1500), (1200, 2000), (2000, 3000)])
def test_a_piece_that_begins_elsewhere_is_told_where_to_go_on(sender: Sender, start: int, end: int) -> None:
    sender.piece(0, 1000)
    answer = sender.piece(start, end)
    assert "1,000 bytes of this file are here; go on from there" in problem(answer, 409)
    assert answer.json()["offset"] == 1000
    assert sender.offset() == 1000


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("bytes 0-998/{size}", 400),
        ("bytes 0-1000/{size}", 400),
        ("bytes 10-5/{size}", 400),
        ("bytes 0-999/999", 400),
        ("bytes 0-999/1000", 422),
        ("bytes */{size}", 400),
        ("bytes 0-999/*", 400),
        ("bites 0-999/{size}", 400),
        ("bytes -1-999/{size}", 400),
        ("bytes 0-999/" + "9" * 40, 400),
        ("bytes ٠-٩٩٩/{size}", 400),
    ],
)
def test_a_range_that_lies(sender: Sender, said: str, status: int) -> None:
    problem(sender.piece(0, 1000, said=said.format(size=len(sender.content))), status)
    assert sender.offset() == 0


def test_wrong_bytes_are_found_at_the_end_and_the_file_begins_anew(sender: Sender) -> None:
    size = len(sender.content)
    sender.piece(0, 1000, content=b"x" * size)
    answer = sender.piece(1000, size)
    assert "arrived with the SHA-256" in problem(answer, 422)
    assert sender.offset() == 0
    assert no_parts(sender.submission)
    assert sender.piece(0, size).status_code == 200


def test_a_server_killed_before_it_looked_is_asked_to(sender: Sender) -> None:
    size = len(sender.content)
    parts.append(sender.submission, sha(sender.content), io.BytesIO(sender.content), start=0, length=size)
    assert sender.offset() == size
    assert sender.piece(0, 10).json()["offset"] == size
    assert sender.finish().status_code == 200
    assert sender.finish().status_code == 200


def test_a_finish_without_all_bytes(sender: Sender) -> None:
    sender.piece(0, 1000)
    assert sender.finish().json()["offset"] == 1000


def test_a_file_sent_whole_after_all_leaves_no_part(sender: Sender, client: Client) -> None:
    sender.piece(0, 1000)
    assert put(client, sender.submission, sender.content, sender.headers).status_code == 200
    assert no_parts(sender.submission)


def test_a_body_that_ends_early_keeps_what_came(sender: Sender, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 500)
    body: dict[str, Any] = {"CONTENT_LENGTH": "2000", "wsgi.input": io.BytesIO(sender.content[:1800])}
    ranged = {**sender.headers, "Content-Range": f"bytes 0-1999/{len(sender.content)}"}
    answer = sender.client.generic("PUT", sender.address, headers=ranged, **body)
    assert "go on from there" in problem(answer, 400)
    assert answer.json()["offset"] == sender.offset() == 1800


def test_a_full_disk_in_the_middle_keeps_what_there_was_room_for(sender: Sender, scene: Scene) -> None:
    with room_for(600):
        answer = sender.piece(0, 1000)
    assert "no room left" in problem(answer, 507)
    assert sender.offset() == 600
    assert sender.piece(600, len(sender.content)).status_code == 200


def test_who_may_not_is_told_before_a_byte_is_read(sender: Sender, scene: Scene) -> None:
    class Unread(io.BytesIO):
        def read(self, *arguments: Any) -> bytes:
            raise AssertionError("the body was read")

    strangers = [({}, 401), (signed(scene.vera), 403), (signed(scene.cy), 404), (signed(scene.ben, scope="read"), 403)]
    size = len(sender.content)
    for ranged in ({}, {"HTTP_CONTENT_RANGE": f"bytes 0-{size - 1}/{size}"}):
        for headers, status in strangers:
            said: dict[str, Any] = {"HTTP_" + name.upper(): value for name, value in headers.items()}
            said |= {**ranged, "CONTENT_LENGTH": str(size), "wsgi.input": Unread()}
            request = sender.client.generic("PUT", sender.address, **said)
            problem(request, status)


def test_the_missing_are_listed_page_by_page(
    sender: Sender, scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalhub.studies import serializers
    from evalhub.studies.api_files import MissingPages

    monkeypatch.setattr(serializers, "MOST_MISSING", 2)
    monkeypatch.setattr(MissingPages, "page_size", 2)
    sender.piece(0, 1000)
    begun = post(client, scene, manifest(sender.files), sender.headers).json()
    assert len(begun["missing"]) == 2
    address, seen = begun["missing_more"], []
    while address:
        page = client.get(address, headers=sender.headers).json()
        seen += page["results"]
        address = page["next"]
    assert {(file["path"], file["offset"]) for file in seen} == {("cat.png", 1000), ("dog.png", 0), ("tree.png", 0)}
    assert "nothing here" in problem(client.get(begun["missing_more"], headers=signed(scene.cy)), 404)
    ManifestEntry.objects.filter(path="dog.png").update(state="bad", problem="It is no picture.")
    whole = begun["missing_more"].partition("?")[0]
    for state, paths in (("bad", ["dog.png"]), ("missing", ["cat.png", "tree.png"])):
        page = client.get(f"{whole}?state={state}", headers=sender.headers).json()
        assert [file["path"] for file in page["results"]] == paths
    problem(client.get(f"{whole}?state=received", headers=sender.headers), 400)


def test_forgotten_parts_are_swept(sender: Sender, scene: Scene, client: Client) -> None:
    sender.piece(0, 1000)
    (part,) = (site.UPLOAD_FOLDER / "parts" / sender.submission).iterdir()
    post(client, scene, manifest(sender.files), sender.headers)
    assert part.exists()
    old = time.time() - site.PART_LIFE.total_seconds() - 60
    os.utime(part, (old, old))
    post(client, scene, manifest(sender.files), sender.headers)
    assert not part.parent.exists()
    assert sender.offset() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_several_who_send_one_file_at_once(transactional_db: None, seed: int) -> None:
    """Each goes where the site says; together they send the file once, whatever piece came first."""
    scene = make_scene()
    content = picture(seed, size=(200, 150))
    submission = scene.post({**scene.outputs(), "cat.png": content})
    digest, size, step = sha(content), len(content), 7001
    results: list[str] = []

    def send() -> None:
        here = 0
        try:
            while True:
                length = min(step, size - here)
                try:
                    here, entries = services.receive_piece(
                        submission=submission,
                        sha256=digest,
                        stream=io.BytesIO(content[here : here + length]),
                        start=here,
                        length=length,
                    )
                except Refusal as refusal:
                    here = refusal.details["offset"]
                    continue
                if entries:
                    results.extend(entry.state for entry in entries)
                    return
        finally:
            connection.close()

    senders = [threading.Thread(target=send) for _ in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    assert results == ["received"] * 4
    assert default_storage.open(Media.objects.get().path).read() == content
    assert no_parts(submission.pk)
