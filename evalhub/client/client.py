"""The client for programs: submit outputs, wait, read scores and the leaderboard, take preferences home."""

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

from evalhub.client.answers import Score, Submission, Unfinished
from evalhub.client.bundles import Bundle, bundled
from evalhub.client.connection import Connection, Problem, Unreachable
from evalhub.client.layout import BadLayout
from evalhub.client.references import send_reference
from evalhub.client.remembered import Remembered
from evalhub.client.sending import Sender, Unwatched, Watcher, hash_all, side_by_side
from evalhub.client.sources import Hashed, Source, gather
from evalhub.client.spool import Made, Maker, Spool

AT_ONCE = 8
FACTS = ("family", "latency_p50", "latency_p95", "price", "gpu", "dtype", "notes")
ASK_EVERY = 3.0

Outputs = str | Path | Sequence[str | Path] | Sequence[Source] | Iterable[Made] | Maker


class Client:
    """A site, seen with somebody's token. Close it, or use it in a `with`. Its methods may be called from any thread.

    Every request is repeated, with growing pauses or those that the site asks for, while the site is busy, restarting
    or out of reach. What would be done twice if it were asked twice carries an idempotency key.

    Args:
        url, token: of the site; without them EVALHUB_URL and EVALHUB_TOKEN.
        timeout: seconds after which an answer is not waited for any longer.
        patience: seconds for which a request is repeated before Unreachable is raised.
        at_once: how many requests send files side by side; a request has one large file, or many small ones.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 120.0,
        patience: float = 120.0,
        at_once: int = AT_ONCE,
    ) -> None:
        url = os.environ.get("EVALHUB_URL", "") if url is None else url
        token = os.environ.get("EVALHUB_TOKEN", "") if token is None else token
        if not url.startswith(("http://", "https://")):
            raise BadLayout(f"A site's address begins with https:// or http://, and got “{url}”; set EVALHUB_URL.")
        self.url, self._token, self._timeout = url.rstrip("/"), token, timeout
        self.patience, self.at_once = patience, at_once
        self._connection = Connection(self.url, token, timeout=timeout, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # -- looking ------------------------------------------------------------------------------------------------------

    def login(self, username: str, password: str, *, name: str = "evalhub login") -> str:
        """A new token for that account."""
        asked = {"username": username, "password": password, "name": name}
        return str(self._connection.ask("POST", "login/", json=asked)["token"])

    def studies(self) -> list[dict[str, Any]]:
        """Every study that the token's owner is a member of."""
        return list(self._connection.pages("studies/"))

    def prompts(self, study: str) -> list[dict[str, Any]]:
        """What every contestant of a study is asked."""
        return list(self._connection.pages(f"studies/{_word(study)}/prompts/"))

    def quota(self, study: str) -> dict[str, Any]:
        """What the study holds, has been promised and takes: `held_bytes`, `promised_bytes`, `quota_bytes`."""
        return dict(self._connection.ask("GET", f"studies/{_word(study)}/quota/"))

    def submissions(self, study: str) -> list[dict[str, Any]]:
        """What has been submitted to a study, newest first."""
        return list(self._connection.pages(f"studies/{_word(study)}/submissions/"))

    def submission(self, submission_id: str) -> Submission:
        """How far a submission has come."""
        return Submission.read(self._connection.ask("GET", f"submissions/{_word(submission_id)}/"), self)

    def runs(self, submission_id: str) -> list[dict[str, Any]]:
        """The machines' passes over a submission, newest first."""
        return list(self._connection.pages(f"submissions/{_word(submission_id)}/runs/"))

    def run(self, run_id: str) -> dict[str, Any]:
        """How far one run has come, and its scores."""
        return dict(self._connection.ask("GET", f"runs/{_word(run_id)}/"))

    def scores(self, submission_id: str) -> list[Score]:
        """The newest result of each metric and protocol, from the runs that have ended."""
        found: dict[tuple[str, str], Score] = {}
        for run in reversed(self.runs(submission_id)):
            if run["finished_at"] is not None:
                for score in run["scores"]:
                    found[score["metric"], score["fingerprint"]] = Score.read(score, run["id"])
        return list(found.values())

    def metrics(self, submission_id: str) -> list[dict[str, Any]]:
        """Every metric that there is, and what is in the way of each for this submission."""
        return list(self._connection.pages(f"submissions/{_word(submission_id)}/metrics/"))

    def leaderboard(self, study: str) -> dict[str, Any]:
        """Ratings by people and scores by machines: `rows` and the `fit` they rest on, as the API's schema says."""
        return dict(self._connection.ask("GET", f"studies/{_word(study)}/leaderboard/"))

    def export_preferences(self, study: str, file: str | Path, *, table: str = "preferences", **selection: Any) -> Path:
        """Write a study's preference pairs to a file, which is whole or not there.

        Args:
            file: its extension is the format: .parquet (with the pictures), .jsonl or .csv.
            table: `preferences` (the columns of Pick-a-Pic), `rewards` or `votes`.
            selection: narrows them: `criterion`, `tags`, `least_agreement`, `split`, … as the API's schema says.
        """
        target = Path(file)
        unfinished = target.with_name(f".{target.name}.unfinished")

        def take(pieces: Iterator[bytes]) -> None:
            with unfinished.open("wb") as out:
                for piece in pieces:
                    out.write(piece)

        params = {
            name: ",".join(value) if isinstance(value, list | tuple) else str(value)
            for name, value in selection.items()
        }
        try:
            path = f"studies/{_word(study)}/exports/{_word(table)}.{_word(target.suffix[1:])}"
            self._connection.download(path, params, take)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    # -- submitting ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        study: str,
        checkpoint: str,
        outputs: Outputs,
        *,
        step: int | None = None,
        facts: Mapping[str, Any] | None = None,
        spool: str | Path | None = None,
        watcher: Watcher | None = None,
    ) -> Submission:
        """Promise outputs and send those that the site lacks. Called again, it goes on where it stopped.

        Args:
            outputs: a folder, a manifest, tar shards or patterns of them (see `sources.gather`); or an iterable of
                (prompt key, seed, picture), the picture as bytes, path, Pillow image or numpy array; or a function that
                gives such an iterable, and is called with the (prompt key, seed) that an earlier try has kept, so that
                it need not make them again.
            facts: what the checkpoint costs: any of FACTS.
            spool: the folder where pictures of an iterable are kept until the submission is complete; by default one
                in the user's cache that this study, checkpoint and step have to themselves.
            watcher: told of progress.
        Raises: BadLayout when there is no sense in the outputs; Problem when the site refuses; Unreachable when it does
            not answer. A file that the site finds bad raises nothing: it is in the submission's report.
        """
        told = {"checkpoint": {"name": checkpoint, "step": step, **(facts or {})}}
        watcher = watcher or Unwatched()
        about = (self.url, study, checkpoint, step)
        remembered = Remembered(_cached("read", *about))
        found = _places(outputs)
        if found is not None:
            return self._submit(study, told, found, watcher, remembered)
        with Spool(Path(spool) if spool is not None else _cached("spool", *about)) as kept:
            kept.fill(cast("Iterable[Made] | Maker", outputs))  # which is what is no place
            submission = self._submit(study, told, kept.sources(), watcher, remembered)
            if submission.is_complete:
                kept.remove()
        return submission

    def _submit(
        self,
        study: str,
        told: Mapping[str, Any],
        sources: Sequence[Source],
        watcher: Watcher,
        remembered: Remembered,
    ) -> Submission:
        submission = self._deliver(study, told, hash_all(sources, self.at_once, watcher, remembered.hashed), watcher)
        if submission.is_complete:
            remembered.forget()
        return submission

    def _deliver(self, study: str, told: Mapping[str, Any], files: Sequence[Hashed], watcher: Watcher) -> Submission:
        manifest = {**told, "files": [_line(file) for file in files]}
        begun = self._connection.ask("POST", f"studies/{_word(study)}/submissions/", json=manifest)
        here = {file["sha256"]: file["offset"] for file in self._missing(begun)}
        wanted = [file for file in {file.sha256: file for file in files}.values() if file.sha256 in here]
        if not wanted:
            return Submission.read(begun, self)
        watcher.missing(len(wanted), sum(file.size for file in wanted))
        self._send(begun["id"], wanted, here, watcher)
        return self.complete(begun["id"])

    def _missing(self, begun: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        if begun["missing_more"] is None:
            return list(begun["missing"])
        return self._connection.pages(f"submissions/{_word(begun['id'])}/missing/")

    def _send(self, submission: str, files: Sequence[Hashed], here: Mapping[str, int], watcher: Watcher) -> None:
        stop = threading.Event()
        connection = Connection(
            self.url, self._token, timeout=self._timeout, patience=self.patience, stopped=stop.is_set
        )
        sender = Sender(connection, submission, watcher, stop)

        def send(bundle: Bundle) -> None:
            if len(bundle) > 1:
                sender.send_together(bundle)
            else:
                sender.send(bundle[0], here[bundle[0].sha256])

        try:
            side_by_side(send, bundled(files, here), self.at_once, stop)
        finally:
            connection.close()

    def complete(self, submission_id: str) -> Submission:
        """The submission as it is now, completed if nothing is in the way."""
        try:
            answer = self._connection.ask("POST", f"submissions/{_word(submission_id)}/complete/")
        except Problem as problem:
            if problem.status != 409:
                raise
            return self.submission(submission_id)
        return Submission.read(answer, self)

    def withdraw(self, submission_id: str, reason: str) -> None:
        """Withdraw the submission's checkpoint: it stays listed, with its votes, and raters are not shown it again."""
        self._once(f"submissions/{_word(submission_id)}/withdraw/", {"reason": reason})

    def restore(self, submission_id: str) -> None:
        """Take the withdrawal of the submission's checkpoint back."""
        self._once(f"submissions/{_word(submission_id)}/restore/", {})

    def add_reference(
        self, study: str, folder: str | Path, name: str, *, licence: str = "", watcher: Watcher | None = None
    ) -> dict[str, Any]:
        """Send a folder of real pictures, which the study's runs compare with from then on; what the site made of it.

        Called again, it goes on where it stopped. For the study's owners.

        Raises: BadLayout for a folder without pictures; Problem, for a picture that does not do or a name that other
            pictures have; Unreachable.
        """
        watcher = watcher or Unwatched()
        place = Path(folder)
        return send_reference(self._connection, _word(study), place, name, licence, self.at_once, watcher)

    # -- scoring ------------------------------------------------------------------------------------------------------

    def score(
        self,
        submission_id: str,
        metrics: Sequence[str] | None = None,
        *,
        protocol: str = "clean",
        dtype: str = "float32",
        key: str | None = None,
    ) -> dict[str, Any]:
        """Start a run over a complete submission; without `metrics`, of the usual ones.

        Args: key: of your choice; asked again with it within a day, even by another process, no second run is begun.
        """
        wanted: dict[str, Any] = {"protocol": protocol, "dtype": dtype}
        if metrics is not None:
            wanted["metrics"] = list(metrics)
        return dict(self._once(f"submissions/{_word(submission_id)}/runs/", wanted, key))

    def wait(self, submission_id: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """The runs of a complete submission, once there is one and all have ended; errors as of `Submission.wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: Submission | None = None
        while True:
            try:
                found = found or self.complete(submission_id)
                if not found.is_complete:
                    raise Unfinished(f"The submission cannot be scored yet. {found.summary}")
                runs = self.runs(submission_id)
                if runs and all(run["finished_at"] is not None for run in runs):
                    return runs
            except Unreachable as away:
                told = str(away)  # it may come back before the time is up
            else:
                told = f"its page is {found.url}"
            if deadline is not None and time.monotonic() + ASK_EVERY > deadline:
                raise Unfinished(f"The submission was not scored within {timeout:g} s; {told}.".replace("..", "."))
            time.sleep(ASK_EVERY)

    def _once(self, path: str, body: Mapping[str, Any], key: str | None = None) -> Any:
        return self._connection.ask("POST", path, json=body, headers={"Idempotency-Key": key or uuid.uuid4().hex})


def _places(outputs: Any) -> list[Source] | None:
    """The sources in places on disk; None when these outputs are made one by one."""
    if isinstance(outputs, str | Path):
        return gather([outputs]).sources
    if isinstance(outputs, list | tuple) and outputs and all(isinstance(each, str | Path) for each in outputs):
        return gather(outputs).sources
    if isinstance(outputs, list) and outputs and all(isinstance(each, Source) for each in outputs):
        return outputs
    return None


def _line(file: Hashed) -> dict[str, Any]:
    output = file.source.output
    return {
        "path": output.path,
        "sha256": file.sha256,
        "size": file.size,
        "prompt": output.prompt,
        "seed": output.seed,
    }


def _word(text: str) -> str:
    return quote(str(text), safe="")


def _cached(kind: str, url: str, study: str, checkpoint: str, step: int | None) -> Path:
    """Where something is kept for a submission until it is complete."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(repr((url, study, checkpoint, step)).encode()).hexdigest()[:16]
    return cache / "evalhub" / kind / name
