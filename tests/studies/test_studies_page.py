"""The list of studies, a new study, its prompts, settings, state and log."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from evalhub.studies import services
from evalhub.studies.models import LogEntry, Study, StudyState, User
from tests.submitting import Scene, picture

HOSTILE = '"><script>alert(1)</script>'
ESCAPED = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture
def ada(client: Client, scene: Scene) -> User:
    client.force_login(scene.ada)
    return scene.ada


def address(scene: Scene, name: str) -> str:
    return reverse(name, args=[scene.study.slug])


def test_the_list_tells_each_person_what_is_hers(client: Client, scene: Scene) -> None:
    scene.submit(scene.outputs())
    scene.post({"cat.png": picture(7)}, name="half")
    client.force_login(scene.vera)
    text = client.get(reverse("studies")).text
    assert "Faces" in text
    assert "Viewer" in text
    assert '1 <span class="unit">of 2</span>' in text  # complete checkpoints of all
    assert "Create a study" not in text
    client.force_login(scene.cy)
    assert "You are in no study" in client.get(reverse("studies")).text


def test_a_rater_finds_something_to_do_instead_of_a_table(client: Client, scene: Scene) -> None:
    client.force_login(scene.ria)
    text = client.get(reverse("studies")).text
    assert "Not open at the moment" in text
    services.publish_study(study=scene.study, actor=scene.ada)
    text = client.get(reverse("studies")).text
    assert "Start comparing" in text
    assert reverse("rate", args=[scene.study.slug]) in text
    assert "<table" not in text


def test_an_administrator_without_studies_is_told_how_to_begin(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root", password="a pass phrase for tests"))
    text = client.get(reverse("studies")).text
    assert "No studies yet" in text
    assert reverse("study_create") in text


def test_a_new_study_is_a_draft_of_its_maker(client: Client, ada: User) -> None:
    form = {"name": "Faces at 4×", "slug": "", "modality": "image", "question": "Which face is truer?"}
    response = client.post(reverse("study_create"), form)
    study = Study.objects.get(slug="faces-at-4")
    assert response.headers["Location"] == reverse("prompts", args=["faces-at-4"])
    assert study.state == StudyState.DRAFT
    assert study.memberships.get().user == ada
    assert study.criteria.get().question == "Which face is truer?"
    again = client.post(reverse("study_create"), form)
    assert again.status_code == 409
    assert "called “faces-at-4” already" in again.text
    assert Study.objects.filter(name="Faces at 4×").count() == 1


def test_a_study_needs_a_name_that_makes_an_address(client: Client, ada: User) -> None:
    for name, sentence in (("", "see what is said beside the fields"), ("雪", "give one, such as")):
        response = client.post(reverse("study_create"), {"name": name, "modality": "image", "question": "Which?"})
        assert response.status_code == 422
        assert sentence in response.text


def test_who_may_create_a_study(client: Client, scene: Scene) -> None:
    found = {}
    for who in ("ada", "ben", "vera", "ria", "cy"):
        client.force_login(getattr(scene, who))
        found[who] = client.get(reverse("study_create")).status_code
    assert found == {"ada": 200, "ben": 200, "vera": 403, "ria": 403, "cy": 403}


def listed(name: str, text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def test_prompts_are_added_from_a_table_with_their_pictures(client: Client, scene: Scene, ada: User) -> None:
    files = {
        "prompt_list": listed("more.csv", 'key,text,tags\nbird,"A bird, singing",animal sky\nboat,A boat,\n'),
        "references": [
            SimpleUploadedFile("bird.png", picture(1)),
            SimpleUploadedFile("boat.jpg", picture(2, form="JPEG")),
        ],
    }
    page = client.post(address(scene, "prompts"), files, follow=True)
    assert "2 prompts added" in page.text
    bird = scene.study.prompts.get(key="bird")
    assert (bird.text, bird.tags) == ("A bird, singing", ["animal", "sky"])
    assert bird.reference is not None
    assert bird.reference.width == 24
    assert 'alt="Reference of bird"' in page.text
    only = client.get(address(scene, "prompts"), {"tag": "sky"})
    assert [prompt.key for prompt in only.context["page"]] == ["bird"]
    assert client.get(address(scene, "prompts"), {"tag": "\0"}).status_code == 200


def test_prompts_are_added_from_json_lines_or_from_pictures_alone(client: Client, scene: Scene, ada: User) -> None:
    lines = json.dumps({"key": "bird", "text": "A bird", "tags": ["animal"]}) + "\n\n" + json.dumps({"key": "boat"})
    client.post(address(scene, "prompts"), {"prompt_list": listed("more.jsonl", lines)})
    client.post(address(scene, "prompts"), {"references": [SimpleUploadedFile("hill.png", picture(3))]})
    assert list(scene.study.prompts.values_list("key", flat=True))[3:] == ["bird", "boat", "hill"]


def test_prompts_of_an_editing_study_come_with_sources_masks_and_what_the_sources_show(
    client: Client, scene: Scene
) -> None:
    client.force_login(scene.ada)
    lines = "key,text,source_text\nbird,A bird in snow,A bird on grass\n"
    form = {
        "prompt_list": listed("edits.csv", lines),
        "sources": SimpleUploadedFile("bird.png", picture(11)),
        "masks": SimpleUploadedFile("bird.png", picture(12)),
        "references": SimpleUploadedFile("bird.png", picture(13)),
    }
    client.post(address(scene, "prompts"), form)
    bird = scene.study.prompts.get(key="bird")
    assert (bird.text, bird.source_text) == ("A bird in snow", "A bird on grass")
    assert bird.source is not None
    assert bird.mask is not None
    assert bird.reference is not None
    assert len({bird.source.sha256, bird.mask.sha256, bird.reference.sha256}) == 3
    page = client.get(address(scene, "prompts")).content.decode()
    assert "From: A bird on grass" in page
    twice = client.post(
        address(scene, "prompts"),
        {"masks": [SimpleUploadedFile("cow.png", picture(1)), SimpleUploadedFile("cow.jpg", picture(2))]},
    )
    assert "a prompt has one mask" in twice.content.decode()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "Choose a list of prompts"),
        ({"prompt_list": listed("a.csv", "name,text\na,b\n")}, "needs the columns key, text and tags"),
        ({"prompt_list": listed("a.jsonl", '{"key": "bird"}\nnonsense')}, "a.jsonl, line 2: expected a JSON object"),
        ({"prompt_list": listed("a.jsonl", '{"key": "bird", "tags": "sky"}')}, "“tags” is a list of words"),
        ({"prompt_list": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}, "is not UTF-8 text"),
        ({"prompt_list": listed("a.csv", "key,text\na,b\0c\n")}, "contains null or half characters"),
        ({"prompt_list": listed("a.csv", "key,text\na," + "b" * 200_000)}, "a.csv cannot be read as CSV"),
        ({"prompt_list": listed("a.csv", "key,text\na,A cat, in light\n")}, "a.csv, line 2: it has more fields"),
        ({"prompt_list": listed("a.jsonl", '{"key": "a", "tags": ["\\u0000"]}')}, "contains null or half characters"),
        ({"prompt_list": listed("a.jsonl", '{"key": "\\ud800"}')}, "contains null or half characters"),
        ({"prompt_list": listed("a.jsonl", "[" * 100_000)}, "a.jsonl, line 1: expected a JSON object"),
        ({"prompt_list": listed("a.csv", "key\n")}, "holds 0 prompts"),
        ({"prompt_list": listed("a.csv", "key\nnew\ncat\n")}, "has a prompt “cat” already"),
        (
            {"prompt_list": listed("a.csv", "key\nnew\n"), "references": [SimpleUploadedFile("old.png", picture(1))]},
            "old.png belongs to no prompt",
        ),
        ({"references": [SimpleUploadedFile("new.png", b"no picture")]}, "new.png is not a picture"),
    ],
)
def test_a_list_that_does_not_do_adds_nothing(
    client: Client, scene: Scene, ada: User, files: dict[str, object], sentence: str
) -> None:
    response = client.post(address(scene, "prompts"), files)
    assert response.status_code in {409, 422}
    assert sentence in response.text
    assert scene.study.prompts.count() == 3


def test_an_open_study_takes_no_prompts(client: Client, scene: Scene, ada: User) -> None:
    services.publish_study(study=scene.study, actor=ada)
    assert "Add prompts" not in client.get(address(scene, "prompts")).text
    response = client.post(address(scene, "prompts"), {"prompt_list": listed("a.csv", "key\nnew\n")})
    assert response.status_code == 409
    assert "froze its prompts" in response.text


def settings_form(**changes: str) -> dict[str, str]:
    form = {"name": "Faces", "description": "", "consent": "", "instructions": "", "votes_per_rater": ""}
    return form | {"presentation_edge": "4096"} | changes


def test_settings_are_saved_and_a_new_consent_is_asked_anew(client: Client, scene: Scene, ada: User) -> None:
    form = settings_form(consent="You agree.", votes_per_rater="40", works_without_javascript="on")
    client.post(address(scene, "study_settings"), form)
    scene.study.refresh_from_db()
    assert (scene.study.consent, scene.study.consent_version) == ("You agree.", 2)
    assert scene.study.votes_per_rater == 40
    assert scene.study.works_without_javascript
    client.post(address(scene, "study_settings"), form)
    scene.study.refresh_from_db()
    assert scene.study.consent_version == 2


def test_settings_that_do_not_do_change_nothing(client: Client, scene: Scene, ada: User) -> None:
    response = client.post(address(scene, "study_settings"), settings_form(name="", votes_per_rater="-1"))
    assert response.status_code == 422
    assert response.text.count("errorlist") == 2
    assert '<span class="study-name">Faces</span>' in response.text


def test_how_pictures_are_shown_is_frozen_by_opening(client: Client, scene: Scene, ada: User) -> None:
    services.publish_study(study=scene.study, actor=ada)
    client.post(address(scene, "study_settings"), settings_form(presentation_edge="512", description="New"))
    scene.study.refresh_from_db()
    assert (scene.study.presentation_edge, scene.study.description) == (4096, "New")


def test_open_pause_open_close(client: Client, scene: Scene, ada: User) -> None:
    for wanted in ("open", "open", "paused", "open", "closed"):
        assert client.post(address(scene, "study_state"), {"to": wanted}).status_code == 302
        scene.study.refresh_from_db()
        assert scene.study.state == wanted
    response = client.post(address(scene, "study_state"), {"to": "open"})
    assert response.status_code == 409
    assert "closed for good" in response.text
    assert client.post(address(scene, "study_state"), {"to": HOSTILE}).status_code == 422


def test_a_study_without_prompts_is_not_opened(client: Client, ada: User) -> None:
    services.create_study(slug="bare", name="Bare", actor=ada)
    response = client.post(reverse("study_state", args=["bare"]), {"to": "open"})
    assert response.status_code == 422
    assert "at least one prompt" in response.text


def test_the_log_shows_who_did_what(client: Client, scene: Scene, ada: User) -> None:
    client.post(address(scene, "study_state"), {"to": "open"})
    LogEntry.write(study=scene.study, actor=ada, verb="noted", subject=HOSTILE, reason=HOSTILE)
    text = client.get(address(scene, "study_log")).text
    assert "opened study" in text
    assert text.count(ESCAPED) == 2
    assert HOSTILE not in text


def test_every_text_of_a_study_is_shown_as_text(client: Client, ada: User) -> None:
    study = services.create_study(
        slug="hostile",
        name=HOSTILE,
        actor=ada,
        description=HOSTILE,
        consent=HOSTILE,
        instructions=HOSTILE,
        criteria=[("quality", HOSTILE, HOSTILE)],
    )
    key = HOSTILE.replace("/", "")
    services.add_prompt(study=study, key=key, text=HOSTILE, tags=[HOSTILE], actor=ada)
    for name in ("prompts", "study_settings", "study_log", "members", "submissions"):
        text = client.get(reverse(name, args=["hostile"])).text
        assert "<script>alert" not in text
        assert ESCAPED in text
    assert "<script>alert" not in client.get(reverse("studies")).text
    assert "<script>alert" not in client.get(reverse("prompts", args=["hostile"]), {"tag": HOSTILE}).text
