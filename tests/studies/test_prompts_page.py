"""Prompts: lists with their files, read and looked at before they are kept; typed ones; what is removed."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.models import LogEntry, Media, PromptList, User
from tests.submitting import Scene, picture

ADD, WAITING, PROMPTS = "/studies/faces/prompts/add/", "/studies/faces/prompts/waiting/", "/studies/faces/prompts/"
TYPE, REMOVE = "/studies/faces/prompts/type/", "/studies/faces/prompts/remove/"


@pytest.fixture
def ada(client: Client, scene: Scene) -> User:
    client.force_login(scene.ada)
    return scene.ada


def listed(name: str, text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def file(name: str, seed: int, **more: Any) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture(seed, **more))


def zipped(files: dict[str, bytes]) -> SimpleUploadedFile:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return SimpleUploadedFile("prompts.zip", packed.getvalue())


def said(scene: Scene) -> list[tuple[int, str]]:
    return [(problem["line"], problem["says"]) for problem in PromptList.objects.get(study=scene.study).problems]


def test_a_list_is_looked_at_before_it_is_kept(client: Client, scene: Scene, ada: User) -> None:
    form = {
        "prompt_list": listed("more.csv", 'key,text,tags\nbird,"A bird, singing",animal sky\nboat,A boat,\n'),
        "references": [file("bird.png", 1), file("boat.jpg", 2, form="JPEG")],
    }
    page = client.post(ADD, form, follow=True)
    assert page.redirect_chain == [(WAITING, 302)]
    assert "A bird, singing" in page.text
    assert 'alt="Reference of bird"' in page.text
    assert "24×16" in page.text
    assert scene.study.prompts.count() == 3  # nothing is added yet
    assert "waits to be looked at" in client.get(PROMPTS).text
    page = client.post(WAITING, {"to": "add"}, follow=True)
    assert "2 prompts added" in page.text
    bird = scene.study.prompts.get(key="bird")
    assert (bird.text, bird.tags, bird.position) == ("A bird, singing", ["animal", "sky"], 3)
    assert bird.reference is not None
    assert bird.reference.width == 24
    assert not PromptList.objects.exists()
    assert LogEntry.objects.filter(verb="added prompts").get().details["keys"] == "bird, boat"
    only = client.get(PROMPTS, {"tag": "sky"})
    assert [prompt.key for prompt in only.context["page"]] == ["bird"]
    assert client.get(PROMPTS, {"tag": "\0"}).status_code == 200
    # The button of the page that was left open in another tab finds nothing to do.
    again = client.post(WAITING, {"to": "add"})
    assert again.status_code == 409
    assert "No list of prompts waits here" in again.text
    assert client.get(WAITING).headers["Location"] == ADD


def test_lists_as_json_lines_and_pictures_alone(client: Client, scene: Scene, ada: User) -> None:
    lines = json.dumps({"key": "bird", "text": "A bird", "tags": ["animal"]}) + "\n\n" + json.dumps({"key": "boat"})
    for form in ({"prompt_list": listed("more.jsonl", lines)}, {"references": [file("hill.png", 3)]}):
        client.post(ADD, form)
        client.post(WAITING, {"to": "add"})
    assert list(scene.study.prompts.values_list("key", flat=True))[3:] == ["bird", "boat", "hill"]


def test_a_list_names_its_files(client: Client, scene: Scene, ada: User) -> None:
    rows = (
        "key,text,source_text,source,mask,reference\nbird,A bird in snow,A bird on grass,in/a.png,m.png,./out/b.png\n"
    )
    form = {
        "prompt_list": listed("edits.csv", rows),
        "named_files": [file("a.png", 11), file("m.png", 12), file("b.png", 13)],
    }
    client.post(ADD, form)
    assert said(scene) == []
    client.post(WAITING, {"to": "add"})
    bird = scene.study.prompts.get(key="bird")
    assert (bird.text, bird.source_text) == ("A bird in snow", "A bird on grass")
    assert bird.source is not None
    assert bird.mask is not None
    assert bird.reference is not None
    assert len({bird.source.sha256, bird.mask.sha256, bird.reference.sha256}) == 3
    assert "From: A bird on grass" in client.get(PROMPTS).text


def test_two_files_of_one_name_are_not_taken_for_each_other(client: Client, scene: Scene, ada: User) -> None:
    rows = "key,source\nbird,in/a.png\nboat,out/a.png\n"
    client.post(ADD, {"prompt_list": listed("edits.csv", rows), "named_files": [file("a.png", 11)]})
    assert [says for _, says in said(scene)] == [
        "“in/a.png”, its source, is not among the files.",
        "“out/a.png”, its source, is not among the files.",
        "a.png belongs to no prompt of the list.",
    ]
    both = zipped({"l.csv": rows.encode(), "in/a.png": picture(1), "out/a.png": picture(2)})
    client.post(ADD, {"archive": both})
    assert said(scene) == []
    client.post(
        ADD, {"archive": zipped({"l.csv": b"key,source\nx,a.png\n", "in/a.png": picture(1), "b/a.png": picture(2)})}
    )
    assert said(scene)[0] == (2, "“a.png”, its source, stands for 2 of the files.")


def test_a_zip_holds_the_list_and_its_files(client: Client, scene: Scene, ada: User) -> None:
    rows = "key,text,source\nbird,In snow,photos/one.png\nboat,At night,photos/two.png\n"
    archive = zipped(
        {
            "edits/list.csv": rows.encode(),
            "edits/photos/one.png": picture(21),
            "edits/photos/two.png": picture(22),
            "edits/masks/bird.png": picture(23),  # named after its prompt
            "edits/reference/boat.png": picture(24),
            "__MACOSX/edits/._list.csv.png": b"what a desktop adds",
        }
    )
    client.post(ADD, {"archive": archive})
    assert said(scene) == []
    client.post(WAITING, {"to": "replace"})
    assert list(scene.study.prompts.values_list("key", flat=True)) == ["bird", "boat"]
    bird, boat = scene.study.prompts.all()
    assert (bird.mask is not None, bird.reference is None, boat.mask is None) == (True, True, True)
    assert boat.reference is not None


def test_every_problem_is_said_by_its_line(client: Client, scene: Scene, ada: User) -> None:
    rows = [
        "key,text,source,mask,tags",
        "good,fine,good.png,,",
        "bad/key,slashed,,,",
        "good,twice,,,",
        "lost,missing file,nowhere.png,,",
        "torn,no picture,torn.png,,",
        "over,mask of another size,good.png,small.png,",
        "bare,mask alone,,small.png,",
        f"long,tag,,,{'t' * 65}",
        "more,fields,,,,than,named",
    ]
    files = [file("good.png", 31), SimpleUploadedFile("torn.png", b"no picture"), file("small.png", 32, size=(8, 8))]
    page = client.post(
        ADD,
        {"prompt_list": listed("a.csv", "\n".join(rows)), "named_files": [*files, file("spare.png", 33)]},
        follow=True,
    )
    found = said(scene)
    assert [line for line, _ in found] == [3, 4, 5, 6, 7, 8, 9, 10, 0]
    for part in (
        "got “bad/key”",
        "stands in line 2 already",
        "“nowhere.png”, its source, is not among the files",
        "torn.png is not a picture",
        "The mask of “over” is 8×8 pixels, and its source 24×16",
        "has a mask and no source",
        "has more than 64 characters",
        "has more fields than the first line names",
        "spare.png belongs to no prompt",
    ):
        assert sum(part in says for _, says in found) == 1, part
        assert part in page.text
    assert "Add them" not in page.text
    refused = client.post(WAITING, {"to": "add"})
    assert refused.status_code == 422
    assert "The list has 9 problems" in refused.text
    assert scene.study.prompts.count() == 3


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "Choose a list of prompts, a zip, or pictures"),
        ({"prompt_list": listed("a.csv", "name,text\na,b\n")}, "needs the columns key, text and tags"),
        ({"prompt_list": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}, "is not UTF-8 text"),
        ({"prompt_list": listed("a.csv", "key,text\na," + "b" * 200_000)}, "a.csv cannot be read as CSV"),
        ({"prompt_list": listed("a.csv", "key\n")}, "holds 0 prompts"),
        ({"named_files": [file("a.png", 1)]}, "Choose the list of prompts too"),
        ({"archive": zipped({"a.csv": b"key\na\n", "b.csv": b"key\nb\n"})}, "needs one list of prompts in it"),
        ({"archive": SimpleUploadedFile("a.zip", b"no zip")}, "The zip cannot be read"),
        ({"archive": zipped({"../a.csv": b"key\na\n"})}, "leads out of its folder"),
        ({"archive": zipped({"a.csv": b"key\na\n"}), "references": [file("a.png", 1)]}, "Choose either a zip"),
    ],
)
def test_what_cannot_be_read_at_all(
    client: Client, scene: Scene, ada: User, files: dict[str, object], sentence: str
) -> None:
    response = client.post(ADD, files)
    assert response.status_code == 422
    assert sentence in response.text
    assert not PromptList.objects.exists()


@pytest.mark.parametrize(
    ("files", "line", "sentence"),
    [
        ({"prompt_list": listed("a.jsonl", '{"key": "bird"}\nnonsense')}, 2, "Expected a JSON object"),
        ({"prompt_list": listed("a.jsonl", '{"key": "bird", "tags": "sky"}')}, 1, "“tags” is a list of words"),
        ({"prompt_list": listed("a.jsonl", '{"key": "bird", "text": 7}')}, 1, "“text” is a text"),
        ({"prompt_list": listed("a.jsonl", '{"key": "bird", "txt": "x"}')}, 1, "The field 'txt' is not known"),
        ({"prompt_list": listed("a.csv", "key,txt\na,b\n")}, 1, "The column 'txt' is not known"),
        ({"prompt_list": listed("a.csv", "key,text\na,b\0c\n")}, 2, "contains null or half characters"),
        ({"prompt_list": listed("a.jsonl", '{"key": "a", "tags": ["\\u0000"]}')}, 1, "null or half characters"),
        ({"prompt_list": listed("a.jsonl", '{"key": "\\ud800"}')}, 1, "null or half characters"),
        ({"prompt_list": listed("a.jsonl", "[" * 100_000)}, 1, "Expected a JSON object"),
        (
            {"prompt_list": listed("a.csv", "key\nnew\n"), "references": [file("old.png", 1)]},
            0,
            "old.png belongs to no",
        ),
        ({"references": [SimpleUploadedFile("new.png", b"no picture")]}, 0, "new.png is not a picture"),
        ({"masks": [file("cow.png", 1), file("cow.jpg", 2, form="JPEG")]}, 0, "a prompt has one mask"),
    ],
)
def test_what_does_not_do_in_a_list(
    client: Client, scene: Scene, ada: User, files: dict[str, object], line: int, sentence: str
) -> None:
    page = client.post(ADD, files, follow=True)
    assert [at for at, says in said(scene) if sentence in says] == [line]
    assert page.status_code == 200
    assert scene.study.prompts.count() == 3


def test_a_key_that_is_taken_leaves_replacing(client: Client, scene: Scene, ada: User) -> None:
    page = client.post(ADD, {"prompt_list": listed("a.csv", "key,text\nnew,N\ncat,A new cat\n")}, follow=True)
    assert "1 of its keys is in the study already (“cat”)" in page.text
    assert 'value="add"' not in page.text
    refused = client.post(WAITING, {"to": "add"})
    assert refused.status_code == 409
    assert "has a prompt “cat” already" in refused.text
    client.post(WAITING, {"to": "replace"})
    assert list(scene.study.prompts.values_list("key", "text", "position")) == [
        ("new", "N", 0),
        ("cat", "A new cat", 1),
    ]


@pytest.mark.django_db(transaction=True)
def test_what_is_put_away_or_replaced_leaves_no_file(client: Client, scene: Scene) -> None:
    client.force_login(scene.ada)
    client.post(ADD, {"references": [file("hill.png", 41)]})
    (first,) = Media.objects.all()
    client.post(ADD, {"references": [file("lake.png", 42)]})  # takes the place of the one that waited
    (second,) = Media.objects.all()
    assert first.pk != second.pk
    assert not default_storage.exists(first.path)
    client.post(WAITING, {"to": "discard"})
    assert not Media.objects.exists()
    assert not default_storage.exists(second.path)
    # One that a kept prompt has stays, whoever else had it.
    client.post(ADD, {"references": [file("hill.png", 41)]})
    client.post(WAITING, {"to": "add"})
    client.post(ADD, {"references": [file("hut.png", 41)]})
    client.post(WAITING, {"to": "discard"})
    assert default_storage.exists(Media.objects.get().path)


def test_one_prompt_by_hand_with_its_files(client: Client, scene: Scene, ada: User) -> None:
    form = {
        "key": "bird",
        "text": "In snow",
        "tags": "animal sky",
        "source": file("a.png", 51),
        "mask": file("a.png", 52),
    }
    page = client.post(TYPE, form, follow=True)
    assert "The prompt “bird” is added." in page.text
    bird = scene.study.prompts.get(key="bird")
    assert (bird.tags, bird.source is not None, bird.mask is not None) == (["animal", "sky"], True, True)
    for wrong, sentence in (
        ({"key": "bird"}, "a prompt “bird” already"),
        ({"key": "a/b"}, "without slashes"),
        ({"key": ""}, "see what is said beside the fields"),
        ({"key": "new", "source": SimpleUploadedFile("x.png", b"no picture")}, "x.png is not a picture"),
        ({"key": "new", "mask": file("m.png", 53)}, "has a mask and no source"),
    ):
        response = client.post(TYPE, wrong)
        assert response.status_code in {409, 422}
        assert sentence in response.text
    assert scene.study.prompts.count() == 4


def test_prompts_of_a_draft_are_removed(client: Client, scene: Scene, ada: User) -> None:
    page = client.post(REMOVE, {"key": "dog"}, follow=True)
    assert "The prompt “dog” is removed." in page.text
    assert list(scene.study.prompts.values_list("key", "position")) == [("cat", 0), ("tree", 1)]
    page = client.post(REMOVE, {"to": "all"}, follow=True)
    assert "2 prompts removed." in page.text
    assert scene.study.prompts.count() == 0


def test_outputs_that_were_promised_keep_the_prompts(client: Client, scene: Scene, ada: User) -> None:
    scene.post({"cat.png": picture(1)})
    response = client.post(REMOVE, {"to": "all"})
    assert response.status_code == 409
    assert "so none can be removed" in response.text
    client.post(ADD, {"prompt_list": listed("a.csv", "key\nnew\n")})
    assert client.post(WAITING, {"to": "replace"}).status_code == 409
    assert scene.study.prompts.count() == 3
    assert client.post(WAITING, {"to": "add"}).status_code == 302  # one more may still come


def test_an_open_study_takes_no_prompts(client: Client, scene: Scene, ada: User) -> None:
    client.post(ADD, {"prompt_list": listed("a.csv", "key\nnew\n")})
    services.publish_study(study=scene.study, actor=ada)
    assert "Add prompts" not in client.get(PROMPTS).text
    for address, form in ((ADD, {"prompt_list": listed("a.csv", "key\nnew\n")}), (TYPE, {"key": "new"})):
        response = client.post(address, form)
        assert response.status_code == 409
        assert "froze its prompts" in response.text
    assert client.post(WAITING, {"to": "add"}).status_code == 409
    assert client.post(REMOVE, {"to": "all"}).status_code == 409
    assert scene.study.prompts.count() == 3


def test_a_program_adds_all_or_none(scene: Scene) -> None:
    assert services.add_prompts(study=scene.study, actor=scene.ada, prompt_list=listed("a.csv", "key\nnew\n")) == 1
    with pytest.raises(Refusal, match=r"the list has 1 problem; line 2: A prompt's key is") as refused:
        services.add_prompts(study=scene.study, actor=scene.ada, prompt_list=listed("a.csv", "key\na/b\n"))
    assert refused.value.details["problems"][0]["line"] == 2
    assert not PromptList.objects.exists()
    with pytest.raises(Conflict, match="“new” already"):
        services.add_prompts(study=scene.study, actor=scene.ada, prompt_list=listed("a.csv", "key\nnew\n"))
    assert not PromptList.objects.exists()


def test_a_hostile_list_is_shown_as_text(client: Client, scene: Scene, ada: User) -> None:
    hostile = '"><script>alert(1)</script>'
    rows = json.dumps({"key": hostile.replace("/", ""), "text": hostile, "tags": [hostile], "source": hostile})
    page = client.post(ADD, {"prompt_list": listed(f"{hostile}.jsonl", rows)}, follow=True)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    assert reverse("prompts_add", args=["faces"]) in page.text
