"""Talking to a site: one class, which sends a folder of outputs and reads what became of them."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from evalhub.client.layout import BadLayout, Layout, Output

TRIES = 6
LONGEST_PAUSE = 30.0
AT_ONCE = 4
CHUNK = 2**18
FACTS = ("family", "latency_p50", "latency_p95", "price", "gpu", "dtype", "notes")


class Problem(Exception):
    """The site said no, in a sentence. `status` is HTTP's."""

    def __init__(self, status: int, sentence: str, details: Mapping[str, Any]) -> None:
        super().__init__(sentence)
        self.status = status
        self.details = details


class Unreachable(Exception):
    """The site did not answer, however often it was asked; the message is a sentence."""


@dataclass(frozen=True)
class BadFile:
    path: str
    problem: str


@dataclass(frozen=True)
class Submission:
    """One delivery: its state (`incomplete`, `complete`), its page, what it lacks."""

    id: str
    state: str
    url: str
    study: str
    checkpoint: str
    step: int | None
    files: int
    received: int
    missing: tuple[str, ...]
    summary: str
    bad_files: tuple[BadFile, ...]
    missing_prompts: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Self:
        report = answer["report"]
        return cls(
            id=answer["id"],
            state=answer["state"],
            url=answer["url"],
            study=answer["study"],
            checkpoint=answer["checkpoint"]["name"],
            step=answer["checkpoint"]["step"],
            files=answer["files"],
            received=answer["received"],
            missing=tuple(file["sha256"] for file in answer["missing"]),
            summary=report["summary"],
            bad_files=tuple(BadFile(**bad) for bad in report["bad_files"]),
            missing_prompts=tuple(report["missing_prompts"]),
            duplicates=tuple(tuple(group) for group in report["duplicates"]),
        )

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"


@dataclass(frozen=True)
class Hashed:
    """A file on this machine, ready to be promised."""

    output: Output
    file: Path
    sha256: str
    size: int


