"""Submitting from a browser without JavaScript: folders, zips, and zips that were made to do harm."""

import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from evalhub.studies.models import Checkpoint, Sample, Submission, User
from tests.submitting import Scene, picture


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def post(client: Client, scene: Scene, *, user: User | None = None, **fields: Any) -> Any:
    client.force_login(user or scene.ben)
    return client.post(f"/studies/{scene.study.slug}/submit/", {"name": "plain", **fields})


def post_zip(client: Client, scene: Scene, content: bytes) -> Any:
    return post(client, scene, archive=SimpleUploadedFile("outputs.zip", content, "application/zip"))


def chosen(files: Mapping[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, content) for name, content in files.items()]


def refusal(response: Any) -> str:
    assert response.status_code in (409, 413, 422), response.status_code
    return str(response.context["refusal"])


def test_a_folder_is_submitted_with_its_facts(client: Client, scene: Scene) -> None:
    response = post(client, scene, step="2000", gpu="H200", latency_p50="1.5", folder=chosen(scene.outputs()))
    submission = Submission.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/submissions/{submission.pk}/")
    assert submission.is_complete
    checkpoint = Checkpoint.objects.get()
    assert (checkpoint.step, checkpoint.gpu, checkpoint.latency_p50) == (2000, "H200", 1.5)
    assert Sample.objects.count() == 3


@pytest.mark.parametrize(
    "form",
    ["{}.png", "outputs/{}.png", "{}/7.png", "outputs/{}/7.png"],
)
def test_a_zip_in_every_layout(client: Client, scene: Scene, form: str) -> None:
    files = {form.format(path.removesuffix(".png")): content for path, content in scene.outputs().items()}
    response = post_zip(client, scene, zipped(files | {"__MACOSX/._cat.png": b"resource fork"}))
    assert response.status_code == 302
    assert Submission.objects.get().is_complete
    assert set(Sample.objects.values_list("seed", flat=True)) == {7 if "7" in form else 0}


def test_a_manifest_says_what_is_what(client: Client, scene: Scene) -> None:
    lines = "path,prompt,seed\na/1.png,cat,3\na/2.png,dog,\nb.png,tree,4\n"
    pictures = scene.outputs()
    files = {"a/1.png": pictures["cat.png"], "a/2.png": pictures["dog.png"], "b.png": pictures["tree.png"]}
    response = post_zip(client, scene, zipped(files | {"manifest.csv": lines.encode()}))
    assert response.status_code == 302
    assert list(Sample.objects.order_by("prompt__key").values_list("prompt__key", "seed")) == [
        ("cat", 3),
        ("dog", 0),
        ("tree", 4),
    ]


def test_the_script_may_say_where_the_files_of_a_folder_lie(client: Client, scene: Scene) -> None:
    files = chosen({f"{number}.png": content for number, content in enumerate(scene.outputs().values())})
    paths = '["out/cat/0.png", "out/dog/0.png", "out/tree/0.png"]'
    assert post(client, scene, folder=files, paths=paths).status_code == 302
    assert Submission.objects.get().is_complete
    again = chosen({"0.png": picture(1)})
    assert "named 3 files and sent 1" in refusal(post(client, scene, folder=again, paths=paths))


def test_sent_again_it_goes_on_and_replaces_a_bad_file(client: Client, scene: Scene) -> None:
    files = scene.outputs()
    assert post_zip(client, scene, zipped(files | {"cat.png": files["cat.png"][:-9]})).status_code == 302
    submission = Submission.objects.get()
    assert not submission.is_complete
    page = client.get(f"/submissions/{submission.pk}/")
    assert "cat.png does not decode as PNG" in page.content.decode()
    assert post_zip(client, scene, zipped(files)).status_code == 302
    submission.refresh_from_db()
    assert submission.is_complete


def test_unknown_prompts_are_named(client: Client, scene: Scene) -> None:
    response = post_zip(client, scene, zipped({**scene.outputs(), "cow.png": picture(9)}))
    assert "no such prompts" in refusal(response)
    assert "“cow”" in refusal(response)
    assert not Submission.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("vera", 403), ("ria", 403), ("cy", 404)])
