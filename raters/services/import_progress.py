"""How far a file of votes is. It is told from inside a transaction, so by Redis; nothing but what a page shows rests on
it."""

import logging
import time
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

from raters.models import VoteFile, VoteFileState
from raters.services.importing import FINDING, READING
from raters.services.staging import PAIRS, VOTES

log = logging.getLogger(__name__)

KEPT = 3600  # seconds
# What each stage takes of the whole, as measured with 100,000 lines; the last goes on after its last line.
LOOKING = {READING: 0.6, FINDING: 0.4}
ADDING = {READING: 0.12, FINDING: 0.1, PAIRS: 0.38, VOTES: 0.4}


@dataclass(frozen=True)
class Far:
    """How far it is.

    Attributes:
        stage: what is being done; done, total: lines of that stage, of about so many.
        share: of the whole; rate: lines a second in this stage; remaining: seconds to the end of the whole; the last
            two are None while nothing is known.
    """

    stage: str
    done: int
    total: int
    share: float
    rate: float | None
    remaining: float | None

    @property
    def is_estimate(self) -> bool:
        """How many lines a file has is known once it is read."""
        return self.stage == READING

    @property
    def left(self) -> str:
        """What remains, as people say it; empty while nothing is known."""
        if self.remaining is None:
            return ""
        seconds = max(1, round(self.remaining))
        return f"about {seconds} s left" if seconds < 100 else f"about {round(seconds / 60)} minutes left"


class Progress:
    """Tells how far one file is."""

    def __init__(self, vote_file: VoteFile) -> None:
        self.key = _key(vote_file)
        self.shares = LOOKING if vote_file.state == VoteFileState.LOOKING else ADDING
        self.began = self.stage_began = self.heard = time.monotonic()
        self.stage = READING

    def tell(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.stage:  # it began when the one before it was last heard of
            self.stage, self.stage_began = stage, self.heard
        self.heard = now
        names = list(self.shares)
        before = sum(self.shares[name] for name in names[: names.index(stage)])
        share = min(0.99, before + self.shares[stage] * min(1, done / max(1, total)))
        seconds, here = now - self.began, now - self.stage_began
        far = Far(
            stage=stage,
            done=min(done, total),
            total=total,
            share=share,
            rate=done / here if done and here > 0 else None,
            remaining=seconds * (1 - share) / share if share > 0.02 else None,
        )
        try:
            cache.set(self.key, far, timeout=KEPT)
        except (RedisError, OSError) as error:
            log.warning("Redis did not take how far an import is (%s); it goes on.", error)


def progress_of(vote_file: VoteFile) -> Far | None:
    """How far a worker is with it; None where nobody has told."""
    try:
        found: Far | None = cache.get(_key(vote_file))
    except (RedisError, OSError) as error:
        log.warning("Redis did not tell how far an import is (%s).", error)
        return None
    return found


def forget_progress(vote_file: VoteFile) -> None:
    try:
        cache.delete(_key(vote_file))
    except (RedisError, OSError) as error:
        log.warning("Redis did not forget how far an import was (%s); it will within the hour.", error)


def _key(vote_file: VoteFile) -> str:
    return f"vote-file:{vote_file.pk}"
