"""The same numbers as evalica, choix and statsmodels on random votes."""

from dataclasses import replace

import choix
import evalica
import numpy as np
import pytest
import statsmodels.api as sm

from raters.ranking import Ranking, Votes, rank
from tests.ranking.simulated import World

WORLD = World(strengths=(-0.9, -0.4, 0.0, 0.3, 1.0), raters=30, prompts=25)


def votes_of(seed: int, decided: bool = False) -> Votes:
    votes = WORLD.votes(np.random.default_rng(seed), each=60)
    return votes.only(votes.outcome < 2) if decided else votes


def in_order(ranking: Ranking) -> np.ndarray:
    by_name = {row.name: row for row in ranking.rows}
    return np.array([(by_name[name].rating, by_name[name].se) for name in ranking.names])


def differences(votes: Votes) -> np.ndarray:
    """Design of the log-odds of left: strengths against the first contestant's, then the position effect."""
    design = np.zeros((len(votes), len(WORLD.strengths)))
    design[np.arange(len(votes)), votes.left] += 1
    design[np.arange(len(votes)), votes.right] -= 1
    return np.column_stack([design[:, 1:], np.ones(len(votes))])


def winners(votes: Votes) -> list[evalica.Winner]:
    return [(evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)[min(o, 2)] for o in votes.outcome]


