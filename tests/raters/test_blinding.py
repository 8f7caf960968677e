"""What a picture comes with, and what a curious rater opens: nothing that says which contestant made a side."""

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils import timezone

from evalhub.studies.models import Media, Membership, Prompt, Role, Sample, User
from raters import services
from raters.models import Comparison, Enrolment, Fit, Gold, GoldUse, Platform, Recruitment
from tests.raters.arrivals import way_in
from tests.raters.conftest import Desk, copies_of, make_desk, noise, offer, png, store
from tests.raters.gold_scenes import gold

# -- headers ------------------------------------------------------------------------------------------------------


def one_pair(desk: Desk, name: str = "ria") -> tuple[Client, Comparison, Enrolment]:
    enrolment = desk.rater(name)
    client = Client()
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    comparison = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert comparison is not None
    return client, comparison, enrolment


def test_a_picture_comes_with_these_headers_and_no_others(desk: Desk) -> None:
    client, comparison, _ = one_pair(desk)
    for token in (comparison.left_token, comparison.right_token):
        headers = dict(client.get(f"/shown/{token}").headers)
        headers.pop("Content-Length")
        assert headers == {
            "Content-Type": "image/webp",
            "Cache-Control": "private, max-age=600",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Content-Language": "en",
            "Vary": "Accept-Language, Cookie",
            "Content-Security-Policy": headers["Content-Security-Policy"],
        }
        assert "nonce" not in headers["Content-Security-Policy"]


def test_a_picture_is_sent_whole_whatever_is_asked(desk: Desk) -> None:
    """No part, no “not modified”: either would tell something about the file."""
    client, comparison, _ = one_pair(desk)
    address = f"/shown/{comparison.left_token}"
    whole = client.get(address)
    for asked in (
        {"Range": "bytes=0-9"},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Fri, 20 Nov 2099 06:00:00 GMT"},
    ):
        response = client.get(address, headers=asked)
        assert response.status_code == 200
        assert response.content == whole.content


# -- a curious rater ----------------------------------------------------------------------------------------------


