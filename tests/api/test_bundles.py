"""Many small files in one body: each checked by itself, hostile ones alone refused, what arrived whole kept."""

import io
import os
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from pytest_django import Settings

from evalhub.studies import inspection, services
from evalhub.studies.models import ManifestEntry, Media, Sample, Submission
from evalhub.studies.services import Announced, bundles, parts
from tests.api.test_submitting import manifest, post, problem, put, sha, signed
from tests.studies.test_decoding import bomb
from tests.studies.test_storage_faults import room_for
from tests.submitting import Scene, make_scene, picture, promised


def table(*contents: bytes) -> bytes:
    return b"".join(b"%s %d\n" % (sha(content).encode(), len(content)) for content in contents) + b"\n"


class Sender:
    """Ben, who sends bundles of one submission."""

    def __init__(self, client: Client, scene: Scene, files: dict[str, bytes]) -> None:
        self.client, self.headers, self.files = client, signed(scene.ben), files
        self.submission = post(client, scene, manifest(files), self.headers).json()["id"]
        self.address = f"/api/v1/submissions/{self.submission}/files/"

    def raw(self, body: bytes, **more: Any) -> Any:
        kind = "application/octet-stream"
        return self.client.post(self.address, body, content_type=kind, headers=self.headers, **more)

    def send(self, *contents: bytes, as_if: dict[bytes, bytes] | None = None) -> list[tuple[str, str]]:
        """State and problem of each; the bytes of some may be others than the table says."""
        body = table(*contents) + b"".join((as_if or {}).get(content, content) for content in contents)
        answer = self.raw(body)
        assert answer.status_code == 200, answer.content
        assert [file["sha256"] for file in answer.json()["files"]] == [sha(content) for content in contents]
        return [(file["state"], file["problem"]) for file in answer.json()["files"]]

    def states(self) -> dict[str, str]:
        return dict(ManifestEntry.objects.filter(submission=self.submission).values_list("path", "state"))


@pytest.fixture
def files(scene: Scene) -> dict[str, bytes]:
    return scene.outputs()


@pytest.fixture
def sender(client: Client, scene: Scene, files: dict[str, bytes]) -> Sender:
    return Sender(client, scene, files)


@pytest.fixture(autouse=True)
def _nothing_is_left_on_the_way() -> Iterator[None]:
    yield
    assert not [path for path in site.UPLOAD_FOLDER.glob("*.part") if path.is_dir()]


RECEIVED = ("received", "")


def test_one_body_completes_a_submission(sender: Sender, files: dict[str, bytes]) -> None:
    answer = sender.raw(table(*files.values()) + b"".join(files.values()))
    assert (answer.status_code, answer.json()["submission"]) == (200, "complete")
    stored = {default_storage.open(media.path).read() for media in Media.objects.all()}
    assert stored == set(files.values())
    assert Sample.objects.count() == 3
    assert sender.send(*files.values()) == [RECEIVED] * 3  # here already: nothing is done
    assert Media.objects.count() == 3


def test_files_alone_and_together(sender: Sender, client: Client, files: dict[str, bytes]) -> None:
    cat, dog, tree = files.values()
    parts.append(Submission.objects.get().pk, sha(tree), io.BytesIO(tree[:100]), start=0, length=100)
    assert put(client, sender.submission, dog, sender.headers).status_code == 200
    assert sender.send(tree, dog, cat) == [RECEIVED] * 3
    assert Submission.objects.get().is_complete
    assert not (site.UPLOAD_FOLDER / "parts" / sender.submission).exists()


def test_one_that_does_not_do_leaves_the_others(client: Client, scene: Scene) -> None:
    files = {**scene.outputs(), "cat.png": b"<html>"}
    sender = Sender(client, scene, files)
    sentence = "cat.png is an HTML page: PNG, JPEG, WebP, AVIF and TIFF are taken."
    cat, dog, tree = files.values()
    assert sender.send(dog, cat, tree) == [RECEIVED, ("bad", sentence), RECEIVED]
    assert sender.states() == {"cat.png": "bad", "dog.png": "received", "tree.png": "received"}
    done = client.post(f"/api/v1/submissions/{sender.submission}/complete/", headers=sender.headers)
    assert problem(done, 409) == "Incomplete: 1 file did not do, to be sent again."


def test_other_bytes_than_the_table_says(sender: Sender, files: dict[str, bytes]) -> None:
    cat, dog, tree = files.values()
    wrong = bytes(len(dog))
    states = sender.send(cat, dog, tree, as_if={dog: wrong})
    assert [state for state, _ in states] == ["received", "bad", "received"]
    assert f"dog.png arrived with the SHA-256 {sha(wrong)}" in states[1][1]
    assert sender.send(dog) == [RECEIVED]
    assert Submission.objects.get().is_complete


