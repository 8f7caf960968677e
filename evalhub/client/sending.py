"""Files on their way: read and hashed, then sent, several at a time: small ones together, large ones in pieces.

What begins with the first failure, or with Ctrl-C, ends within one chunk; what the site has of a file stays there.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

from evalhub.client.bundles import Bundle, contents, table
from evalhub.client.connection import Connection, Problem, Stopped
from evalhub.client.sources import Hashed, Source, take_hash

PIECE = 8 * 2**20
"""A file up to this size is one request; a larger one is sent in pieces of it."""

MOST_CORRECTIONS = 100

# What a site says that has no address, or no verb, for many files at once.
UNKNOWN = frozenset({404, 405})

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Watcher(Protocol):
    """Whoever is told of progress, from several threads. Sizes are in bytes."""

    def hashed(self, size: int) -> None:
        """A file has been read."""

    def missing(self, files: int, size: int) -> None:
        """So much is to be sent."""

    def sent(self, size: int) -> None:
        """So much more has gone out; less than nothing where it has to go out again."""

    def arrived(self, path: str) -> None:
        """The site is done with a file."""

    def noted(self, sentence: str) -> None:
        """Something that its user should know, and need do nothing about."""


class Unwatched:
    """Tells nobody."""

    def hashed(self, size: int) -> None: ...

    def missing(self, files: int, size: int) -> None: ...

    def sent(self, size: int) -> None: ...

    def arrived(self, path: str) -> None: ...

    def noted(self, sentence: str) -> None: ...


def hash_all(
    sources: Sequence[Source], at_once: int, watcher: Watcher, take: Callable[[Source], Hashed] = take_hash
) -> list[Hashed]:
    """Every source with its hash, in the same order. Raises: BadLayout when one cannot be read."""

    def one(source: Source) -> Hashed:
        hashed = take(source)
        watcher.hashed(hashed.size)
        return hashed

    return side_by_side(one, sources, at_once, threading.Event())


def side_by_side(
    work: Callable[[Thing], Result], things: Iterable[Thing], at_once: int, stop: threading.Event
) -> list[Result]:
    """The results in order. After a failure, or Ctrl-C, `stop` is set and what has not begun does not begin."""
    pool = ThreadPoolExecutor(at_once)
    futures: list[Future[Result]] = []
    try:
        futures = [pool.submit(work, thing) for thing in things]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in done if future.exception() is not None]
        if failed:
            failed[0].result()
        return [future.result() for future in futures]
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class Sender:
    """Sends files of one submission.

    Args: stop: once set, requests end at their next chunk.
    """

    def __init__(self, connection: Connection, submission: str, watcher: Watcher, stop: threading.Event) -> None:
        self.connection, self.submission, self.watcher, self.stop = connection, submission, watcher, stop
        self._is_older, self._noting, self._has_noted = threading.Event(), threading.Lock(), False

    def send_together(self, bundle: Bundle) -> None:
        """Send small files in one request, and those that the site had no time for in another; each in a request of its
        own where the site knows no other way. A file that the site finds bad is in the report.

        Raises: Problem when one is not, or no longer, promised.
        """
        while bundle and not self._is_older.is_set():
            try:
                bundle = self._send_once(bundle)
            except Problem as problem:
                if problem.status not in UNKNOWN:
                    raise
                self._is_older.set()
        for file in bundle:
            self.send(file, 0)  # were it the submission that is unknown, this would be told so
            self._note_older()

    def _note_older(self) -> None:
        with self._noting:
            if not self._has_noted:
                self._has_noted = True
                self.watcher.noted("This site takes one file in a request only: many small files take longer.")

    def _send_once(self, bundle: Bundle) -> Bundle:
        """Send a bundle; the files that the site had no time for."""
        size = sum(file.size for file in bundle)
        answer = self._ask("POST", "files/", lambda: contents(bundle), size, {}, beginning=table(bundle))
        outcomes = {outcome["sha256"]: outcome for outcome in answer["files"]}
        again = []
        for file in bundle:
            outcome = outcomes[file.sha256]
            if outcome["state"] != "missing":
                self.watcher.arrived(file.source.output.path)
            elif outcome["problem"]:
                raise Problem(409, outcome["problem"], {})
            else:
                self.watcher.sent(-file.size)
                again.append(file)
        return again

    def send(self, file: Hashed, here: int) -> None:
        """Send one file, of which `here` bytes are there. A file that the site finds bad is in the report."""
        try:
            if here == 0 and file.size <= PIECE:
                self._put(file, 0, file.size, {})
            else:
                self._send_pieces(file, here)
        except Problem as problem:
            if problem.status != 422:
                raise
        self.watcher.arrived(file.source.output.path)

    def _send_pieces(self, file: Hashed, here: int) -> None:
        corrections = 0
        self.watcher.sent(here)
        while True:
            length = min(PIECE, file.size - here)
            piece = f"{here}-{here + length - 1}" if length else "*"
            try:
                answer = self._put(file, here, length, {"Content-Range": f"bytes {piece}/{file.size}"})
            except Problem as problem:
                corrections += 1
                if problem.status != 409 or "offset" not in problem.details or corrections > MOST_CORRECTIONS:
                    raise
                # Another sender was there, or the answer to an earlier try was lost: the site knows where to go on.
                self.watcher.sent(problem.details["offset"] - here)
                here = problem.details["offset"]
                continue
            if "entries" in answer:
                return
            here = answer["offset"]

    def _put(self, file: Hashed, start: int, length: int, headers: dict[str, str]) -> Any:
        return self._ask("PUT", f"files/{file.sha256}/", lambda: file.read(start, length), length, headers)

    def _ask(
        self,
        method: str,
        path: str,
        chunks: Callable[[], Iterator[bytes]],
        length: int,
        headers: dict[str, str],
        beginning: bytes = b"",
    ) -> Any:
        """A request whose body is `beginning`, which is nobody's progress, and so many bytes of files."""
        told = 0

        def body() -> Iterator[bytes]:
            nonlocal told
            if beginning:
                yield beginning
            for chunk in chunks():
                if self.stop.is_set():
                    raise Stopped
                yield chunk
                told += len(chunk)
                self.watcher.sent(len(chunk))

        def content() -> Iterator[bytes]:
            nonlocal told
            self.watcher.sent(-told)  # of a try that failed
            told = 0
            return body()

        size = str(len(beginning) + length)
        try:
            return self.connection.ask(
                method,
                f"submissions/{self.submission}/{path}",
                content=content,
                headers={**headers, "Content-Length": size, "Content-Type": "application/octet-stream"},
            )
        except BaseException:
            self.watcher.sent(-told)
            raise