class Client:
    """A site, seen with somebody's token. Close it, or use it in a `with`."""

    def __init__(self, url: str, token: str = "", *, timeout: float = 120.0, tries: int = TRIES) -> None:
        self.url = url.rstrip("/")
        self.tries = tries
        headers = {"Authorization": f"Token {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def login(self, username: str, password: str, *, name: str = "evalhub login") -> str:
        """A new token for that account."""
        answer = self._ask("POST", "login/", json={"username": username, "password": password, "name": name})
        return str(answer["token"])

    def studies(self) -> list[dict[str, Any]]:
        """Every study that the token's owner is a member of."""
        return list(self._pages("studies/"))

    def prompts(self, study: str) -> list[dict[str, Any]]:
        """What every contestant of a study is asked."""
        return list(self._pages(f"studies/{quote(study)}/prompts/"))

    def submissions(self, study: str) -> list[dict[str, Any]]:
        """What has been submitted to a study, newest first."""
        return list(self._pages(f"studies/{quote(study)}/submissions/"))

    def submission(self, submission_id: str) -> Submission:
        return Submission.read(self._ask("GET", f"submissions/{quote(submission_id, safe='')}/"))

    def runs(self, submission_id: str) -> list[dict[str, Any]]:
        """The machines' passes over a submission, newest first."""
        return list(self._ask("GET", f"submissions/{submission_id}/runs/"))

    def run(self, run_id: str) -> dict[str, Any]:
        """How far one run has come, and its scores."""
        return dict(self._ask("GET", f"runs/{quote(run_id, safe='')}/"))

    def metrics(self, submission_id: str) -> list[dict[str, Any]]:
        """Every metric that there is, and what is in the way of each for this submission."""
        return list(self._ask("GET", f"submissions/{quote(submission_id, safe='')}/metrics/"))

    def score(
        self,
        submission_id: str,
        metrics: Sequence[str] | None = None,
        *,
        protocol: str = "clean",
        dtype: str = "float32",
    ) -> dict[str, Any]:
        """Start a run over a complete submission; without `metrics`, of the usual ones."""
        wanted: dict[str, Any] = {"protocol": protocol, "dtype": dtype}
        if metrics is not None:
            wanted["metrics"] = list(metrics)
        return dict(self._ask("POST", f"submissions/{quote(submission_id, safe='')}/runs/", json=wanted))

    def leaderboard(self, study: str) -> dict[str, Any]:
        """Ratings by people and scores by machines."""
        return dict(self._ask("GET", f"studies/{quote(study)}/leaderboard/"))

    def submit(
        self,
        study: str,
        checkpoint: str,
        folder: Path,
        layout: Layout,
        *,
        step: int | None = None,
        facts: Mapping[str, Any] | None = None,
        hashed: Callable[[int], None] = lambda size: None,
        missing: Callable[[int, int], None] = lambda files, size: None,
        sent: Callable[[int], None] = lambda size: None,
    ) -> Submission:
        """Promise the files of a folder and send those that the site lacks. Called again, it goes on where it stopped.

        Args:
            layout: which file answers which prompt, from `evalhub.client.layout.find`.
            facts: what the checkpoint costs: any of FACTS.
            hashed, missing, sent: told of progress, in bytes (`missing`: files and bytes that are to be sent).
        Raises: Problem when the site refuses; Unreachable when it does not answer. A file that the site finds bad
            raises nothing: it is in the submission's report.
        """
        files = self._hash(folder, layout, hashed)
        manifest = {
            "checkpoint": {"name": checkpoint, "step": step, **(facts or {})},
            "files": [
                {
                    "path": file.output.path,
                    "sha256": file.sha256,
                    "size": file.size,
                    "prompt": file.output.prompt,
                    "seed": file.output.seed,
                }
                for file in files
            ],
        }
        begun = Submission.read(self._ask("POST", f"studies/{quote(study)}/submissions/", json=manifest))
        by_hash = {file.sha256: file for file in files}
        wanted = [by_hash[sha256] for sha256 in begun.missing]
        if not wanted:
            return begun
        missing(len(wanted), sum(file.size for file in wanted))
        self._send_all(begun.id, wanted, sent)
        return self.submission(begun.id)

    def _hash(self, folder: Path, layout: Layout, hashed: Callable[[int], None]) -> list[Hashed]:
        def one(output: Output) -> Hashed:
            path = folder / output.path
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
            hashed(size)
            return Hashed(output, path, digest, size)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, layout.outputs))

    def _send_all(self, submission_id: str, files: list[Hashed], sent: Callable[[int], None]) -> None:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for _ in pool.map(lambda file: self._send(submission_id, file, sent), files):
                pass
        finally:
            # After a refusal, or Ctrl-C, what has not begun does not begin.
            pool.shutdown(cancel_futures=True)

    def _send(self, submission_id: str, file: Hashed, sent: Callable[[int], None]) -> None:
        path = f"submissions/{submission_id}/files/{file.sha256}/"
        if file.file.stat().st_size != file.size:
            raise BadLayout(
                f"{file.output.path} changed while it was being submitted; submit again when it is finished."
            )
        try:
            self._ask("PUT", path, file=file)
        except Problem as problem:
            if problem.status != 422:  # the file is bad; the report will say so
                raise
        sent(file.size)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        following: str | None = path
        while following:
            answer = self._ask("GET", following)
            yield from answer["results"]
            following = answer["next"]

    def _ask(self, method: str, path: str, *, json: Any = None, file: Hashed | None = None) -> Any:
        """One request, repeated while the site is busy, restarting or out of reach."""
        reason = ""
        for attempt in range(self.tries):
            try:
                response = self._once(method, path, json, file)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
                pause = 0.0
            else:
                if response.status_code != 429 and (response.status_code < 500 or response.status_code == 507):
                    return _read(response)
                reason = f"HTTP {response.status_code}"
                pause = _asked_to_wait(response)
            if attempt + 1 < self.tries:
                time.sleep(pause or min(LONGEST_PAUSE, 0.5 * 2**attempt) * random.uniform(0.75, 1.25))
        raise Unreachable(f"{self.url} did not answer as it should ({reason}) in {self.tries} tries; try again later.")

    def _once(self, method: str, path: str, json: Any, file: Hashed | None) -> httpx.Response:
        if file is None:
            return self._http.request(method, path, json=json)
        headers = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
        return self._http.request(method, path, content=_chunks(file.file), headers=headers)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _asked_to_wait(response: httpx.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    return min(LONGEST_PAUSE * 2, float(asked)) if asked.isdigit() else 0.0


def _read(response: httpx.Response) -> Any:
    is_json = "json" in response.headers.get("Content-Type", "")
    answer = response.json() if is_json and response.content else None
    if response.is_success and (is_json or response.status_code == 204):
        return answer
    details = answer if isinstance(answer, dict) else {}
    sentence = details.get("detail") or (
        f"{response.request.url} answered with HTTP {response.status_code} and no explanation; is it an EvalHub site?"
    )
    raise Problem(response.status_code, sentence, details)
