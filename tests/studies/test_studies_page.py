"""The list of studies, a new study, its state."""

import pytest
from django.test import Client
from django.urls import reverse

from evalhub.studies import services
from evalhub.studies.models import Study, StudyState, User
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
    assert response.headers["Location"] == reverse("study_settings", args=["faces-at-4"])
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
    for name in ("prompts", "study_log", "members", "submissions"):
        text = client.get(reverse(name, args=["hostile"])).text
        assert "<script>alert" not in text
        assert ESCAPED in text
    assert "<script>alert" not in client.get(reverse("studies")).text
    assert "<script>alert" not in client.get(reverse("prompts", args=["hostile"]), {"tag": HOSTILE}).text
