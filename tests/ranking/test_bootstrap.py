"""The bootstrap and the sandwich, found in unlike ways, agree."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import MalformedVotes, UnknownOption, Votes, bootstrap, rank
from raters.ranking.bootstrap import By
from tests.ranking.simulated import World

WORLD = World((-0.8, -0.2, 0.2, 0.8), raters=80, prompts=80)
VOTES = WORLD.votes(np.random.default_rng(0), each=25)


# The standard deviation of 400 replicates is known to about 4 %; the sandwich is itself an approximation.
@pytest.mark.parametrize(("by", "cluster"), [("rater", ("rater",)), ("prompt", ("prompt",)), ("vote", ())])
def test_it_agrees_with_the_sandwich(by: By, cluster: tuple[str, ...]) -> None:
    drawn = bootstrap(VOTES, WORLD.names, by=by, replicates=400)
    sandwich = rank(VOTES, WORLD.names, cluster=cluster, cluster_correction="none")
    assert np.sqrt(np.diag(drawn.covariance())) == pytest.approx(np.sqrt(np.diag(sandwich.covariance)), rel=0.15)
    assert drawn.strengths.mean(axis=0) == pytest.approx(sandwich.strengths, abs=0.03)
    assert drawn.failed == 0


def test_the_sandwich_that_ignores_raters_would_not_agree() -> None:
    drawn = bootstrap(VOTES, WORLD.names, by="rater", replicates=400)
    plain = rank(VOTES, WORLD.names, cluster=(), cluster_correction="none")
    assert np.trace(drawn.covariance()) > 1.5 * np.trace(plain.covariance)


def test_the_same_seed_draws_the_same() -> None:
    first, second, other = (bootstrap(VOTES, WORLD.names, replicates=5, seed=seed).strengths for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_contestant_without_votes_has_no_strength() -> None:
    drawn = bootstrap(VOTES, [*WORLD.names, "new"], replicates=5)
    assert np.isnan(drawn.strengths[:, 4]).all()
    assert np.isfinite(drawn.strengths[:, :4]).all()


def test_replicates_without_a_finite_fit_are_counted() -> None:
    """B's one win is missing from about a third of the draws, and phantom votes are off."""
    votes = Votes(np.zeros(9, dtype=int), np.ones(9, dtype=int), np.array([0] * 8 + [1]))
    drawn = bootstrap(votes, "AB", by="vote", model="bradley-terry", position=False, phantom=0, replicates=60)
    assert 5 < drawn.failed < 40


def test_what_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(MalformedVotes, match="needs the rater"):
        bootstrap(replace(VOTES, rater=None), WORLD.names)
    with pytest.raises(MalformedVotes, match="no finite fit"):
        bootstrap(VOTES.only(np.zeros(0, dtype=int)), WORLD.names)
    with pytest.raises(UnknownOption, match="twice or more"):
        bootstrap(VOTES, WORLD.names, replicates=1)
