"""Advisory locks of PostgreSQL, one set per study. They vanish with the transaction or connection that holds them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from evalhub.studies.models import Study


def share_votes(study: Study) -> None:
    """Hold, until this transaction ends, that votes are being added; any number may hold it at once."""
    _ask("SELECT pg_advisory_xact_lock_shared(%s)", votes_key(study))


def share_many_votes(study: Study) -> None:
    """As `share_votes`, for a transaction that adds many. A ranking that waits for it does so at a lock that voters do
    not take: behind one who waits for all of them, everybody who votes would wait too."""
    _ask("SELECT pg_advisory_xact_lock_shared(%s)", _key(study, "many votes"))
    share_votes(study)


def votes_key(study: Study) -> int:
    """Under which that lock is taken, for a statement that does so itself."""
    return _key(study, "votes")


def one_arrival(study: Study, participant: str) -> None:
    """Hold, until this transaction ends, that this person arrives: two windows of hers make one rater."""
    _ask("SELECT pg_advisory_xact_lock(%s)", _key(study, f"arrival:{participant}"))


@contextmanager
def no_votes_under_way(study: Study) -> Iterator[None]:
    """Wait for every transaction that is adding votes, and let none begin to.

    Ids are given out before the commit, so without this a vote with a lower id could still appear after a higher one.
    """
    keys = (_key(study, "many votes"), votes_key(study))
    taken = []
    try:
        for key in keys:
            _ask("SELECT pg_advisory_lock(%s)", key)
            taken.append(key)
        yield
    finally:
        for key in reversed(taken):
            _ask("SELECT pg_advisory_unlock(%s)", key)


@contextmanager
def only_one(study: Study, work: str) -> Iterator[bool]:
    """Whether this is the only connection that does `work` on the study; holds that while the block runs."""
    key = _key(study, work)
    alone = bool(_ask("SELECT pg_try_advisory_lock(%s)", key))
    try:
        yield alone
    finally:
        if alone:
            _ask("SELECT pg_advisory_unlock(%s)", key)


def _ask(statement: str, key: int) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, [key])
        row = cursor.fetchone()
    return row[0] if row else None


def _key(study: Study, work: str) -> int:
    digest = hashlib.blake2b(f"{work}:{study.pk}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
