"""Two contestants with equal pixels and everything else different: can anything that a rater observes tell them apart?

A classifier is given all that reaches her over real HTTP in 500 impressions: addresses, headers and their order,
lengths, hashes, times, the markup around each side. It must stay at chance; and with one leak planted it must not, or
the test would prove nothing.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import numpy as np
import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.test import Client
from django.utils import timezone
from PIL import Image, PngImagePlugin
from pytest_django.live_server_helper import LiveServer
from scipy.stats import binom
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from evalhub.studies.models import Media, Membership, Prompt, Role, Sample, User
from raters import services, serving
from raters.models import Comparison, Enrolment, PresentationCopy
from raters.views import showing
from tests.raters.conftest import Desk, make_desk, noise

PROMPTS = 50
# How often a classifier that knows nothing would exceed the bound, per classifier.
FALSE_ALARM = 1e-4

Features = dict[str, float | str]


@dataclass
class Side:
    """What one side showed of itself."""

    address: str
    markup: str
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float

    def features(self) -> Features:
        """All of it as numbers and words; what is not a number is also cut into a few classes by its hash."""
        found: Features = {
            "seconds": self.seconds,
            "body length": len(self.body),
            "body class": _class(self.body),
            "markup": _class(re.sub(r"/shown/[\w-]+", "", self.markup).encode()),
            "markup length": len(self.markup),
            "address length": len(self.address),
            "header order": ",".join(name for name, _ in self.headers),
        }
        token = self.address.rsplit("/", 1)[1]
        for place in (*range(6), *range(-6, 0)):
            found[f"address {place}"] = ord(token[place])
        for kind, pattern in {"digits": r"\d", "capitals": "[A-Z]", "marks": "[-_]"}.items():
            found[f"address {kind}"] = len(re.findall(pattern, token))
        for name, value in self.headers:
            found[f"{name} class"] = _class(value.encode())
            found[f"{name} length"] = len(value)
            for place, number in enumerate(re.findall(r"[0-9a-fA-F]+", value)[:8]):
                found[f"{name} number {place}"] = min(float(int(number, 16)), 1e18)
        return found


@dataclass
class Impression:
    left: Side
    right: Side
    first_is_left: bool

    def features(self) -> Features:
        left, right = self.left.features(), self.right.features()
        both: Features = {f"left {name}": value for name, value in left.items()}
        both |= {f"right {name}": value for name, value in right.items()}
        for name in left.keys() & right.keys():
            one, other = left[name], right[name]
            if not isinstance(one, str) and not isinstance(other, str):
                both[f"difference {name}"] = one - other
        return both


def _class(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:1]


# -- the twins ----------------------------------------------------------------------------------------------------


@pytest.fixture
def twins(transactional_db: None) -> Desk:
    desk = make_desk(slug="study", prompts=PROMPTS)
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "Nightjar 7B, step 120000")
    exif = Image.Exif()
    exif[0x010E] = "Made by Kestrel"
    desk.contestant("Nightjar", lambda place, _: noise(place, 0), pnginfo=text, compress_level=9)
    desk.contestant(
        "Kestrel",
        lambda place, _: noise(place, 0).convert("RGBA"),
        format="TIFF",
        exif=exif,
        compression="tiff_deflate",
    )
    nightjar, kestrel = desk.checkpoints
    Media.objects.filter(samples__checkpoint=nightjar).update(created_at=timezone.now() - timedelta(days=90))
    originals = [
        set(Media.objects.filter(samples__checkpoint=one).values_list("sha256", flat=True))
        for one in (nightjar, kestrel)
    ]
    assert len(originals[0]) == len(originals[1]) == PROMPTS
    assert not originals[0] & originals[1]
    services.prepare_presentation(study=desk.study)
    return desk


def sessions(desk: Desk, url: str, count: int) -> Iterator[httpx.Client]:
    for number in range(count):
        enrolment = desk.rater(f"rater{number}")
        assert enrolment.rater.user is not None
        cookie = Client()
        cookie.force_login(enrolment.rater.user)
        # Kept open, a connection to Django's test server waits 40 ms for each acknowledgement.
        with httpx.Client(base_url=url, timeout=30, headers={"Connection": "close"}) as client:
            client.cookies.set(settings.SESSION_COOKIE_NAME, cookie.cookies[settings.SESSION_COOKIE_NAME].value)
            yield client


def observe(desk: Desk, url: str, raters: int) -> list[Impression]:
    """Every pair that so many raters see, with all that each side gives away."""
    return [impression for client in sessions(desk, url, raters) for impression in _session(desk, client)]


def _session(desk: Desk, client: httpx.Client) -> Iterator[Impression]:
    html = client.get("/rate/study/").text
    headers = {"HX-Request": "true", "X-CSRFToken": client.cookies[settings.CSRF_COOKIE_NAME]}
    for _ in range(PROMPTS):
        panes = re.findall(r'<div class="pane">.*?</div>', html, flags=re.DOTALL)
        assert len(panes) == 2
        left, right = (_fetch(client, pane) for pane in panes)
        form = dict(re.findall(r'name="(comparison|revision)" value="([^"]*)"', html.split('class="vote')[1]))
        truth = Comparison.objects.get(token=form["comparison"]).left_checkpoint_id == desk.checkpoints[0].pk
        yield Impression(left, right, truth)
        answered = client.post("/rate/study/vote/", data={**form, "answer.quality": "tie"}, headers=headers)
        assert answered.status_code == 200
        html = answered.text


def _fetch(client: httpx.Client, pane: str) -> Side:
    found = re.search(r"/shown/[\w-]+", pane)
    assert found
    began = time.perf_counter()
    response = client.get(found[0])
    seconds = time.perf_counter() - began
    assert response.status_code == 200
    headers = [(name.decode(), value.decode()) for name, value in response.headers.raw]
    return Side(found[0], pane, headers, response.content, seconds)


# -- the classifier -----------------------------------------------------------------------------------------------


def accuracy(impressions: list[Impression]) -> float:
    """How often the better of two classifiers names the contestant on the left, cross-validated."""
    table = DictVectorizer(sparse=False).fit_transform([impression.features() for impression in impressions])
    truth = np.array([impression.first_is_left for impression in impressions])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifiers = (
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)),
        HistGradientBoostingClassifier(max_iter=60, random_state=0),
    )
    with threadpool_limits(1):  # so small a problem is only slowed by threads that wait for each other
        return max(float((cross_val_predict(one, table, truth, cv=folds) == truth).mean()) for one in classifiers)


def bound(impressions: int) -> float:
    """What chance exceeds with probability `FALSE_ALARM`: 0.584 for 500 impressions."""
    return float(binom.ppf(1 - FALSE_ALARM, impressions, 0.5)) / impressions


@pytest.mark.timeout(600)
def test_500_impressions_of_twins_cannot_be_told_apart(twins: Desk, live_server: LiveServer) -> None:
    impressions = observe(twins, live_server.url, raters=10)
    assert len(impressions) == 500
    for impression in impressions:
        left, right = impression.left, impression.right
        assert left.body == right.body
        assert left.markup.replace(left.address, "").replace("Left", "") == right.markup.replace(
            right.address, ""
        ).replace("Right", "")
        steady = [[(name, value) for name, value in side.headers if name != "Date"] for side in (left, right)]
        assert steady[0] == steady[1]
    reached = accuracy(impressions)
    assert reached <= bound(500), f"{reached:.3f} of 500 named rightly; chance stays under {bound(500):.3f}"


def _etag(copy: PresentationCopy) -> tuple[str, str]:
    return "ETag", f'"{int(copy.media.created_at.timestamp()):x}-{copy.media.size:x}"'


def _name(copy: PresentationCopy) -> tuple[str, str]:
    return "Content-Disposition", f'inline; filename="output.{copy.media.format}"'


@pytest.mark.timeout(600)
@pytest.mark.parametrize("leak", [_etag, _name])
def test_a_planted_leak_is_found(
    twins: Desk,
    live_server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    leak: Callable[[PresentationCopy], tuple[str, str]],
) -> None:
    blind = serving.serve

    def leaking(request: HttpRequest, copy: PresentationCopy) -> HttpResponseBase:
        response = blind(request, copy)
        name, value = leak(copy)
        response[name] = value
        return response

    monkeypatch.setattr(showing, "serve", leaking)
    impressions = observe(twins, live_server.url, raters=2)
    reached = accuracy(impressions)
    assert reached > 0.9 > bound(len(impressions))


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
        f"/{comparison.left_copy.path}",
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

    for copy in (comparison.left_copy, comparison.right_copy):
        default_storage.delete(copy.path)
    client.raise_request_exception = False
    answers = [client.get(f"/shown/{token}") for token in (comparison.left_token, comparison.right_token)]
    assert {answer.status_code for answer in answers} == {500}
    assert answers[0].content == answers[1].content
    for secret in (comparison.left.media.sha256, "storage", "Traceback", comparison.left_copy.path):
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