@pytest.mark.parametrize("seed", range(3))
def test_bradley_terry_as_evalica(seed: int) -> None:
    votes = votes_of(seed)
    theirs = evalica.bradley_terry(
        votes.left.tolist(), votes.right.tolist(), winners(votes), tolerance=1e-12, limit=10_000
    )
    scores = np.log(theirs.scores.sort_index().to_numpy())
    ours = rank(votes, WORLD.names, model="bradley-terry", position=False, phantom=0, scale="log")
    assert ours.strengths == pytest.approx(scores - scores.mean(), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_davidson_as_evalica(seed: int) -> None:
    """Its Newman fit is Davidson's model; its tie parameter is half of ν."""
    votes = votes_of(seed)
    theirs = evalica.newman(votes.left.tolist(), votes.right.tolist(), winners(votes), tolerance=1e-12, limit=10_000)
    scores = np.log(theirs.scores.sort_index().to_numpy())
    ours = rank(votes, WORLD.names, position=False, phantom=0, scale="log")
    assert ours.strengths == pytest.approx(scores - scores.mean(), abs=1e-5)
    assert ours.tie.value == pytest.approx(2 * theirs.v, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_bradley_terry_as_choix(seed: int) -> None:
    votes = votes_of(seed, decided=True)
    won = [(a, b) if o == 0 else (b, a) for a, b, o in zip(votes.left, votes.right, votes.outcome, strict=True)]
    theirs = choix.ilsr_pairwise(len(WORLD.strengths), won, tol=1e-12, max_iter=1000)
    ours = rank(votes, WORLD.names, model="bradley-terry", position=False, phantom=0, scale="log")
    assert ours.strengths == pytest.approx(theirs - theirs.mean(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_phantom_as_choix_with_an_imaginary_opponent(seed: int) -> None:
    """Half a win and half a loss, by adding the votes twice over and one whole phantom game each way."""
    votes = votes_of(seed, decided=True)
    won = [(a, b) if o == 0 else (b, a) for a, b, o in zip(votes.left, votes.right, votes.outcome, strict=True)]
    k = len(WORLD.strengths)
    phantom = [game for i in range(k) for game in ((i, k), (k, i))]
    theirs = choix.ilsr_pairwise(k + 1, 2 * won + phantom, tol=1e-12, max_iter=1000)[:k]
    ours = rank(votes, WORLD.names, model="bradley-terry", position=False, scale="log")
    assert ours.strengths == pytest.approx(theirs - theirs.mean(), abs=1e-6)


@pytest.mark.parametrize("cluster", [(), ("rater",), ("prompt",), ("rater", "prompt")])
@pytest.mark.parametrize("seed", range(3))
def test_clustered_errors_as_statsmodels(seed: int, cluster: tuple[str, ...]) -> None:
    votes = votes_of(seed)
    won = np.array([1.0, 0.0, 0.5, 0.5])[votes.outcome]
    model = sm.GLM(won, differences(votes), family=sm.families.Binomial())
    assert votes.rater is not None
    assert votes.prompt is not None
    groups = {"rater": votes.rater, "prompt": votes.prompt}
    if not cluster:
        fit = model.fit(cov_type="HC0", tol=1e-14)
    else:
        columns = np.column_stack([groups[kind] for kind in cluster]).squeeze()
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": columns, "use_correction": False}, tol=1e-14)
    ours = rank(
        votes,
        WORLD.names,
        model="bradley-terry",
        phantom=0,
        cluster=cluster,
        cluster_correction="none",
        anchor="m0",
        scale="log",
    )
    assert in_order(ours)[1:, 0] == pytest.approx(fit.params[:-1], abs=1e-8)
    assert in_order(ours)[1:, 1] == pytest.approx(fit.bse[:-1], abs=1e-8)
    assert (ours.position.value, ours.position.se) == pytest.approx((fit.params[-1], fit.bse[-1]), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_small_correction_is_g_over_g_minus_one(seed: int) -> None:
    votes = votes_of(seed)
    plain, small = (
        rank(votes, WORLD.names, cluster=("rater",), cluster_correction=correction) for correction in ("none", "small")
    )
    assert in_order(small)[:, 1] == pytest.approx(in_order(plain)[:, 1] * np.sqrt(30 / 29), rel=1e-9)
    assert small.degrees_of_freedom == 29


@pytest.mark.parametrize("seed", range(3))
def test_davidson_as_a_poisson_regression(seed: int) -> None:
    """Davidson's model is log-linear: counts by ordered pair and answer, with a free total for each pair."""
    votes = votes_of(seed)
    k = len(WORLD.strengths)
    answer = np.minimum(votes.outcome, 2)
    counts = np.bincount((votes.left * k + votes.right) * 3 + answer, minlength=3 * k * k).reshape(k, k, 3)
    rows, heights = [], []
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    for number, (a, b) in enumerate(pairs):
        for which, half in ((0, 0.5), (1, -0.5), (2, 0.0)):
            row = np.zeros(k + 2 + len(pairs))
            row[a] += half
            row[b] -= half
            row[k], row[k + 1], row[k + 2 + number] = half, which == 2, 1
            rows.append(row[1:])  # the first contestant is the reference
            heights.append(counts[a, b, which])
    fit = sm.GLM(heights, np.array(rows), family=sm.families.Poisson()).fit(tol=1e-14)
    ours = rank(votes, WORLD.names, phantom=0, anchor="m0", scale="log", cluster=(), cluster_correction="none")
    assert in_order(ours)[1:, 0] == pytest.approx(fit.params[: k - 1], abs=1e-7)
    assert ours.position.value == pytest.approx(fit.params[k - 1], abs=1e-7)
    assert ours.tie.value == pytest.approx(np.exp(fit.params[k]), abs=1e-7)
    variances = np.diag(ours.model_covariance)
    errors = np.sqrt(variances + variances[0] - 2 * ours.model_covariance[0])[1:]
    assert errors == pytest.approx(fit.bse[: k - 1], abs=1e-7)


@pytest.mark.parametrize("cluster", [(), ("rater", "prompt")])
def test_covariates_as_statsmodels(cluster: tuple[str, ...]) -> None:
    """Scaled, not centred."""
    votes = votes_of(0)
    pixels = np.random.default_rng(9).normal(0.4, 2.0, len(votes))
    scale = np.sqrt(np.mean(pixels**2))
    assert votes.rater is not None
    assert votes.prompt is not None
    won = np.array([1.0, 0.0, 0.5, 0.5])[votes.outcome]
    model = sm.GLM(won, np.column_stack([differences(votes), pixels / scale]), family=sm.families.Binomial())
    groups = np.column_stack([votes.rater, votes.prompt])
    options = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}}
    fit = model.fit(**(options if cluster else {"cov_type": "HC0"}), tol=1e-14)
    ours = rank(
        replace(votes, covariates={"pixels": pixels}),
        WORLD.names,
        model="bradley-terry",
        phantom=0,
        cluster=cluster,
        cluster_correction="none",
        anchor="m0",
        scale="log",
    )
    assert in_order(ours)[1:, 0] == pytest.approx(fit.params[:-2], abs=1e-8)
    assert in_order(ours)[1:, 1] == pytest.approx(fit.bse[:-2], abs=1e-8)
    for effect, place in ((ours.position, -2), (ours.covariates["pixels"], -1)):
        assert (effect.value, effect.se) == pytest.approx((fit.params[place], fit.bse[place]), abs=1e-8)


# It warns that some of its statistics do not know weights; coefficients and sandwich do.
@pytest.mark.filterwarnings("ignore:cov_type not fully supported")
@pytest.mark.parametrize("cluster", [(), ("rater",)])
def test_weights_as_statsmodels(cluster: tuple[str, ...]) -> None:
    votes = votes_of(1)
    weight = np.random.default_rng(8).uniform(0.2, 3.0, len(votes))
    won = np.array([1.0, 0.0, 0.5, 0.5])[votes.outcome]
    model = sm.GLM(won, differences(votes), family=sm.families.Binomial(), var_weights=weight)
    groups = votes.rater if cluster else np.arange(len(votes))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}, tol=1e-14)
    ours = rank(
        replace(votes, weight=weight),
        WORLD.names,
        model="bradley-terry",
        phantom=0,
        cluster=cluster,
        cluster_correction="none",
        anchor="m0",
        scale="log",
    )
    assert in_order(ours)[1:, 0] == pytest.approx(fit.params[:-1], abs=1e-8)
    assert in_order(ours)[1:, 1] == pytest.approx(fit.bse[:-1], abs=1e-8)


def test_a_weight_of_two_is_the_vote_twice() -> None:
    votes = votes_of(2)
    heavy = rank(replace(votes, weight=np.full(len(votes), 2.0)), WORLD.names)
    twice = rank(votes.only(np.tile(np.arange(len(votes)), 2)), WORLD.names)
    assert in_order(heavy) == pytest.approx(in_order(twice), rel=1e-9)
    assert heavy.tie.value == pytest.approx(twice.tie.value)
