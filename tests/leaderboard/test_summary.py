"""The sentences at the top: what the fit allows to be said, and no more."""

from typing import Any

import pytest
from django.test import Client

from evalhub.leaderboard.columns import FIXED, Column, metric_column, shown_columns
from evalhub.leaderboard.summary import _level, summary, votes_more
from evalhub.leaderboard.tables import leaderboard, ordered
from metrics.engine.registry import METRICS
from raters.models import Fit, Margin, Verdict
from tests.leaderboard.conftest import Scene


def sentences(scene: Scene) -> list[str]:
    return [sentence.text for sentence in summary(leaderboard(study=scene.study))]


def separate(scene: Scene, fit: Fit, **values: Any) -> None:
    """What the fit says of its first two."""
    upper, lower, _ = (str(checkpoint.pk) for checkpoint in scene.checkpoints)
    found = {"upper": upper, "lower": lower, "difference": 80.4, "low": -2.2, "high": 163.0, "sentence": "…"}
    fit.separations = [found | {"separated": False, "more_votes": 423} | values]
    fit.save()


def test_before_the_first_ranking_nothing_is_claimed(scene: Scene) -> None:
    assert sentences(scene) == []


def test_a_lead_that_is_not_settled_says_about_how_many_votes_are_missing(scene: Scene) -> None:
    separate(scene, scene.fit())
    assert sentences(scene) == [
        "Any of the two contestants may be the best: the votes do not say yet.",
        "plain is 80 Elo [−2, 163] above sharp, which is not settled: about 420 votes more between the two.",
    ]


def test_a_handful_of_votes_has_no_interval_that_is_worth_reading(scene: Scene) -> None:
    separate(scene, scene.fit(), low=-2.5e22, high=2.5e22)
    assert sentences(scene)[1] == "plain is above sharp so far; too few votes, or raters, to say by how much."


def test_a_settled_lead_says_by_how_much(scene: Scene) -> None:
    fit = scene.fit()
    fit.ratings.filter(checkpoint=scene.checkpoints[0]).update(rank_high=1)
    fit.ratings.filter(checkpoint=scene.checkpoints[1]).update(rank_low=2)
    separate(scene, fit, separated=True, low=12.0, high=56.0, difference=34.0, more_votes=0)
    assert sentences(scene) == ["plain is ahead of sharp by 34 Elo [12, 56]."]


def test_votes_that_would_not_settle_it_are_not_promised() -> None:
    assert votes_more(None).startswith("no number of votes")
    assert votes_more(1) == "about 1 vote more between the two"
    assert votes_more(123_456) == "about 120,000 votes more between the two"


def test_verdicts_alarms_and_agreement_are_said(scene: Scene, client: Client) -> None:
    fit = scene.fit()
    first, second, _ = scene.checkpoints
    margin = Margin.objects.create(
        study=scene.study, criterion=scene.criterion, candidate=first, baseline=second, margin=20
    )
    said = "Pass: plain is not worse than sharp by more than 20 Elo."
    Verdict.objects.create(margin=margin, fit=fit, outcome="pass", sentence=said)
    fit.influence = {"top": [], "alarm": "Without rater 7 sharp would lead.", "raters": []}
    fit.agreement = {"alpha": 0.512, "low": 0.4, "high": 0.6, "units": 31, "values": 90}
    fit.save()
    found = sentences(scene)
    assert said in found
    assert "Without rater 7 sharp would lead." in found
    agreed = (
        "Raters' agreement is weak: Krippendorff’s α = 0.51 [0.40, 0.60], on 31 pairs that were judged more than once."
    )
    assert agreed in found
    client.force_login(scene.vera)
    page = client.get("/studies/photographs/").content.decode()
    assert "May it ship?" in page
    assert "Without rater 7" in page


def test_every_column_orders_the_table(scene: Scene) -> None:
    scene.fit()
    for checkpoint, value in zip(scene.checkpoints, (3.0, 1.0, 2.0), strict=True):
        scene.score(checkpoint, "fid", value)
    board = leaderboard(study=scene.study)
    for column in (*board.heads, *FIXED):
        for key in (column.key, f"-{column.key}"):
            assert {row.checkpoint for row in ordered(board.rows, board.columns, key)} == set(scene.checkpoints)
    assert [row.cells[0].value for row in leaderboard(study=scene.study, sort="-fid:aaaaaaaa").rows] == [3, 2, 1]


def every_metric() -> list[Column]:
    return [metric_column(metric, "a" * 64) for metric in METRICS]


@pytest.mark.parametrize("versions", [1, 2])
def test_of_many_metrics_the_best_known_are_shown_unasked(versions: int) -> None:
    columns = [*every_metric(), *([metric_column("fid", "b" * 64)] if versions == 2 else [])]
    shown = [column for column in shown_columns(columns, []) if column.metric]
    assert len(columns) > 6
    assert len(shown) == 6
    assert {"fid", "clip_score", "lpips"} <= {column.metric for column in shown}
    assert len({column.metric for column in shown}) == 6


def test_whatever_is_asked_for_is_shown() -> None:
    keys = ["gpu", f"fid:{'a' * 8}", "nonsense"]
    assert [column.key for column in shown_columns(every_metric(), keys)] == [f"fid:{'a' * 8}", "gpu"]


def test_agreement_is_called_what_all_of_its_interval_says() -> None:
    levels = [_level(0.81, 0.9), _level(0.7, 0.9), _level(0.6, 0.9), _level(-0.7, 0.66)]
    assert levels == ["good", "fair or better", "not known well yet", "weak"]
