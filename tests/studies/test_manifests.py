"""Manifests of many thousands: a fixed number of statements, whatever their length."""

import hashlib

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evalhub.studies import services
from evalhub.studies.models import Media, Prompt, Sample, Submission
from evalhub.studies.services import CheckpointFacts, ManifestFile
from tests.api.test_submitting import manifest, post, put, signed
from tests.submitting import Scene

FILES = 6_000
STATEMENTS = 30


def lines(scene: Scene, files: int) -> list[ManifestFile]:
    keys = list(Prompt.objects.filter(study=scene.study).values_list("key", flat=True))
    return [
        ManifestFile(
            f"run/{number}.png",
            hashlib.sha256(b"%d" % number).hexdigest(),
            1000 + number,
            keys[number % 3],
            number // 3,
        )
        for number in range(files)
    ]


def promise(scene: Scene, files: list[ManifestFile], name: str = "many") -> tuple[Submission, int]:
    with CaptureQueriesContext(connection) as asked:
        submission = services.receive_manifest(
            study=scene.study, actor=scene.ben, checkpoint=CheckpointFacts(name), files=files
        )
    return submission, len(asked)


def test_statements_do_not_grow_with_the_files(scene: Scene) -> None:
    files = lines(scene, FILES)
    submission, asked = promise(scene, files)
    assert asked < STATEMENTS
    assert submission.entries.count() == FILES
    changed = [*files[100:], ManifestFile("new.png", "f" * 64, 5, files[0].prompt, -1)]
    assert promise(scene, changed)[1] < STATEMENTS
    assert submission.entries.count() == FILES - 99
    assert promise(scene, changed)[1] < STATEMENTS


def test_what_is_held_is_taken_and_completes_in_few_statements(scene: Scene) -> None:
    files = lines(scene, FILES)
    facts = {"kind": "image", "format": "png", "width": 8, "height": 8}
    Media.objects.bulk_create(
        Media(study=scene.study, sha256=file.sha256, size=file.size - (number == 7), **facts)
        for number, file in enumerate(files)
    )
    submission, asked = promise(scene, files)
    assert asked < STATEMENTS
    (bad,) = services.report(submission).bad_files
    assert bad.path == "run/7.png"
    Media.objects.filter(sha256=files[7].sha256).update(size=files[7].size)
    submission, asked = promise(scene, files)
    assert asked < STATEMENTS
    assert submission.is_complete
    assert Sample.objects.count() == FILES


def test_a_file_takes_few_statements(scene: Scene, client: Client) -> None:
    headers, files = signed(scene.ben), scene.outputs()
    begun = post(client, scene, manifest(files), headers).json()
    put(client, begun["id"], files["cat.png"], headers)  # notes when the token was used
    with CaptureQueriesContext(connection) as asked:  # whose token, for what, which lines; the file; was it the last
        assert put(client, begun["id"], files["dog.png"], headers).status_code == 200
    statements = [query["sql"] for query in asked if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 7, statements
