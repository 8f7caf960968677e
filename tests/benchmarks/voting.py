"""Fifty raters vote at once against the running system, as `make run` starts it: beside the least that a Django view
which stores a row can do (the limit), and beside Label Studio's next task and annotation (the peer)."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from urllib.parse import urlencode

import numpy as np

from evalhub import programs
from evalhub.embedded import free_port, wait_until
from evalhub.supervisor import Child
from tests.benchmarks import Claim, Measure, _label_studio
from tests.benchmarks._raters import (
    ENOUGH,
    FORM,
    QUICKEST,
    Connection,
    Rater,
    Tally,
    at_once,
    begin_all,
    vote_all,
)
from tests.systems import SOURCE, System, clean_environment, running

VOTES, RATERS, ROUNDS = 10_000, 50, 5
PICTURES = 1_000  # votes of the variant that fetches both pictures of every pair
ANNOTATIONS = 60  # of the peer in each round: it is slow
EDGE = 256


def measure(
    votes: int = VOTES, raters: int = RATERS, pictures: int = PICTURES, annotations: int = ANNOTATIONS
) -> Iterator[Measure | Claim]:
    with running() as system, one_insert(system) as inserter, _label_studio.running() as studio:
        voters = electorate(system, "votes", raters, pairs_for(votes // ROUNDS, raters, ROUNDS))
        lookers = electorate(system, "looks", raters, pairs_for(pictures, raters), pictures=True)
        inserters = [inserter(Connection(0)) for _ in range(raters)]
        studio.fill(annotations * (ROUNDS + 1))
        annotators = [studio.annotator().annotate for _ in range(raters)]
        begin_all([*voters, *lookers])
        at_once(annotators, annotations)  # the first are slower
        at_once(inserters, raters)

        ours, limit, theirs = [], [], []
        for _ in range(ROUNDS):
            ours.append(vote_all(voters, votes // ROUNDS))
            limit.append(at_once(inserters, votes // ROUNDS))
            theirs.append(at_once(annotators, annotations))
        looked = vote_all(lookers, pictures)
        yield from _report(ours, limit, theirs, looked, raters)
        refused = [sentence for tally in (*ours, looked) for sentence in tally.refused]
        yield Claim("votes refused", len(refused), high=0, note="; ".join(refused[:3]))
        given = votes // ROUNDS * ROUNDS + pictures
        yield Claim(f"votes stored, once each, of {given:,}", stored(system, "votes", "looks"), given, given)
        missed = [sentence for tally in (*limit, *theirs) for sentence in tally.refused]
        yield Claim("requests that the limit and Label Studio refused", len(missed), note="; ".join(missed[:3]))


def pairs_for(votes: int, raters: int, rounds: int = 1) -> int:
    """How many pairs the quickest rater may need, with those that she holds at the end."""
    return QUICKEST * rounds * -(-votes // raters) + ENOUGH + 1


def electorate(
    system: System, slug: str, raters: int, pairs: int, *, pictures: bool = False, edge: int = EDGE
) -> list[Rater]:
    """Raters of a new study that has at least so many pairs for each."""
    prompts = -(-(pairs + 10) // 6)  # four contestants
    command = [sys.executable, "-m", "tests.benchmarks._electorate", slug, str(raters), str(prompts), str(edge)]
    done = subprocess.run(command, cwd=SOURCE, env=system.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sessions = json.loads(done.stdout.splitlines()[-1])["sessions"]
    return [Rater(system.port, slug, session, pictures) for session in sessions]


def stored(system: System, *slugs: str) -> int:
    """How many comparisons of those studies have one vote each; -1 where some have more or another number is kept."""
    script = (
        "from django.db.models import Count, Sum; from raters.models import Comparison, Enrolment, Vote; "
        f"of = {{'study__slug__in': {slugs!r}}}; votes = Vote.objects.filter(**of); "
        "counts = set(votes.order_by().values('comparison').annotate(n=Count('id')).values_list('n', flat=True)); "
        "answered = Comparison.objects.answered().filter(**of).count(); "
        "kept = Enrolment.objects.filter(**of).aggregate(n=Sum('answers'))['n']; "
        "print('stored', answered if counts <= {1} and answered == votes.count() == kept else -1)"
    )
    return int(system.manage("shell", "-c", script).split("stored")[-1])


@contextlib.contextmanager
def one_insert(system: System) -> Iterator[Callable[[Connection], Callable[[Tally], Awaitable[None]]]]:
    """The limit: gunicorn with the options of `make run`, on the same database."""
    port = free_port()
    environment = {**clean_environment(), **settings_of(system)}
    made = [sys.executable, "-m", "tests.benchmarks._one_insert"]
    subprocess.run(made, cwd=SOURCE, env=environment, check=True)
    command = programs.web(environment, system.home, f"127.0.0.1:{port}").command
    swapped = ["tests.benchmarks._one_insert" if word == "evalhub.wsgi" else word for word in command]
    child = Child("one-insert", swapped, system.home / "logs" / "one-insert.log", environment)
    child.start()
    wait_until(lambda: _connect(port), child)
    body = urlencode({"comparison": 7, "choice": "left", "milliseconds": 1500}).encode()

    def inserter(connection: Connection) -> Callable[[Tally], Awaitable[None]]:
        connection.port = port

        async def insert(tally: Tally) -> None:
            began = time.perf_counter()
            answer = await connection.ask("POST", "/insert", body, FORM)
            tally.seconds.append(time.perf_counter() - began)
            if answer.status != 204:
                tally.refused.append(f"{answer.status}: {answer.body[:200]!r}")

        return insert

    try:
        yield inserter
    finally:
        child.stop()


def settings_of(system: System) -> dict[str, str]:
    """What the system has told the shells beside it: its database and the like."""
    lines = (system.home / "environment").read_text().splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), 1).close()


def _report(
    ours: list[Tally], limit: list[Tally], theirs: list[Tally], looked: Tally, raters: int
) -> Iterator[Measure | Claim]:
    each = [1_000 * tally.wall / len(tally.seconds) for tally in ours]
    votes = sum(len(tally.seconds) for tally in ours)
    yield Measure(
        f"a vote, of {votes:,} by {raters} raters at once, with its share of leasing pairs ahead",
        each,
        "one INSERT by a bare Django view",
        [1_000 * tally.wall / len(tally.seconds) for tally in limit],
        goal=0.5,
        unit="ms",
        note=f"{1_000 / median(each):.0f} votes/s; {_percentiles(ours)}; the limit's {_percentiles(limit)}; of the "
        f"machine's {os.cpu_count()} cores those who ask took {_own(ours)}, beside the limit {_own(limit)}",
    )
    yield Measure(
        "the same",
        each,
        "Label Studio on SQLite: next task and annotation",
        [1_000 * tally.wall / len(tally.seconds) for tally in theirs],
        goal=10.0,
        unit="ms",
        note=f"theirs, the annotation alone: {_percentiles(theirs)}",
    )
    yield Claim(
        f"votes a second with both pictures of every pair fetched ({EDGE} px)",
        len(looked.seconds) / looked.wall,
        note=_percentiles([looked]),
    )


def _own(tallies: list[Tally]) -> str:
    """How many cores the raters themselves took."""
    return f"{sum(tally.own for tally in tallies) / sum(tally.wall for tally in tallies):.2f}"


def _percentiles(tallies: list[Tally]) -> str:
    every = np.concatenate([tally.seconds for tally in tallies]) * 1_000
    return "p50/p95/p99 of a request {:.0f}/{:.0f}/{:.0f} ms".format(*np.percentile(every, [50, 95, 99]))
