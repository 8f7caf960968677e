"""Videos on researchers' pages: a poster out of the decoder process, the original in ranges, the facts."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from PIL import Image

from evalhub.studies import inspection, services, thumbnails
from evalhub.studies.inspection import Undecodable
from evalhub.studies.models import Media, Modality, Role, Study, Submission, User
from evalhub.studies.services import CheckpointFacts
from tests.filming import film
from tests.submitting import promised


def two_halves(number: int) -> np.ndarray:
    """Red on the left, blue on the right, for whoever turns it."""
    frame = np.zeros((180, 320, 3), np.uint8)
    frame[:, :160, 0], frame[:, 160:, 2] = 220, 220
    return frame


@pytest.fixture
def study(db: None, tmp_path: Path) -> Study:
    owner = User.objects.create_user("vera", password="a-long-password")
    study = services.create_study(slug="films", name="Films", actor=owner, modality=Modality.VIDEO)
    reference = services.store_media(study=study, path=film(tmp_path / "cat.mp4", draw=two_halves))
    services.add_prompt(study=study, key="cat", reference=reference, actor=owner)
    services.add_prompt(study=study, key="dog", actor=owner)
    return study


@pytest.fixture
def submission(study: Study, tmp_path: Path) -> Submission:
    paths = [film(tmp_path / "cat.webm", draw=two_halves, frames=12, rate=12), film(tmp_path / "dog.avi", frames=30)]
    contents = {path.name: path.read_bytes() for path in paths}
    found = services.receive_manifest(
        study=study,
        actor=User.objects.get(username="vera"),
        checkpoint=CheckpointFacts(name="flow"),
        files=[promised(name, content) for name, content in contents.items()],
    )
    for entry in found.entries.all():
        services.receive_file(submission=found, sha256=entry.sha256, stream=io.BytesIO(contents[entry.path]))
    services.complete_submission(submission=found)
    return found


@pytest.fixture
def reader(study: Study, client: Client) -> Client:
    user = User.objects.create_user("rosa", password="a-long-password")
    owner = User.objects.get(username="vera")
    services.add_member(study=study, user=user, role=Role.VIEWER, actor=owner)
    client.force_login(user)
    return client


def poster_of(reader: Client, media: Media) -> tuple[str, bytes]:
    response = reader.get(reverse("media", args=["films", media.pk]), {"size": "small"})
    return response.headers["Content-Type"], response.content


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv", "a.avi"])
def test_a_poster_is_made_of_every_container(reader: Client, study: Study, tmp_path: Path, name: str) -> None:
    media = services.store_media(study=study, path=film(tmp_path / name, draw=two_halves))
    kind, content = poster_of(reader, media)
    assert kind == "image/webp"
    shown = Image.open(io.BytesIO(content)).convert("RGB")
    assert shown.size == (320, 180)
    left, right = shown.getpixel((60, 90)), shown.getpixel((260, 90))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 150 > 60 > left[2]
    assert right[2] > 150 > 60 > right[0]


def test_a_poster_is_made_once_and_in_another_process(
    reader: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = Media.objects.get()
    asked: list[dict[str, Any]] = []
    real = inspection._Asking.ask

    def ask(asking: inspection._Asking, question: dict[str, Any]) -> None:
        asked.append(question)
        real(asking, question)

    monkeypatch.setattr(inspection._Asking, "ask", ask)
    assert poster_of(reader, media) == poster_of(reader, media)
    assert [(question["poster"], question["kinds"]) for question in asked] == [(640, ["video"])]
    assert all(question["memory"] and question["seconds"] for question in asked)


class Elsewhere:
    """A storage as S3 is one: there is no path, only a file that can be opened."""

    def path(self, name: str) -> str:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        return getattr(default_storage, name)


def test_a_storage_without_paths_is_read_from(reader: Client, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "default_storage", Elsewhere())
    assert poster_of(reader, Media.objects.get())[0] == "image/webp"


def test_a_file_that_has_been_damaged_since_gets_a_sign(
    reader: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, edge: int) -> bytes:
        raise Undecodable("does not decode")

    monkeypatch.setattr(thumbnails, "poster", broken)
    kind, content = poster_of(reader, Media.objects.get())
    assert kind == "image/svg+xml"
    assert "320 × 180".encode() in content


def test_what_is_no_video_makes_no_poster(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x1aE\xdf\xa3webm" + b"\x00" * 600)
    with pytest.raises(Undecodable, match="does not decode as WEBM"):
        inspection.poster(tmp_path / "x", 320)


def test_the_original_comes_in_ranges(reader: Client, study: Study) -> None:
    media = Media.objects.get()
    with default_storage.open(media.path) as file:
        whole = file.read()
    address = reverse("media", args=["films", media.pk])
    answer = reader.get(address)
    assert (answer.status_code, answer.headers["Accept-Ranges"], answer.getvalue()) == (200, "bytes", whole)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"].startswith("private")
    part = reader.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.getvalue()) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    end = reader.get(address, headers={"Range": "bytes=-50"})
    assert end.getvalue() == whole[-50:]
    beyond = reader.get(address, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")


def test_the_page_says_what_the_videos_are(reader: Client, submission: Submission) -> None:
    text = reader.get(reverse("submission", args=[submission.pk])).text
    assert "MPEG-4 Part 2, VP9" in text
    assert "96 × 64 to 320 × 180 · 10 to 12 fps · 1.00 to 3.00 s · 42 frames in all" in text
    assert "VP9 · 320 × 180 · 12 fps · 1.00 s · 12 frames" in text
    assert text.count("<video ") == 3  # two outputs, one reference
    assert text.count('preload="none"') == text.count("muted") - 1 == 3
    prompts = reader.get(reverse("prompts", args=["films"])).text
    assert 'aria-label="Reference of cat"' in prompts


def test_a_rater_gets_none_of_it(study: Study, client: Client) -> None:
    user = User.objects.create_user("ria", password="a-long-password")
    services.add_member(study=study, user=user, role=Role.RATER, actor=User.objects.get(username="vera"))
    client.force_login(user)
    media = Media.objects.get()
    for query in ({}, {"size": "small"}):
        assert client.get(reverse("media", args=["films", media.pk]), query).status_code == 403