def test_every_token_that_is_not_hers_now_gets_one_and_the_same_answer(desk: Desk) -> None:
    ria, own, _ = one_pair(desk)
    otto, others, _ = one_pair(desk, "otto")
    _, expired, _ = one_pair(desk, "eve")
    Comparison.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    eve = Client()
    eve.force_login(User.objects.get(username="eve"))
    answers = [
        ria.get(f"/shown/{others.left_token}"),
        ria.get(f"/shown/{others.right_token}"),
        otto.get(f"/shown/{own.left_token}"),
        ria.get(f"/shown/{own.token}"),
        ria.get(f"/shown/{'x' * 43}"),
        ria.get("/shown/1"),
        ria.get("/shown/a%00b"),
        eve.get(f"/shown/{expired.left_token}"),
        Client().get(f"/shown/{own.left_token}"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1


def test_a_rater_opens_nothing_that_names_a_contestant(desk: Desk) -> None:
    client, comparison, _ = one_pair(desk)
    services.cast_vote(token=comparison.token, rater=comparison.rater, answers={"quality": "left"})
    services.refit(study=desk.study)
    checkpoint, media = comparison.left_checkpoint, comparison.left.media
    submission = checkpoint.submission
    closed = [
        "/studies/study/",
        "/studies/study/submissions/",
        "/studies/study/submit/",
        "/studies/study/members/",
        "/studies/study/settings/",
        f"/submissions/{submission.pk}/",
        f"/studies/study/media/{media.pk}/",
        "/api/v1/studies/study/prompts/",
        "/api/v1/studies/study/submissions/",
        "/api/v1/studies/study/leaderboard/",
        f"/api/v1/submissions/{submission.pk}/",
        "/admin/",
        "/admin/raters/comparison/",
        "/admin/studies/checkpoint/",
        f"/{media.path}",
        f"/media/{media.path}",
        f"/{copies_of(comparison)[0].path}",
    ]
    for address in closed:
        response = client.get(address)
        assert response.status_code in {302, 401, 403, 404}, address
        if response.status_code == 302:
            assert response["Location"].startswith("/admin/login/"), address
    open_to_her = ["/studies/", "/rate/study/", "/api/schema/", "/metrics", "/healthz", "/readyz"]
    for address in [*closed, *open_to_her]:
        body = client.get(address).content.decode().replace(address, "")  # some echo where she is
        for secret in (*[one.name for one in desk.checkpoints], str(checkpoint.pk), media.sha256, str(submission.pk)):
            assert secret not in body, (address, secret)


def test_an_error_tells_nothing(desk: Desk) -> None:
    """The copy's file is gone: the answer is a plain failure, the same for any side."""
    client, comparison, _ = one_pair(desk)
    from django.core.files.storage import default_storage

    for copy in copies_of(comparison):
        default_storage.delete(copy.path)
    client.raise_request_exception = False
    answers = [client.get(f"/shown/{token}") for token in (comparison.left_token, comparison.right_token)]
    assert {answer.status_code for answer in answers} == {500}
    assert answers[0].content == answers[1].content
    for secret in (comparison.left.media.sha256, "storage", "Traceback", copies_of(comparison)[0].path):
        assert secret not in answers[0].content.decode()


def test_ids_say_nothing_of_whom_a_rater_may_become(desk: Desk) -> None:
    """Somebody who is owner of one study and rater of another sees names only in her own."""
    client, comparison, enrolment = one_pair(desk)
    other = make_desk(slug="own-study")
    assert enrolment.rater.user is not None
    Membership.objects.create(study=other.study, user=enrolment.rater.user, role=Role.OWNER)
    assert client.get("/studies/own-study/").status_code == 200
    assert client.get("/studies/study/").status_code == 403
    assert client.get(f"/studies/own-study/media/{comparison.left.media.pk}/").status_code == 404
    assert Prompt.objects.filter(study=other.study).exists()
    assert Sample.objects.filter(prompt__study=desk.study).exists()


# -- every address that there is ----------------------------------------------------------------------------------


def addresses(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Every address below these patterns, as it is written in the code."""
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            continue  # the administration's own, by regular expressions
        route = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield route


@pytest.fixture
def crowded(desk: Desk) -> Desk:
    """A study with one of everything that has an address."""
    for checkpoint, name in zip(desk.checkpoints, ("Nightjar", "Kestrel", "Bittern"), strict=True):
        checkpoint.name = name
        checkpoint.save()
    given = store(desk.study, png(noise(9, 9)), "png")
    Prompt.objects.filter(pk=desk.prompts[0].pk).update(source=given, reference=given)
    way_in(desk, Platform.LINK)
    gold(desk, GoldUse.CONTROL, prompt=3)
    services.prepare_presentation(study=desk.study)
    return desk


def test_no_address_at_all_tells_a_rater_who_made_what(crowded: Desk) -> None:
    """All that the site has, filled in with what is there, asked for and sent to by a rater who knows every number:
    whatever comes back, on her own pages too, names nothing. A room that adds an address is in here by itself."""
    client, comparison, enrolment = one_pair(crowded)
    assert enrolment.rater.user is not None
    services.cast_vote(token=comparison.token, rater=comparison.rater, answers={"quality": "left"})
    services.refit(study=crowded.study)
    checkpoint, media = comparison.left_checkpoint, comparison.left.media
    before = offer(crowded, enrolment)
    recruitment, known = Recruitment.objects.get(), Gold.objects.get()
    values: dict[str, list[object]] = {
        "slug": ["study"],
        "submission_id": [checkpoint.submission.pk],
        "media_id": [media.pk],
        "user_id": [enrolment.rater.user.pk],
        "rater_id": [enrolment.rater.pk],
        "recruitment_id": [recruitment.pk],
        "gold_id": [known.pk],
        "fit_id": [Fit.objects.latest("created_at").pk],
        "token": [before.left_token, before.token, recruitment.token, checkpoint.pk],
        "name": ["reference", "left"],
        "sha256": [media.sha256],
    }
    secrets = [
        *("nightjar", "kestrel", "bittern"),
        *(str(one.pk) for one in crowded.checkpoints),
        *(str(one.submission.pk) for one in crowded.checkpoints),
        *Media.objects.values_list("sha256", flat=True),
    ]
    asked = set()
    for route in addresses(get_resolver().url_patterns):
        parts = re.findall(r"<(?:(\w+):)?(\w+)>", route)
        for number in range(max([1, *(len(values.get(name, [0])) for _, name in parts)])):
            address = f"/{route}"
            for kind, name in parts:
                known_values = values.get(name, [OTHERWISE.get(kind, "x")])
                filled_in = known_values[min(number, len(known_values) - 1)]
                address = re.sub(rf"<(?:\w+:)?{name}>", str(filled_in), address)
            asked.add(address)
    assert len(asked) > 120
    client.raise_request_exception = False
    for address in sorted(asked):
        for ask in (client.get, client.post):
            answer = ask(address)
            body = b"".join(answer) if answer.streaming else answer.content
            told = (body.decode(errors="replace") + str(answer.headers) + str(answer.cookies)).lower()
            told = told.replace(address.lower(), "")  # some echo where she is
            assert answer.status_code != 500, address
            for secret in secrets:
                assert secret not in told, (ask, address, secret)
        client.force_login(enrolment.rater.user)  # one of them signs her out
    owner = Client()
    owner.force_login(User.objects.get(memberships__study=crowded.study, memberships__role=Role.OWNER, username="olga"))
    assert any(secret in owner.get("/studies/study/submissions/").text.lower() for secret in secrets)


OTHERWISE = {"int": 1, "uuid": uuid.UUID(int=7), "str": "x", "slug": "x", "path": "x", "": "x"}
