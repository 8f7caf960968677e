"""The list of submissions, one submission with its report and pictures, and the files themselves."""

import io

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from PIL import Image

from evalhub.studies import services, thumbnails
from evalhub.studies.models import Media
from evalhub.studies.services import CheckpointFacts
from tests.submitting import Scene, picture, promised

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def reader(scene: Scene) -> Client:
    client = Client()
    client.force_login(scene.vera)
    return client


def page_of(reader: Client, submission: object) -> str:
    return reader.get(reverse("submission", args=[submission])).text


def test_an_empty_list_says_what_to_do(reader: Client, scene: Scene) -> None:
    text = reader.get(reverse("submissions", args=["faces"])).text
    assert "evalhub submit --study faces" in text
    assert "/studies/faces/submit/" not in text  # a viewer may not


def test_a_complete_submission_shows_every_output(reader: Client, scene: Scene) -> None:
    submission = scene.submit(scene.outputs(), name="plain")
    text = page_of(reader, submission.pk)
    assert "Complete" in text
    for key in ("cat", "dog", "tree"):
        assert f'alt="Output for {key}"' in text
    assert 'loading="lazy"' in text
    assert "plain" in reader.get(reverse("submissions", args=["faces"])).text


def test_the_report_names_each_problem(reader: Client, scene: Scene) -> None:
    files = {"cat.png": b"no picture", "dog.png": picture(1)}
    submission = scene.post(files)
    scene.put(submission, files["cat.png"])
    text = page_of(reader, submission.pk)
    assert "Incomplete" in text
    assert "cat.png is not a picture" in text
    assert "Prompts without an output: 1" in text
    assert "<code>tree</code>" in text
    assert '<progress max="2" value="0"' in text


def test_what_a_team_says_of_itself_is_marked_and_shown_as_text(reader: Client, scene: Scene) -> None:
    facts = CheckpointFacts(
        name=HOSTILE, family=HOSTILE, step=1200, latency_p50=0.5, price=0.01, gpu=HOSTILE, dtype="bf16", notes=HOSTILE
    )
    content = picture(1)
    submission = services.receive_manifest(
        study=scene.study, actor=scene.ben, checkpoint=facts, files=[promised("cat.png", content)]
    )
    for text in (page_of(reader, submission.pk), reader.get(reverse("submissions", args=["faces"])).text):
        assert "<script>alert" not in text
        assert "1,200" in text
    assert "self-reported" in page_of(reader, submission.pk)


def small(reader: Client, media: Media) -> tuple[str, bytes]:
    response = reader.get(reverse("media", args=["faces", media.pk]), {"size": "small"})
    assert response.status_code == 200
    return response.headers["Content-Type"], response.content


def test_the_original_is_sent_byte_for_byte_and_kept_private(reader: Client, scene: Scene) -> None:
    files = scene.outputs()
    scene.submit(files)
    media = Media.objects.earliest("pk")
    response = reader.get(reverse("media", args=["faces", media.pk]))
    assert response.getvalue() in files.values()
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Cache-Control"].startswith("private")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "I;16", "CMYK", "1"])
def test_a_thumbnail_is_made_of_any_kind_of_picture(reader: Client, scene: Scene, mode: str) -> None:
    whole = Image.radial_gradient("L").resize((500, 300))
    if mode == "I;16":
        image = Image.frombytes(mode, whole.size, b"".join(bytes((0, value)) for value in whole.tobytes()))
    else:
        image = whole if mode == "LA" else whole.convert("RGB")
        image = image.convert(mode)
    form = "TIFF" if mode == "CMYK" else "PNG"
    file = io.BytesIO()
    image.save(file, form)
    scene.submit(scene.outputs() | {"cat.png": file.getvalue()})
    media = Media.objects.get(width=500)
    kind, content = small(reader, media)
    assert kind == "image/webp"
    shown = Image.open(io.BytesIO(content))
    assert shown.size == (320, 192)
    lightness = shown.convert("L").tobytes()
    corner, centre = lightness[0], lightness[96 * 320 + 160]
    assert corner - centre > 100  # a radial gradient is dark in the middle


def test_a_thumbnail_is_upright(reader: Client, scene: Scene) -> None:
    image = Image.new("RGB", (60, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    scene.submit(scene.outputs() | {"cat.png": file.getvalue()})
    media = Media.objects.get(format="jpeg")
    assert Image.open(io.BytesIO(small(reader, media)[1])).size == (20, 60)


def test_half_a_thumbnail_left_by_a_killed_process_is_made_again(reader: Client, scene: Scene) -> None:
    scene.submit(scene.outputs())
    media = Media.objects.earliest("pk")
    _, whole = small(reader, media)
    path = f"studies/{media.study_id}/thumbnails/{media.sha256[:2]}/{media.sha256}.webp"
    assert default_storage.open(path).read() == whole
    default_storage.delete(path)
    default_storage.save(path, ContentFile(whole[: len(whole) // 2]))
    assert small(reader, media)[1] == whole
    assert default_storage.open(path).read() == whole


def test_a_huge_picture_is_not_decoded_for_a_page(
    reader: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 100)
    scene.submit(scene.outputs())
    kind, content = small(reader, Media.objects.earliest("pk"))
    assert kind == "image/svg+xml"
    assert "24 × 16".encode() in content


def test_another_study_s_file_is_not_there(reader: Client, scene: Scene) -> None:
    scene.submit(scene.outputs())
    services.create_study(slug="other", name="Other", actor=scene.vera)
    media = Media.objects.earliest("pk")
    assert reader.get(reverse("media", args=["other", media.pk])).status_code == 404
