"""Many raters at once against a whole running system: the benchmark's scaled copy."""

from tests.benchmarks._raters import begin_all, vote_all
from tests.benchmarks.voting import electorate, pairs_for, stored
from tests.systems import System

VOTES, RATERS = 500, 10


def test_every_vote_is_stored_once_and_none_is_refused(live: System) -> None:
    raters = electorate(live, "crowd", RATERS, pairs_for(VOTES, RATERS), pictures=True, edge=64)
    for rater in raters[3:]:
        rater.pictures = False  # a few who fetch them are enough
    begin_all(raters)
    tally = vote_all(raters, VOTES)
    assert tally.refused == []
    assert len(tally.seconds) == VOTES
    assert stored(live, "crowd") == VOTES
