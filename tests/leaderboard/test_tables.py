"""The join: which fit, which scores, in which order."""

from pytest_django import DjangoAssertNumQueries

from evalhub.leaderboard.tables import Leaderboard, leaderboard
from evalhub.studies.models import Checkpoint, Submission
from metrics.models import RunState
from tests.leaderboard.conftest import Scene


def names(board: Leaderboard) -> list[str]:
    return [row.checkpoint.name for row in board.rows]


def test_an_incomplete_submission_is_not_listed(scene: Scene) -> None:
    late = Checkpoint.objects.create(study=scene.study, name="late")
    Submission.objects.create(checkpoint=late)
    assert "late" not in names(leaderboard(study=scene.study))


def test_best_rating_first_and_unrated_last_whichever_way_round(scene: Scene) -> None:
    scene.fit()
    unrated = scene.checkpoints[2].name
    assert names(leaderboard(study=scene.study)) == ["plain", "sharp", unrated]
    assert names(leaderboard(study=scene.study, sort="rating")) == ["sharp", "plain", unrated]


def test_sorting_by_a_fact_and_by_a_metric(scene: Scene) -> None:
    for checkpoint, value in zip(scene.checkpoints, (30.0, 10.0, 20.0), strict=True):
        scene.score(checkpoint, "fid", value)
    board = leaderboard(study=scene.study, sort=f"fid:{'a' * 8}")
    assert [row.cells[0].value for row in board.rows] == [10.0, 20.0, 30.0]
    assert [row.checkpoint.latency_p50 for row in leaderboard(study=scene.study, sort="latency").rows] == [
        0.5,
        1.0,
        1.5,
    ]


def test_an_unknown_order_is_the_default_one(scene: Scene) -> None:
    scene.fit()
    assert names(leaderboard(study=scene.study, sort="'; drop table")) == names(leaderboard(study=scene.study))


def test_scores_of_different_fingerprints_never_share_a_column(scene: Scene) -> None:
    scene.score(scene.checkpoints[0], "fid", 10.0, "a" * 64)
    scene.score(scene.checkpoints[1], "fid", 11.0, "b" * 64)
    board = leaderboard(study=scene.study)
    assert len(board.columns) == 2
    for row in board.rows:
        assert sum(cell.value is not None for cell in row.cells) <= 1


def test_the_newest_score_of_a_fingerprint_is_shown(scene: Scene) -> None:
    scene.score(scene.checkpoints[0], "fid", 10.0)
    scene.score(scene.checkpoints[0], "fid", 12.0)
    board = leaderboard(study=scene.study, sort="name")
    assert [cell.value for row in board.rows for cell in row.cells if row.checkpoint.name == "plain"] == [12.0]


def test_a_score_that_waits_for_weights_says_why_in_its_metrics_column(scene: Scene) -> None:
    scene.score(scene.checkpoints[0], "fid", 10.0)
    scene.score(scene.checkpoints[1], "fid", None, "", note="Run the import.")
    scene.score(scene.checkpoints[1], "clip_score", None, "", note="Import a CLIP checkpoint.")
    board = leaderboard(study=scene.study)
    assert [column.metric for column in board.columns] == ["fid", "clip_score"]
    sharp = next(row for row in board.rows if row.checkpoint.name == "sharp")
    assert [cell.note for cell in sharp.cells] == ["Run the import.", "Import a CLIP checkpoint."]


def test_a_metric_that_a_worker_is_at_has_a_column_already(scene: Scene) -> None:
    scene.run(scene.checkpoints[0], state=RunState.RUNNING, finished_at=None)
    board = leaderboard(study=scene.study)
    assert [column.metric for column in board.columns] == ["fid", "lpips"]
    states = {row.checkpoint.name: {cell.state for cell in row.cells} for row in board.rows}
    assert states["plain"] == {"scoring"}
    assert states["sharp"] == {""}


def test_a_cancelled_runs_scores_are_not_shown(scene: Scene) -> None:
    score = scene.score(scene.checkpoints[0], "fid", 10.0)
    score.run.state = RunState.CANCELLED
    score.run.save(update_fields=["state"])
    assert leaderboard(study=scene.study).columns == ()


def test_few_votes_and_weak_scores_are_cautions(scene: Scene) -> None:
    fit = scene.fit()
    fit.ratings.filter(checkpoint=scene.checkpoints[0]).update(comparisons=7)
    scene.score(scene.checkpoints[0], "fid", 10.0, warnings=["FID on 96 samples is weak."])
    plain = leaderboard(study=scene.study).rows[0]
    assert plain.warnings[0].startswith("Few votes: 7")
    assert "FID on 96 samples is weak." in plain.warnings


def test_rates_are_shares_of_the_contestants_own_comparisons(scene: Scene) -> None:
    scene.fit()
    best, _, unrated = leaderboard(study=scene.study).rows
    assert (best.win_rate, best.tie_rate, best.both_bad_rate) == (0.5, 0.15, 0.05)
    assert unrated.win_rate is None


def test_the_newest_finished_fit_is_shown_and_an_older_one_on_request(scene: Scene) -> None:
    old, new = scene.fit(votes=10), scene.fit(votes=20)
    scene.fit(votes=99, error="broke").__class__.objects.filter(votes=99).update(state="failed")
    board = leaderboard(study=scene.study)
    assert board.fit == new
    assert leaderboard(study=scene.study, fit=old).fit == old


def test_queries_do_not_grow_with_contestants(
    scene: Scene, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    scene.fit()
    for checkpoint in scene.checkpoints:
        scene.score(checkpoint, "fid", 10.0)
        scene.score(checkpoint, "lpips", 0.1)
    with django_assert_max_num_queries(8):
        board = leaderboard(study=scene.study)
        assert len(board.rows) == 3