def test_what_nobody_promised_is_told_and_the_others_stay(sender: Sender, files: dict[str, bytes]) -> None:
    cat, dog, tree = files.values()
    stranger = picture(99)
    longer = b"%s %d\n" % (sha(dog).encode(), len(dog) + 5)
    lines = table(cat)[:-1] + longer + table(stranger)[:-1] + table(tree)
    answer = sender.raw(lines + cat + dog + b"extra" + stranger + tree).json()["files"]
    assert [file["state"] for file in answer] == ["received", "missing", "missing", "received"]
    assert (
        f"dog.png is announced with {len(dog) + 5:,} bytes, and the manifest promises {len(dog):,}"
        in (answer[1]["problem"])
    )
    assert f"promises no file with SHA-256 {sha(stranger)}" in answer[2]["problem"]
    assert sender.states() == {"cat.png": "received", "dog.png": "missing", "tree.png": "received"}
    assert Media.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "begins with a line"),
        (b"\n\n", "Line 1 of the body's table"),
        (b"\n\nabc", "Line 1 of the body's table"),
        (b"a" * 200_000, "have no empty line"),
        (b"../../etc/passwd 3\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b" 3\nb 3\n\nabcabc", "Line 2 of the body's table"),
        (b"A" * 64 + b" 3\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b" -3\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b" 03\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b"  3\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b" 3\r\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + b" " + b"9" * 40 + b"\n\nabc", "Line 1 of the body's table"),
        (b"a" * 64 + " ٣\n\nabc".encode(), "Line 1 of the body's table"),
        (b"a" * 64 + b" 999999999999999999\n\nabc", "999,999,999,999,999,999 bytes of files, and 3 follow"),
        (b"a" * 64 + b" 2\n\nabc", "2 bytes of files, and 3 follow"),
        (b"a" * 64 + b" 1\n" + b"a" * 64 + b" 2\n\nabc", "lists a file twice"),
        (b"".join(b"%064x 0\n" % n for n in range(1001)) + b"\n", "1,001 files, and at most 1,000"),
    ],
)
def test_a_table_that_lies(sender: Sender, files: dict[str, bytes], body: bytes, said: str) -> None:
    assert said in problem(sender.raw(body, CONTENT_LENGTH=str(len(body))), 400)
    assert set(sender.states().values()) == {"missing"}


def test_an_empty_file_is_promised_by_nobody(sender: Sender) -> None:
    ((state, said),) = sender.send(b"")
    assert (state, "promises no file" in said) == ("missing", True)


def test_a_connection_that_breaks_keeps_what_came_whole(sender: Sender, files: dict[str, bytes]) -> None:
    whole = table(*files.values()) + b"".join(files.values())
    last = len(files["tree.png"])
    for cut, received in ((50, 0), (len(whole) - last - 1, 1), (len(whole) - 1, 2)):
        body: dict[str, Any] = {"CONTENT_LENGTH": str(len(whole)), "wsgi.input": io.BytesIO(whole[:cut])}
        answer = sender.client.generic("POST", sender.address, headers=sender.headers, **body)
        assert "The connection broke" in problem(answer, 400)
        assert list(sender.states().values()).count("received") == received
    assert sender.send(*files.values()) == [RECEIVED] * 3


def test_a_bomb_fails_alone(client: Client, scene: Scene, settings: Settings) -> None:
    settings.DECODE_MEMORY_BYTES = 200 * 2**20
    sender = Sender(client, scene, {**scene.outputs(), "dog.png": bomb()})
    cat, dog, tree = sender.files.values()
    states = sender.send(cat, dog, tree)
    assert states == [RECEIVED, ("bad", "dog.png takes more memory to decode than the site allows."), RECEIVED]


CRASHING = """
import os, sys
sys.path += sys.argv[1:]
from evalhub.studies.decoding import process
usual = process.examine
def examine(**question):
    with open(question["path"], "rb") as file:
        if file.read().endswith(b"crash"):
            os.abort()
    return usual(**question)
process.examine = examine
process.main()
"""


def end_decoders() -> None:
    while inspection._resting:
        inspection._resting.pop().end()


