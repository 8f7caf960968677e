"""Which metrics agree with people: what a worker finds out, when it does, and what the page then says."""

from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from scipy import stats

from evalhub.leaderboard import services
from evalhub.leaderboard.models import MetricAgreement
from evalhub.studies.models import Membership, Role, Sample, Study, User
from metrics.models import Run, RunState, SampleScore, Score
from raters.models import Comparison, Enrolment, Fit, Vote
from raters.services import refit
from tests.benchmarks._filled import filled_study

FINGERPRINT = "a" * 64
ADDRESS = "/studies/filled/leaderboard/metrics/"


def give_scores(study: Study, metric: str, *, rising: bool, per_sample: bool = True, seed: int = 0) -> None:
    """A value per contestant, and per sample, that rises or falls from the best contestant down."""
    random = np.random.default_rng(seed)
    for place, checkpoint in enumerate(study.checkpoints.order_by("name")):
        run = Run.objects.create(
            submission=checkpoint.submission,
            metrics=[metric],
            protocol={},
            state=RunState.DONE,
            finished_at=timezone.now(),
        )
        samples = list(Sample.objects.filter(checkpoint=checkpoint))
        values = (place if rising else -place) + random.normal(size=len(samples))
        score = Score.objects.create(
            run=run, metric=metric, value=float(values.mean()), n=len(samples), fingerprint=FINGERPRINT
        )
        if per_sample:
            SampleScore.objects.bulk_create(
                SampleScore(score=score, sample=sample, value=float(value))
                for sample, value in zip(samples, values, strict=True)
            )


@pytest.fixture
def study(db: None) -> Study:
    """Six contestants, 20 prompts and 3,000 votes, ranked; LPIPS falls where people like more, FID rises."""
    study = filled_study("filled", 3_000, contestants=6, prompts=20, raters=30)
    give_scores(study, "lpips", rising=True)
    give_scores(study, "fid", rising=False, per_sample=False)
    refit(study=study)
    return study


def found(study: Study) -> dict[str, MetricAgreement]:
    return {row.metric: row for row in services.find_agreement(study=study)}


def test_it_says_what_the_definitions_say(study: Study) -> None:
    rows = found(study)
    lpips, fid = rows["lpips"], rows["fid"]
    fit = Fit.objects.get(study=study)
    ratings = {rating.checkpoint_id: rating.rating for rating in fit.ratings.all()}
    scores = {score.run.submission.checkpoint_id: score.value for score in Score.objects.filter(metric="lpips")}
    pairs = np.array([(ratings[owner], -value) for owner, value in scores.items() if value is not None], dtype=float)
    assert lpips.tau == pytest.approx(stats.kendalltau(*pairs.T).statistic)
    assert lpips.rho == pytest.approx(stats.spearmanr(*pairs.T).statistic)
    assert lpips.tau is not None
    assert lpips.tau > 0.7
    assert fid.tau is not None
    assert fid.tau < -0.7
    assert lpips.tau_low is not None
    assert lpips.tau_high is not None
    assert lpips.tau_low <= lpips.tau <= lpips.tau_high
    assert (lpips.contestants, lpips.prompts, fid.per_sample, fid.accuracy) == (6, 20, False, None)


def test_accuracy_is_that_of_the_samples_shown(study: Study) -> None:
    lpips = found(study)["lpips"]
    values = dict(SampleScore.objects.values_list("sample", "value"))
    shown = dict(Comparison.objects.values_list("id", "left")), dict(Comparison.objects.values_list("id", "right"))
    hits = []
    for comparison, choice in Vote.objects.filter(choice__in=["left", "right"]).values_list("comparison", "choice"):
        left, right = (values[side[comparison]] for side in shown)
        hits.append((left < right) == (choice == "left"))
    assert lpips.decisions == len(hits)
    assert lpips.accuracy == pytest.approx(np.mean(hits))
    assert lpips.accuracy is not None
    assert lpips.accuracy_low is not None
    assert lpips.accuracy_low < lpips.accuracy


def test_votes_that_the_ranking_does_not_count_are_not_held_against_a_metric(study: Study) -> None:
    everybody = found(study)["lpips"].decisions
    enrolment = Enrolment.objects.filter(study=study).first()
    assert enrolment is not None
    Enrolment.objects.filter(pk=enrolment.pk).update(excluded_at=timezone.now(), exclusion_reason="Asleep.")
    theirs = Vote.objects.filter(rater=enrolment.rater, choice__in=["left", "right"]).count()
    assert theirs
    fits = refit(study=study)
    assert {row.metric: row.decisions for row in services.compare(fit=fits[0])}["lpips"] == everybody - theirs


def test_it_is_done_once_per_ranking_and_not_too_often(study: Study) -> None:
    assert services.studies_to_compare() == [study]
    assert len(found(study)) == 2
    assert services.studies_to_compare() == []
    assert found(study) == {}
    give_scores(study, "clip_score", rising=False)
    assert services.studies_to_compare() == []  # a minute has not passed
    earlier = timezone.now() - timedelta(seconds=61)
    MetricAgreement.objects.update(created_at=earlier)
    assert services.studies_to_compare() == [study]
    assert set(found(study)) == {"lpips", "fid", "clip_score"}
    assert MetricAgreement.objects.count() == 3


def test_nothing_is_due_without_scores(db: None) -> None:
    study = filled_study("filled", 200, contestants=3, prompts=5, raters=30)
    refit(study=study)
    assert services.studies_to_compare() == []
    assert services.find_agreement(study=study) == []


def test_the_page_shows_the_newest_comparison_there_is(study: Study, client: Client) -> None:
    user = User.objects.create_user("vera")
    Membership.objects.create(study=study, user=user, role=Role.VIEWER)
    client.force_login(user)
    assert "Not compared yet" in client.get(ADDRESS).content.decode()
    lpips = found(study)["lpips"]
    first = Fit.objects.get(study=study)
    refit(study=study)
    text = client.get(ADDRESS).content.decode()
    assert "whole set" in text
    assert lpips.tau is not None
    assert f"{lpips.tau:.2f}" in text
    assert str(first.pk) in text  # the comparison is with an earlier ranking, and says which
    sheet = client.get(ADDRESS.rstrip("/") + ".csv").content.decode()
    assert sheet.startswith("metric,tau,")
