"""What a rater with developer tools observes, and a classifier that tries to tell from it who made a side."""

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import numpy as np
from django.conf import settings
from django.test import Client
from scipy.stats import binom
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from raters.models import Comparison
from tests.raters.conftest import Desk

# How often a classifier that knows nothing would exceed the bound, per classifier.
FALSE_ALARM = 1e-4
TOKEN = re.compile(r"[\w-]{40,}")

Features = dict[str, float | str]


@dataclass
class Side:
    """What one side showed of itself."""

    address: str
    markup: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float

    def features(self) -> Features:
        """All of it as numbers and words; what is not a number is also cut into a few classes by its hash."""
        found: Features = {
            "seconds": self.seconds,
            "status": self.status,
            "body length": len(self.body),
            "body class": _class(self.body),
            "markup": _class(TOKEN.sub("", self.markup).encode()),
            "markup length": len(self.markup),
            **_of_token("address", self.address.rsplit("/", 1)[1]),
        }
        return found | _of_headers(self.headers)


@dataclass
class Impression:
    """One pair: both sides, which was asked for first, and all else that came while it was before her."""

    left: Side
    right: Side
    left_first: bool
    first_is_left: bool
    around: Features = field(default_factory=dict)

    def features(self) -> Features:
        left, right = self.left.features(), self.right.features()
        both: Features = {f"left {name}": value for name, value in left.items()}
        both |= {f"right {name}": value for name, value in right.items()}
        for name in left.keys() & right.keys():
            one, other = left[name], right[name]
            if not isinstance(one, str) and not isinstance(other, str):
                both[f"difference {name}"] = one - other
        return both | self.around | {"asked for first": float(self.left_first)}


def _class(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:1]


def _of_token(name: str, token: str) -> Features:
    found: Features = {f"{name} length": len(token)}
    for place in (*range(6), *range(-6, 0)):
        found[f"{name} {place}"] = ord(token[place])
    for kind, pattern in {"digits": r"\d", "capitals": "[A-Z]", "marks": "[-_]"}.items():
        found[f"{name} {kind}"] = len(re.findall(pattern, token))
    return found


def _of_headers(headers: list[tuple[str, str]]) -> Features:
    found: Features = {"header order": ",".join(name for name, _ in headers)}
    for name, value in headers:
        found[f"{name} class"] = _class(value.encode())
        found[f"{name} length"] = len(value)
        for place, number in enumerate(re.findall(r"[0-9a-fA-F]+", value)[:8]):
            found[f"{name} number {place}"] = min(float(int(number, 16)), 1e18)
    return found


def _of_answer(name: str, answer: httpx.Response) -> Features:
    """A whole answer of the desk's: its headers, length and, tokens apart, its text."""
    headers = [(key.decode(), value.decode()) for key, value in answer.headers.raw if key.lower() != b"date"]
    found = {f"{name} {key}": value for key, value in _of_headers(headers).items()}
    text = TOKEN.sub("", answer.text)
    return found | {f"{name} length": len(answer.text), f"{name} text": _class(text.encode())}


# -- sitting at the desk ------------------------------------------------------------------------------------------


def observe(desk: Desk, url: str, raters: int, first: int = 0) -> list[Impression]:
    """Every pair that so many raters see, with all that each side gives away. `first`: the number of the first."""
    numbers = range(first, first + raters)
    return [impression for client in _sessions(desk, url, numbers) for impression in _session(desk, client)]


def _sessions(desk: Desk, url: str, numbers: range) -> Iterator[httpx.Client]:
    for number in numbers:
        enrolment = desk.rater(f"rater{number}")
        assert enrolment.rater.user is not None
        cookie = Client()
        cookie.force_login(enrolment.rater.user)
        # Kept open, a connection to Django's test server waits 40 ms for each acknowledgement.
        with httpx.Client(base_url=url, timeout=30, headers={"Connection": "close"}) as client:
            client.cookies.set(settings.SESSION_COOKIE_NAME, cookie.cookies[settings.SESSION_COOKIE_NAME].value)
            yield client


def _session(desk: Desk, client: httpx.Client) -> Iterator[Impression]:
    """As the rating page does it: desks are fetched ahead, pictures from them, and answers sent behind her back."""
    page = client.get(f"/rate/{desk.study.slug}/")
    headers = {"HX-Request": "true", "X-Queued": "true", "X-CSRFToken": client.cookies[settings.CSRF_COOKIE_NAME]}
    desks = re.findall(r'<main id="desk".*?</main>', page.text, flags=re.DOTALL)
    around = _of_answer("page", page)
    for number in range(len(desk.prompts)):
        html = desks.pop(0)
        form = dict(re.findall(r'name="(comparison|revision)" value="([^"]*)"', html.split('class="vote')[1]))
        panes = re.findall(r'<div class="pane">.*?</div>', html, flags=re.DOTALL)
        assert len(panes) == 2
        left_first = number % 2 == 0
        sides = {place: _fetch(client, panes[place]) for place in ((0, 1) if left_first else (1, 0))}
        if not desks:
            wanted = {"held": form["comparison"], "shown": f"{form['comparison']}:0", "count": "5"}
            more = client.post(f"/rate/{desk.study.slug}/ahead/", data=wanted, headers=headers)
            assert more.status_code == 200
            desks = re.findall(r'<main id="desk".*?</main>', more.text, flags=re.DOTALL)
            around |= _of_answer("ahead", more)
        answer = {**form, "answer.quality": "tie", "milliseconds": "900"}
        voted = client.post(f"/rate/{desk.study.slug}/vote/", data=answer, headers=headers)
        assert voted.status_code == 204
        around |= {f"cookie {cookie.name}": len(cookie.value or "") for cookie in client.cookies.jar}
        around["desk"], around["desk length"] = _class(TOKEN.sub("", html).encode()), len(html)
        around |= _of_answer("voted", voted) | _of_token("comparison", form["comparison"])
        truth = Comparison.objects.get(token=form["comparison"]).left_checkpoint_id == desk.checkpoints[0].pk
        yield Impression(sides[0], sides[1], left_first, truth, around)
        around = {}


def _fetch(client: httpx.Client, pane: str) -> Side:
    found = re.search(r"/shown/[\w-]+", pane)
    assert found
    asked = {"Range": "bytes=0-"} if "<video" in pane else {}  # as every browser asks for a video
    began = time.perf_counter()
    response = client.get(found[0], headers=asked)
    seconds = time.perf_counter() - began
    assert response.status_code == (206 if asked else 200)
    headers = [(name.decode(), value.decode()) for name, value in response.headers.raw]
    return Side(found[0], pane, response.status_code, headers, response.content, seconds)


# -- telling apart ------------------------------------------------------------------------------------------------


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