def test_a_file_that_crashes_the_decoder_fails_alone(
    client: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a picture would that meets a fault of the decoding library; none is known, so the decoder here has one."""
    monkeypatch.setattr(inspection, "_PROGRAM", CRASHING)
    end_decoders()
    outputs = scene.outputs()
    sender = Sender(client, scene, {**outputs, "dog.png": outputs["dog.png"] + b"crash"})
    sentence = "dog.png makes the decoder fail; it is damaged, or made to do harm."
    assert sender.send(*sender.files.values()) == [RECEIVED, ("bad", sentence), RECEIVED]
    end_decoders()


class Watched(io.BytesIO):
    """A stream that does something once so much of it has been read."""

    def __init__(self, content: bytes, at: int, do: Callable[[], object]) -> None:
        super().__init__(content)
        self.at, self.do, self.done = at, do, False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.done and self.tell() >= self.at:
            self.done = True
            self.do()
        return super().read(size)


def receive(submission: Submission, contents: list[bytes], stream: io.BytesIO | None = None) -> list[str]:
    announced = [Announced(sha(content), len(content)) for content in contents]
    stream = stream or io.BytesIO(b"".join(contents))
    outcomes = services.receive_files(submission=submission, announced=announced, stream=stream)
    return [outcome.state for outcome in outcomes]


def many(scene: Scene, count: int) -> tuple[Submission, list[bytes]]:
    contents = [picture(number, size=(10, 10)) for number in range(count)]
    lines = [promised(f"{number}.png", content, "cat", number) for number, content in enumerate(contents)]
    facts = services.CheckpointFacts(name="many")
    return services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=lines), contents


def test_decoders_that_are_killed_on_the_way_cost_no_file(scene: Scene) -> None:
    submission, contents = many(scene, 12)

    def kill() -> None:
        """All at work or at rest: the one in use is a child of this process as well."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == os.getpid() and b"decoding.process" in command:
                os.kill(int(folder.name), signal.SIGKILL)
                killed.append(int(folder.name))

    killed: list[int] = []
    stream = Watched(b"".join(contents), sum(map(len, contents[:8])), kill)
    assert receive(submission, contents, stream) == ["received"] * 12
    assert killed
    assert inspection._resting


def test_there_is_no_time_for_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission, contents = many(scene, 12)
    monkeypatch.setattr(bundles, "PATIENCE", 0.0)
    states = receive(submission, contents)
    taken = states.count("received")
    assert 0 < taken < 12
    assert states == ["received"] * taken + ["missing"] * (12 - taken)
    monkeypatch.undo()
    assert receive(submission, contents[taken:]) == ["received"] * (12 - taken)


def test_groups_are_kept_when_the_disk_is_full(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submission, contents = many(scene, 12)
    large = picture(50, size=(64, 64))
    lines = [promised(f"{n}.png", content, "cat", n) for n, content in enumerate([*contents, large])]
    facts = services.CheckpointFacts(name="many")
    services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=lines)
    monkeypatch.setattr(bundles, "GROUP", 5)
    with room_for(2000), pytest.raises(services.NoRoom, match="no room left"):
        receive(submission, [*contents, large])
    assert submission.entries.filter(state="received").count() == 12
    assert receive(submission, [large]) == ["received"]


def test_memory_stays_flat(scene: Scene) -> None:
    """60 MB in 30 files that turn out to be none."""
    contents = [bytes([number]) * (2 * 2**20) for number in range(30)]
    lines = [promised(f"{number}.png", content, "cat", number) for number, content in enumerate(contents)]
    facts = services.CheckpointFacts(name="large")
    submission = services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=lines)
    announced = [Announced(line.sha256, line.size) for line in lines]
    stream = io.BytesIO(b"".join(contents))
    del contents
    tracemalloc.start()
    try:
        outcomes = services.receive_files(submission=submission, announced=announced, stream=stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {outcome.state for outcome in outcomes} == {"bad"}
    assert peak < 8 * 2**20


def test_who_may_not_is_told_before_a_byte_is_read(sender: Sender, scene: Scene) -> None:
    class Unread(io.BytesIO):
        def read(self, *arguments: Any) -> bytes:
            raise AssertionError("the body was read")

    strangers = [({}, 401), (signed(scene.vera), 403), (signed(scene.cy), 404), (signed(scene.ben, scope="read"), 403)]
    asked = [*[(headers, "200", status) for headers, status in strangers]]
    asked += [(sender.headers, "", 411), (sender.headers, str(bundles.MOST_BYTES + 1), 413)]
    for headers, length, status in asked:
        said: dict[str, Any] = {"HTTP_" + name.upper(): value for name, value in headers.items()}
        said |= {"CONTENT_LENGTH": length, "wsgi.input": Unread()}
        problem(sender.client.generic("POST", sender.address, **said), status)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_bundles_and_manifests_at_once(transactional_db: None, seed: int) -> None:
    """Four senders with the same files in different orders, while the manifest is posted again and again."""
    scene = make_scene()
    submission, contents = many(scene, 24)
    lines = [promised(f"{number}.png", content, "cat", number) for number, content in enumerate(contents)]
    facts = services.CheckpointFacts(name="many")
    states: list[str] = []
    failures: list[BaseException] = []

    def act(number: int) -> None:
        try:
            if number == 4:
                for _ in range(6):
                    services.receive_manifest(study=scene.study, actor=scene.ben, checkpoint=facts, files=lines)
                return
            turned = contents[number * 6 + seed :] + contents[: number * 6 + seed]
            for start in range(0, 24, 8):
                states.extend(
                    receive(submission, turned[start : start + 8] if number % 2 else turned[start:][:8][::-1])
                )
        except BaseException as failure:
            failures.append(failure)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(number,)) for number in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert states == ["received"] * 96
    assert Media.objects.count() == 24
    assert submission.entries.filter(state="received").count() == 24
