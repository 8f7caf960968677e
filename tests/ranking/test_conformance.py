"""The fits against published data sets, with the values of R's BradleyTerry2 1.1-2 on them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from raters.ranking import Ranking, Votes, rank
from raters.ranking.fit import Model

# Citations between journals (Agresti, Categorical Data Analysis): wins of the row over the column.
JOURNALS = ("Biometrika", "Communications in Statistics", "JASA", "JRSS-B")
CITATIONS = ((0, 730, 498, 221), (33, 0, 68, 17), (320, 813, 0, 142), (284, 276, 325, 0))

# Wins at home and away of the American League's eastern teams in 1987 (Agresti); the columns are home, away.
BASEBALL = Path(__file__).with_name("baseball1987.csv")


def citations() -> Votes:
    left, right = np.indices((4, 4)).reshape(2, -1)
    times = np.ravel(CITATIONS)
    return Votes(np.repeat(left, times), np.repeat(right, times), np.zeros(times.sum(), dtype=int))


def baseball() -> tuple[Votes, tuple[str, ...]]:
    home, away, outcome = [], [], []
    with BASEBALL.open(newline="") as file:
        for row in csv.DictReader(file):
            for winner, wins in (("left", int(row["home.wins"])), ("right", int(row["away.wins"]))):
                home += [row["home.team"]] * wins
                away += [row["away.team"]] * wins
                outcome += [winner] * wins
    return Votes.from_labels(home, away, outcome)


def ratings(ranking: Ranking) -> dict[str, float | None]:
    return {row.name: row.rating for row in ranking.rows}


def model_errors(ranking: Ranking, reference: int) -> np.ndarray:
    """Standard errors of the differences to the reference contestant, from the model alone."""
    covariance = ranking.model_covariance
    variances = np.diag(covariance)
    return np.sqrt(variances + variances[reference] - 2 * covariance[reference])


@pytest.mark.parametrize("model", ["bradley-terry", "davidson"])
def test_citations(model: Model) -> None:
    ranking = rank(
        citations(), JOURNALS, model=model, position=False, phantom=0, anchor="Biometrika", scale="log", cluster=()
    )
    found = ratings(ranking)
    assert [found[name] for name in JOURNALS] == pytest.approx([0, -2.94907250, -0.47956977, 0.26895406], abs=1e-6)
    assert model_errors(ranking, 0)[1:] == pytest.approx([0.1025453, 0.0605887, 0.0708300], abs=1e-6)
    assert not ranking.warnings


def test_citations_in_elo() -> None:
    ranking = rank(citations(), JOURNALS, model="bradley-terry", position=False, phantom=0, anchor="Biometrika")
    found = ratings(ranking)
    assert [found[name] for name in JOURNALS] == pytest.approx([1500, 987.694, 1416.690, 1546.722], abs=2e-3)


def test_citations_deviance() -> None:
    """Twice the gap to the log-likelihood of the saturated model."""
    ranking = rank(citations(), JOURNALS, model="bradley-terry", position=False, phantom=0)
    wins = np.array(CITATIONS, dtype=float)
    played = wins + wins.T
    share = np.divide(wins, played, out=np.ones_like(wins), where=played > 0)
    assert ranking.log_likelihood is not None
    assert 2 * ((wins * np.log(share)).sum() - ranking.log_likelihood) == pytest.approx(4.293384, abs=1e-6)


def test_baseball_has_a_home_advantage() -> None:
    votes, names = baseball()
    ranking = rank(votes, names, phantom=0, anchor="Baltimore", scale="log")
    without = rank(votes, names, phantom=0, position=False)
    assert ranking.position.value == pytest.approx(0.3022607, abs=1e-6)
    assert ratings(ranking)["Milwaukee"] == pytest.approx(1.6195550, abs=1e-6)
    assert ranking.log_likelihood is not None
    assert without.log_likelihood is not None
    assert 2 * (ranking.log_likelihood - without.log_likelihood) == pytest.approx(44.05346 - 38.64285, abs=1e-5)


def test_the_phantom_hardly_moves_the_established() -> None:
    plain = ratings(rank(citations(), JOURNALS, position=False, phantom=0))
    usual = ratings(rank(citations(), JOURNALS, position=False))
    for name in JOURNALS:
        assert usual[name] == pytest.approx(plain[name], abs=3)
