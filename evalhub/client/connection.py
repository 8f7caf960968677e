"""One site over HTTP: requests that are repeated while it is busy, restarting or out of reach."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

LONGEST_PAUSE = 30.0
SHORTEST_PAUSE = 0.25
# Of the time that a site has been away for: one that restarts is asked again soon, one that is down not too often.
SHARE_PAUSED = 0.25
# Answers that pass: too many requests, and a proxy or server that is restarting. 507 (the site is full) does not.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Problem(Exception):
    """The site said no, in a sentence. `status` is HTTP's; `details` is all that the answer says."""

    def __init__(self, status: int, sentence: str, details: Mapping[str, Any]) -> None:
        super().__init__(sentence)
        self.status = status
        self.details = details


class Unreachable(Exception):
    """The site did not answer, however long it was asked; the message is a sentence."""


class Stopped(Exception):
    """Somebody asked this program to stop; nothing is repeated."""


class Connection:
    """Args:
    patience: for how many seconds a request is repeated while the site does not answer as it should.
    stopped: asked before each try; when it says yes, Stopped is raised instead.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        patience: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self.stopped = stopped
        headers = {"Authorization": f"Token {token}"} if token else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        patient = httpx.Timeout(timeout, connect=min(timeout, 10.0), write=min(timeout, 30.0))
        self._http = httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=patient, limits=limits)

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: Callable[[], bytes | Iterator[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Any:
        """The answer's JSON.

        Args: content: gives the body, anew for each try.
        Raises: Problem when the site refuses, Unreachable when it does not answer as it should, Stopped.
        """

        def once() -> Any:
            body = None if content is None else content()
            return read(self._http.request(method, path, json=json, content=body, headers=headers))

        return self._repeatedly(once, self.patience if patience is None else patience)

    def download(self, path: str, params: Mapping[str, str], take: Callable[[Iterator[bytes]], None]) -> None:
        """Give the body of an answer to `take`, piece by piece; from its beginning again when the connection broke."""

        def once() -> None:
            with self._http.stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                    read(response)
                take(response.iter_bytes())

        self._repeatedly(once, self.patience)

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Every result of a list that comes in pages."""
        following: str | None = path
        while following:
            answer = self.ask("GET", following)
            yield from answer["results"]
            following = answer["next"]

    def _repeatedly(self, once: Callable[[], Any], patience: float) -> Any:
        failing_since: float | None = None
        deadline = time.monotonic() + patience
        while True:
            if self.stopped():
                raise Stopped
            try:
                return once()
            except httpx.TransportError as error:
                reason, asked = str(error) or type(error).__name__, 0.0
            except _Passing as answer:
                reason, asked = f"HTTP {answer.status}", answer.pause
            now = time.monotonic()
            failing_since = now if failing_since is None else failing_since
            wait = asked or pause(now - failing_since)
            if now + wait > deadline:
                raise Unreachable(
                    f"{self.url} did not answer as it should ({reason}) for {patience:g} s; try again later."
                )
            self._sleep(wait)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopped():
            time.sleep(min(left, 0.2))


class _Passing(Exception):
    """An answer that will be another one soon."""

    def __init__(self, status: int, pause: float) -> None:
        super().__init__(status)
        self.status, self.pause = status, pause


def pause(away: float) -> float:
    """The seconds to wait before a site is asked again that has not answered for `away` seconds; drawn, so that many
    who were cut off together do not all come back together."""
    return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, SHARE_PAUSED * away)) * random.uniform(0.5, 1.0)


def read(response: httpx.Response) -> Any:
    """The JSON of an answer. Raises: Problem, with the site's own sentence."""
    if response.status_code in PASSING:
        raise _Passing(response.status_code, retry_after(response.headers.get("Retry-After", "")))
    is_json = "json" in response.headers.get("Content-Type", "")
    answer = response.json() if is_json and response.content else None
    if response.is_success and (is_json or response.status_code == 204):
        return answer
    details = answer if isinstance(answer, dict) else {}
    sentence = details.get("detail") or (
        f"{response.request.url} answered with HTTP {response.status_code} and no explanation; is it an EvalHub site?"
    )
    raise Problem(response.status_code, sentence, details)


def retry_after(said: str) -> float:
    """The seconds that a Retry-After asks for, given as a number or as a date; 0 when it is neither."""
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
