"""References by the API: pictures come one by one, then a set is made of them, once and for good; for owners."""

import hashlib
from typing import Any

import pytest
from django.test import Client

from evalhub.studies.models import LogEntry, Media, Membership, Role, Study, User
from metrics import services
from metrics.models import Reference
from tests.metrics.material import grey, make_study

pytestmark = pytest.mark.django_db
PICTURES = {hashlib.sha256(each).hexdigest(): each for each in (grey(50 + level).content for level in range(3))}
ORDER = list(PICTURES)


@pytest.fixture
def study() -> Study:
    return make_study([grey(1), grey(2)])


def member(study: Study, role: str) -> Client:
    user, client = User.objects.create_user(role or "stranger"), Client()
    if role:
        Membership.objects.create(study=study, user=user, role=Role(role))
    client.force_login(user)
    return client


def make(client: Client, study: Study, images: list[str], name: str = "Real") -> Any:
    asked = {"name": name, "licence": "CC0", "images": images}
    return client.post(f"/api/v1/studies/{study.slug}/references/", asked, content_type="application/json")


def send(client: Client, study: Study, sha256: str, content: bytes) -> Any:
    address = f"/api/v1/studies/{study.slug}/reference-images/{sha256}/"
    return client.put(address, content, content_type="application/octet-stream")


def test_pictures_are_sent_and_a_set_is_made_of_them_once(study: Study) -> None:
    owner = member(study, "owner")
    lacking = make(owner, study, ORDER)
    assert (lacking.status_code, lacking.json()["missing"]) == (409, ORDER)
    assert "3 of 3 pictures are not here yet" in lacking.json()["detail"]
    for sha256, content in PICTURES.items():
        for _ in range(2):  # a second time it is not stored again
            answer = send(owner, study, sha256, content)
            assert (answer.status_code, answer.json()["sha256"], answer.json()["width"]) == (200, sha256, 8)
    assert Media.objects.filter(study=study, sha256__in=ORDER).count() == 3
    assert [make(owner, study, ORDER[::-1]).status_code for _ in range(2)] == [201, 200]
    reference = services.default_reference(study=study)
    assert reference == Reference.objects.get(name="Real")
    assert reference is not None
    assert [image.media.sha256 for image in reference.images.select_related("media")] == ORDER[::-1]
    other = make(owner, study, ORDER)
    assert other.status_code == 409
    assert "a reference never changes" in other.json()["detail"]
    (listed,) = owner.get(f"/api/v1/studies/{study.slug}/references/").json()["results"]
    assert (listed["name"], listed["licence"], listed["images"]) == ("Real", "CC0", 3)
    entry = LogEntry.objects.get(study=study, verb="imported references")
    assert entry.actor is not None
    assert entry.actor.username == "owner"


@pytest.mark.parametrize(
    ("sha256", "content", "status", "said"),
    [
        (ORDER[0], PICTURES[ORDER[1]], 422, "was said; send it again"),
        (hashlib.sha256(b"nothing").hexdigest(), b"nothing", 422, "The picture"),
        (ORDER[0], b"", 411, "with its size in bytes"),
        (ORDER[0], PICTURES[ORDER[0]][:-9], 422, "was said; send it again"),
    ],
)
def test_what_is_no_such_picture_is_not_kept(study: Study, sha256: str, content: bytes, status: int, said: str) -> None:
    before = Media.objects.count()
    answer = send(member(study, "owner"), study, sha256, content)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert Media.objects.count() == before


@pytest.mark.parametrize("images", [[], ORDER[:1], [ORDER[0], ORDER[0]]])
def test_a_set_has_different_pictures(study: Study, images: list[str]) -> None:
    answer = make(member(study, "owner"), study, images)
    assert (answer.status_code, "each named once" in answer.json()["detail"]) == (422, True)


def test_no_more_comes_in_than_the_quota_takes(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(quota_bytes=1)
    answer = send(member(study, "owner"), study, ORDER[0], PICTURES[ORDER[0]])
    assert (answer.status_code, answer.json()["quota_bytes"]) == (413, 1)


@pytest.mark.parametrize(
    ("role", "status", "seen"), [("researcher", 403, 200), ("viewer", 403, 200), ("rater", 403, 403), ("", 404, 404)]
)
def test_owners_make_them_and_members_see_them(study: Study, role: str, status: int, seen: int) -> None:
    client = member(study, role)
    assert make(client, study, ORDER).status_code == status
    assert send(client, study, ORDER[0], PICTURES[ORDER[0]]).status_code == status
    assert client.get(f"/api/v1/studies/{study.slug}/references/").status_code == seen
    assert not Media.objects.filter(sha256=ORDER[0]).exists()