def test_who_may_not_submit(client: Client, scene: Scene, role: str, status: int) -> None:
    response = post(client, scene, user=getattr(scene, role), folder=chosen(scene.outputs()))
    assert response.status_code == status
    assert not Submission.objects.exists()


def test_neither_or_both_of_folder_and_zip(client: Client, scene: Scene) -> None:
    assert post(client, scene).status_code == 422
    both: dict[str, Any] = {
        "folder": chosen(scene.outputs()),
        "archive": SimpleUploadedFile("a.zip", zipped(scene.outputs())),
    }
    response = post(client, scene, **both)
    assert response.status_code == 422
    assert "Choose either a folder with files in it or a zip." in response.content.decode()


def link(name: str) -> bytes:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


def encrypted() -> bytes:
    content = bytearray(zipped({"cat.png": picture(1)}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


def unequal_sizes() -> bytes:
    """An entry that says it unpacks to 9 bytes fewer than it holds."""
    content = bytearray(zipped({"cat.png": picture(1)}, zipfile.ZIP_DEFLATED))
    place = content.index(b"PK\x01\x02") + 24
    size = struct.unpack_from("<I", content, place)[0]
    struct.pack_into("<I", content, place, size - 9)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no zip at all", "The zip cannot be read"),
        (zipped({"cat.png": picture(1)})[:-30], "The zip cannot be read"),
        (zipped({"../../cat.png": picture(1)}), "leads out of its folder"),
        (zipped({"/etc/cat.png": picture(1)}), "leads out of its folder"),
        (zipped({"C:/cat.png": picture(1)}), "leads out of its folder"),
        (link("cat.png"), "which is a link or a device"),
        (encrypted(), "is encrypted"),
        (zipped({"cat.png": picture(1)}, zipfile.ZIP_LZMA), "in an uncommon way"),
        (zipped({"cat.png": bytes(80 * 2**20)}, zipfile.ZIP_DEFLATED), "which no pictures do"),
        (zipped({f"{number}": b"" for number in range(20_001)}), "more than the 20,000 files"),
        (zipped({"inner.zip": zipped({"cat.png": picture(1)})}), "There are no pictures here"),
        (zipped({"a/b/c/cat.png": picture(1), "d.png": picture(2)}), "at most one folder deep"),
        (unequal_sizes(), "The zip cannot be read"),
    ],
    ids=[
        "no zip",
        "cut off",
        "traversal",
        "absolute",
        "drive",
        "link",
        "encrypted",
        "lzma",
        "bomb",
        "crowd",
        "nested",
        "deep",
        "liar",
    ],
)
def test_a_hostile_zip_is_refused_in_a_sentence(client: Client, scene: Scene, content: bytes, sentence: str) -> None:
    assert sentence in refusal(post_zip(client, scene, content))
    assert not Submission.objects.exists()


def test_a_table_of_contents_beyond_all_reason_is_not_read(client: Client, scene: Scene) -> None:
    """The archive's end claims 3 GB of contents, for which zipfile would ask for 3 GB at once."""
    content = bytearray(zipped({"cat.png": picture(1)}))
    end = content.index(b"PK\x05\x06")
    content[0:0] = bytes(10 * 2**20)
    end += 10 * 2**20
    struct.pack_into("<II", content, end + 12, 9 * 2**20, end - 9 * 2**20)
    assert "more than the 20,000 files" in refusal(post_zip(client, scene, bytes(content)))


def test_the_layout_for_the_pages_script(client: Client, scene: Scene) -> None:
    client.force_login(scene.ben)
    address = f"/studies/{scene.study.slug}/submit/layout/"
    asked = {"paths": ["out/cat.png", "out/notes.txt"], "manifest": ""}
    answer = client.post(address, asked, content_type="application/json")
    assert answer.json() == {
        "outputs": [{"chosen": "out/cat.png", "path": "cat.png", "prompt": "cat", "seed": 0}],
        "left_out": ["notes.txt"],
    }
    for wrong in ("[]", "{}", "nonsense", '{"paths": [1], "manifest": ""}'):
        assert client.post(address, wrong, content_type="application/json").status_code == 400
    refused = client.post(address, {"paths": ["a/b/c.png", "x.png"], "manifest": ""}, content_type="application/json")
    assert refused.status_code == 422
    assert "at most one folder deep" in refused.json()["detail"]
