"""What is left when the disk is full, and what an ended process has left behind."""

import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.files.storage import default_storage

from evalhub.studies import services
from evalhub.studies.models import Media
from evalhub.studies.services import NoRoom
from tests.submitting import Scene


@pytest.fixture(autouse=True)
def _no_uploads_of_other_tests() -> None:
    shutil.rmtree(settings.UPLOAD_FOLDER, ignore_errors=True)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """The kernel refuses this process any file longer than that, as a full disk or quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_is_said_and_nothing_is_kept(scene: Scene) -> None:
    files = scene.outputs()
    submission = scene.post(files)
    with room_for(300), pytest.raises(NoRoom, match="no room left for this file") as refused:
        scene.put(submission, files["cat.png"])
    assert refused.value.status == 507
    assert submission.entries.get(path="cat.png").state == "missing"
    assert not Media.objects.exists()
    assert not [path for path in settings.UPLOAD_FOLDER.rglob("*") if path.is_file()]
    assert scene.put(submission, files["cat.png"]) == [("received", "")]
    assert default_storage.exists(Media.objects.get().path)


def test_what_killed_uploads_left_is_swept_once_it_is_old(scene: Scene) -> None:
    settings.UPLOAD_FOLDER.mkdir(exist_ok=True)
    old, new = settings.UPLOAD_FOLDER / "old.part", settings.UPLOAD_FOLDER / "new.part"
    for file in (old, new):
        file.write_bytes(b"half of a picture")
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    scene.post(scene.outputs())
    assert not old.exists()
    assert new.exists()
    new.unlink()


def test_no_upload_outlives_its_request(scene: Scene) -> None:
    scene.submit({**scene.outputs(), "cat.png": b"no picture"})
    assert not [path for path in settings.UPLOAD_FOLDER.rglob("*") if path.is_file()]
    assert services.report(scene.study.checkpoints.get().submission).bad_files
