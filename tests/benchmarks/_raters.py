"""Many raters at once over HTTP, each doing what the desk's script does: leases pairs ahead, fetches their pictures,
votes, and says with each vote which pair is shown next. One process, so that it leaves the machine to the server."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

ENOUGH, FEW = 8, 5  # as static/js/ahead.js holds
QUICKEST = 3  # times as many votes as the others may come of one rater, so that none runs out of pairs
CHOICES = ("left", "right", "tie", "both_bad")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN = re.compile(rb'<main id="desk"[^>]*data-comparison="([\w-]+)"')
SIDE = re.compile(rb'(?:src|data-address)="(/shown/[\w-]+)"')


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes


@dataclass
class Connection:
    """One kept-alive HTTP/1.1 connection with its cookies, opened anew where the server has closed it."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def ask(self, verb: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        if self.writer is None or self.reader is None or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.writer.write(f"{verb} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        answer = await self._read()
        self.cookies |= answer.cookies
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def _read(self) -> Answer:
        assert self.reader is not None
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers, cookies = {}, {}
        for line in filter(None, head[1:]):
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                cookies[key] = rest.partition(";")[0]
            headers[name.lower()] = value
        return Answer(int(head[0].split()[1]), headers, cookies, await self._body(headers))

    async def _body(self, headers: dict[str, str]) -> bytes:
        assert self.reader is not None
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int(await self.reader.readline(), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readline()
        await self.reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


@dataclass
class Tally:
    """What came of it: seconds of each vote's request, what was refused, how long all of it took, and how many seconds
    of a core that took here, where the requests are made."""

    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wall: float = 0.0
    own: float = 0.0


@dataclass
class Rater:
    """One rater's browser. `pictures`: whether it fetches them."""

    port: int
    slug: str
    session: str
    pictures: bool
    csrf: str = ""

    def __post_init__(self) -> None:
        self.connection = Connection(self.port)
        self.stock: list[str] = []

    async def begin(self) -> None:
        """Open the desk, as after signing in."""
        await self.connection.ask("GET", "/accounts/login/")
        (name,) = (name for name in self.connection.cookies if "csrf" in name)
        self.connection.cookies[name.replace("csrf", "session")] = self.session
        page = await self.connection.ask("GET", f"/rate/{self.slug}/")
        assert page.status == 200, page.body
        found = re.search(rb'X-CSRFToken": "(\w+)"', page.body)
        assert found, "The desk's page has no token for forms."
        self.csrf = found[1].decode()
        await self._hold(page.body)
        await self._fill()

    async def vote(self, tally: Tally) -> None:
        """Answer the pair before her; the next one is shown at once."""
        token, *self.stock = self.stock
        values = {"comparison": token, "revision": "1", "milliseconds": "1500", "away": "0", "waited": "16"}
        values |= {"answer.quality": random.choice(CHOICES), "shown": f"{self.stock[0]}:2"}
        began = time.perf_counter()
        answer = await self._post("vote/", list(values.items()), {"X-Queued": "1"})
        tally.seconds.append(time.perf_counter() - began)
        if answer.status != 204:
            tally.refused.append(f"{answer.status}: {answer.body[:200]!r}")
        await self._fill()

    async def _fill(self) -> None:
        if len(self.stock) - 1 > FEW:
            return
        values = [("count", str(ENOUGH - len(self.stock) + 1)), *(("held", token) for token in self.stock)]
        await self._hold((await self._post("ahead/", values)).body)

    async def _hold(self, html: bytes) -> None:
        self.stock += [token.decode() for token in TOKEN.findall(html)]
        for address in SIDE.findall(html) if self.pictures else ():
            answer = await self.connection.ask("GET", address.decode())
            assert (answer.status, answer.body[8:12]) == (200, b"WEBP"), answer

    async def _post(self, where: str, values: list[tuple[str, str]], more: dict[str, str] | None = None) -> Answer:
        headers = {**FORM, "X-CSRFToken": self.csrf, "HX-Request": "true", **(more or {})}
        return await self.connection.ask("POST", f"/rate/{self.slug}/{where}", urlencode(values).encode(), headers)


def vote_all(raters: Sequence[Rater], votes: int) -> Tally:
    """So many votes in all, each rater as fast as she is answered."""
    return at_once([rater.vote for rater in raters], votes)


def at_once(doers: Sequence[Callable[[Tally], Awaitable[None]]], times: int) -> Tally:
    """Each does the next one as soon as it is done with the last, until all of them together did it so many times; none
    more than `QUICKEST` times its share."""
    tally, left = Tally(), times
    most = QUICKEST * -(-times // len(doers))

    async def work(do: Callable[[Tally], Awaitable[None]]) -> None:
        nonlocal left
        for _ in range(most):
            if left <= 0:
                return
            left -= 1
            await do(tally)

    async def everybody() -> None:
        await asyncio.gather(*(work(do) for do in doers))

    began, used = time.perf_counter(), time.process_time()
    _run(everybody())
    tally.wall, tally.own = time.perf_counter() - began, time.process_time() - used
    return tally


def begin_all(raters: Sequence[Rater]) -> None:
    async def everybody() -> None:
        await asyncio.gather(*(rater.begin() for rater in raters))

    _run(everybody())


def _run(work: Coroutine[Any, Any, object]) -> None:
    """In a thread of its own: the caller's may have a loop that runs already, as under a driven browser."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(LOOP.run_until_complete, work).result()


LOOP = asyncio.new_event_loop()  # connections outlive a round
