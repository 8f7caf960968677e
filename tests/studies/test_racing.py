"""Real threads against the real database: files sent twice at once, manifests posted twice at once, the last place."""

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.models import Checkpoint, LogEntry, Media, Membership, Role, Sample, Submission, User
from tests.submitting import Scene, make_scene, picture, promised

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return make_scene()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run each call in a thread of its own, started together; their results, or the refusals they raised."""
    start = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            start.wait()
            results[number] = call()
        except Refusal as refusal:
            results[number] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Slow:
    """A stream that waits, after its first bytes, until told to go on."""

    def __init__(self, content: bytes, go_on: threading.Event) -> None:
        self.content, self.go_on, self.began = io.BytesIO(content), go_on, threading.Event()

    def read(self, size: int, /) -> bytes:
        if self.began.is_set():
            assert self.go_on.wait(20)
        self.began.set()
        return self.content.read(min(size, 100))


@pytest.mark.parametrize("rounds", range(3))
def test_one_file_sent_by_several_at_once(scene: Scene, rounds: int) -> None:
    files = scene.outputs(seed=rounds)
    submission = scene.post(files)
    content = files["cat.png"]
    results = at_once(*[lambda: scene.put(submission, content)] * 5)
    assert results == [[("received", "")]] * 5
    assert Media.objects.count() == 1
    assert default_storage.open(Media.objects.get().path).read() == content


def test_the_last_files_at_once_complete_it_once(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    at_once(*[lambda content=content: scene.put(submission, content) for content in files.values() for _ in range(2)])
    submission.refresh_from_db()
    assert submission.is_complete
    assert Sample.objects.count() == 3
    assert LogEntry.objects.filter(verb="completed submission").count() == 1


def test_the_same_manifest_by_several_clients_at_once(scene: Scene) -> None:
    files = scene.outputs()
    results = at_once(*[lambda: scene.post(files)] * 4)
    assert len({submission.pk for submission in results}) == 1
    assert (Checkpoint.objects.count(), Submission.objects.count()) == (1, 1)
    assert results[0].entries.count() == 3


def test_a_file_that_failed_on_one_way_and_arrived_on_another_stays_received(scene: Scene) -> None:
    """A broken upload that began first and ends last does not take back what another has delivered."""
    files = scene.outputs()
    submission = scene.post(files)
    content = files["cat.png"]
    go_on = threading.Event()
    slow = Slow(content[:-5], go_on)
    sha256 = promised("cat.png", content).sha256

    def send_slowly() -> None:
        services.receive_file(submission=submission, sha256=sha256, stream=slow)
        connection.close()

    broken = threading.Thread(target=send_slowly)
    broken.start()
    assert slow.began.wait(20)
    assert scene.put(submission, content) == [("received", "")]
    go_on.set()
    broken.join()
    assert submission.entries.get(path="cat.png").state == "received"


def test_nothing_is_locked_while_a_file_is_on_its_way(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    go_on = threading.Event()
    slow = Slow(files["cat.png"], go_on)
    sha256 = promised("cat.png", files["cat.png"]).sha256
    late: list[object] = []

    def send() -> None:
        try:
            late.append(services.receive_file(submission=submission, sha256=sha256, stream=slow))
        except Refusal as refusal:
            late.append(refusal)
        finally:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert slow.began.wait(20)
    replaced = {**files, "cat.png": picture(77)}
    scene.submit(replaced)  # the manifest changes and the submission completes while the old file is under way
    go_on.set()
    thread.join()
    assert "lists it no longer" in str(late[0])
    submission.refresh_from_db()
    assert submission.is_complete
    assert Sample.objects.count() == 3


def test_no_prompt_slips_in_while_a_submission_completes(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    for path in ("cat.png", "dog.png"):
        scene.put(submission, files[path])
    at_once(
        lambda: scene.put(submission, files["tree.png"]),
        lambda: services.add_prompt(study=scene.study, key="late", actor=scene.ada),
    )
    submission.refresh_from_db()
    late = scene.study.prompts.filter(key="late").exists()
    assert submission.is_complete != late


def test_the_last_place_of_an_invite_goes_to_one(scene: Scene) -> None:
    _, token = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada, max_uses=2)
    people = [User.objects.create_user(f"new{number}") for number in range(6)]
    results = at_once(*[lambda user=user: services.accept_invite(token=token, user=user) for user in people])
    assert sum(isinstance(result, Membership) for result in results) == 2
    assert Membership.objects.filter(user__in=people).count() == 2


def test_two_owners_cannot_remove_each_other(scene: Scene) -> None:
    services.change_role(study=scene.study, user=scene.ben, role=Role.OWNER, actor=scene.ada)
    at_once(
        lambda: services.remove_member(study=scene.study, user=scene.ada, actor=scene.ben),
        lambda: services.remove_member(study=scene.study, user=scene.ben, actor=scene.ada),
    )
    assert Membership.objects.filter(study=scene.study, role=Role.OWNER).count() == 1
