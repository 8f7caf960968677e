"""Two contestants side by side: differences are those of the prompts, and intervals those of the textbook."""

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from scipy import stats

from evalhub.leaderboard.comparing import (
    VOTES,
    by_tag,
    compare,
    difference_of_shares,
    independent_difference,
    mean_difference,
)
from evalhub.studies.models import Checkpoint, Membership, Prompt, Role, User
from metrics.models import Run, RunState, SampleScore, Score
from raters import services
from tests.raters.ballots import ballot as make_ballot
from tests.raters.ballots import load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, make_desk

PROMPTS = 12


@pytest.fixture
def desk(db: None) -> Desk:
    desk = make_desk(prompts=PROMPTS)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    return load(desk)


@pytest.fixture
def member(desk: Desk, client: Client) -> Client:
    user = User.objects.create_user("researcher")
    Membership.objects.create(study=desk.study, user=user, role=Role.RESEARCHER)
    client.force_login(user)
    return client


def scored(desk: Desk, checkpoint: Checkpoint, values: np.ndarray, metric: str = "lpips", **more: object) -> Score:
    """A score with a value for each prompt, in the prompts' order."""
    run = Run.objects.create(
        submission=checkpoint.submission,
        metrics=[metric],
        protocol={},
        state=RunState.DONE,
        finished_at=timezone.now(),
    )
    score = Score.objects.create(
        run=run, metric=metric, value=float(values.mean()), fingerprint="a" * 64, n=len(values), **more
    )
    samples = [desk.samples[(checkpoint.pk, prompt.pk)] for prompt in desk.prompts]
    SampleScore.objects.bulk_create(
        SampleScore(score=score, sample=sample, value=value)
        for sample, value in zip(samples, values.tolist(), strict=True)
    )
    return score


class TestDifferences:
    def test_the_mean_has_students_interval(self) -> None:
        values = np.random.default_rng(3).normal(0.2, 1.0, 40)
        found = mean_difference(values, "high")
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))

    def test_its_interval_covers_the_truth_as_often_as_it_says(self) -> None:
        random = np.random.default_rng(4)
        hits = 0
        for _ in range(2_000):
            found = mean_difference(random.normal(0.1, 1.0, 25), "high")
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 0.1 <= found.high
        assert hits / 2_000 == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 2_000) ** 0.5)

    def test_a_case_worked_out_by_hand(self, desk: Desk) -> None:
        """Differences +0.1, 0, −0.1, +0.1, 0 and then none: mean 0.02, variance 0.007, t(4) = 2.776."""
        desk.prompts = desk.prompts[:5]
        scored(desk, desk.checkpoints[0], np.array([0.5, 0.4, 0.3, 0.2, 0.1]))
        scored(desk, desk.checkpoints[1], np.array([0.6, 0.4, 0.2, 0.3, 0.1]))
        (line,) = compare(desk.study, *desk.checkpoints[:2], with_votes=True).lines
        found = line.difference
        assert found.n == 5
        assert (found.value, found.low, found.high) == pytest.approx((0.02, 0.02 - 0.10388, 0.12388), abs=1e-4)
        assert found.verdict == ""

    def test_shares_have_wilsons_interval(self) -> None:
        """One vote on each of 8 prompts, 6 for the second: spread 3/16/7, so 7 votes; t(7) = 2.365, squared 5.591."""
        found = difference_of_shares(np.array([1.0] * 6 + [0.0] * 2))
        middle, width = (0.75 + 5.591 / 14) / (1 + 5.591 / 7), 5.591 * (0.1875 / 7 + 5.591 / (4 * 49))
        half = width**0.5 / (1 + 5.591 / 7)
        assert found.value == 0.5
        assert (found.low, found.high) == pytest.approx((2 * (middle - half) - 1, 2 * (middle + half) - 1), abs=1e-3)
        assert found.verdict == ""

    @pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
    def test_shares_that_are_all_alike_are_no_certainty(self, share: float) -> None:
        found = difference_of_shares(np.full(5, share))
        assert found.low is not None
        assert found.high is not None
        assert -1 <= found.low < found.high <= 1
        assert found.high - found.low > 0.5

    @pytest.mark.parametrize(("truth", "votes"), [(0.5, 1), (0.8, 1), (0.6, 4)])
    def test_their_interval_covers_as_often_as_it_says(self, truth: float, votes: int) -> None:
        random = np.random.default_rng(7)
        hits = 0
        for _ in range(1_000):
            chances = random.beta(6 * truth, 6 * (1 - truth), 30)
            found = difference_of_shares(random.binomial(votes, chances) / votes)
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 2 * truth - 1 <= found.high
        assert hits / 1_000 > 0.93

    def test_a_few_prompts_have_no_interval_and_no_verdict(self) -> None:
        found = mean_difference(np.array([0.5, 0.6, 0.7, 0.8]), "high")
        assert (found.low, found.high, found.verdict) == (None, None, "")

    def test_independent_widths_add_like_errors(self) -> None:
        first = Score(metric="fid", value=30.0, low=29.0, high=33.0, n=50)
        second = Score(metric="fid", value=20.0, low=16.0, high=21.0, n=60)
        found = independent_difference(first, second, "low")
        assert (found.value, found.low, found.high) == (-10.0, -15.0, -10.0 + 2**0.5)
        assert (found.n, found.verdict) == (50, "better")

    def test_less_is_better_where_it_is(self, desk: Desk) -> None:
        random = np.random.default_rng(5)
        alpha = random.uniform(0.3, 0.4, PROMPTS)
        scored(desk, desk.checkpoints[0], alpha)
        scored(desk, desk.checkpoints[1], alpha + random.normal(0.1, 0.01, PROMPTS))
        found = compare(desk.study, *desk.checkpoints[:2], with_votes=True)
        (line,) = found.lines
        assert line.differences
        assert (line.difference.n, line.difference.verdict) == (PROMPTS, "worse")
        turned = compare(desk.study, desk.checkpoints[1], desk.checkpoints[0], with_votes=True)
        assert turned.lines[0].difference.value == pytest.approx(-line.difference.value)
        assert turned.lines[0].difference.verdict == "better"

    def test_scores_of_different_protocols_are_not_compared(self, desk: Desk) -> None:
        values = np.linspace(0, 1, PROMPTS)
        scored(desk, desk.checkpoints[0], values)
        other = scored(desk, desk.checkpoints[1], values)
        Score.objects.filter(pk=other.pk).update(fingerprint="b" * 64)
        assert compare(desk.study, *desk.checkpoints[:2], with_votes=True).lines == ()


class TestPrompts:
    def test_they_are_sorted_by_what_got_worse_or_better(self, desk: Desk) -> None:
        values, changes = np.full(PROMPTS, 0.5), np.random.default_rng(6).permutation(PROMPTS) / 10.0
        scored(desk, desk.checkpoints[0], values)
        scored(desk, desk.checkpoints[1], values + changes)
        found = compare(desk.study, *desk.checkpoints[:2], with_votes=True)
        differences = found.differences(found.lines[0].column.key)
        assert differences is not None
        worst = [int(differences.prompts[place]) for place in differences.order("worst")]
        expected = [desk.prompts[place].pk for place in np.argsort(-changes)]  # of LPIPS, more is worse
        assert worst == expected
        assert [int(differences.prompts[place]) for place in differences.order("best")] == expected[::-1]

    def test_tags_have_means_of_their_own(self, desk: Desk) -> None:
        values, changes = np.full(PROMPTS, 0.5), np.arange(PROMPTS) / 10.0
        scored(desk, desk.checkpoints[0], values)
        scored(desk, desk.checkpoints[1], values + changes)
        for place, prompt in enumerate(desk.prompts):
            Prompt.objects.filter(pk=prompt.pk).update(tags=["night"] if place < 4 else ["day", "people"])
        found = compare(desk.study, *desk.checkpoints[:2], with_votes=True)
        differences = found.differences(found.lines[0].column.key)
        assert differences is not None
        tags = {one.tag: one.difference for one in by_tag(desk.study, differences, "worst")}
        assert list(tags) == ["day", "people", "night"]
        assert tags["night"].value == pytest.approx(changes[:4].mean())
        assert (tags["day"].n, tags["night"].n) == (PROMPTS - 4, 4)

    def test_votes_sort_them_too(self, desk: Desk) -> None:
        raters = people(desk, 3)
        ballots = [make_ballot(desk, rater, 0, 1, 0, "left") for rater in raters]
        ballots += [make_ballot(desk, rater, 1, 0, 1, "left") for rater in raters]
        ballots += [make_ballot(desk, raters[0], 0, 1, 2, "both_bad")]
        save(ballots)
        found = compare(desk.study, *desk.checkpoints[:2], with_votes=True)
        assert (found.said.first, found.said.second, found.said.undecided) == (3, 3, 1)
        differences = found.differences(VOTES)
        assert differences is not None
        order = [int(differences.prompts[place]) for place in differences.order("worst")]
        assert order == [desk.prompts[0].pk, desk.prompts[2].pk, desk.prompts[1].pk]

    def test_votes_that_do_not_count_are_not_told(self, desk: Desk) -> None:
        raters = people(desk, 2)
        vote_on_all(desk, raters, noisy(1))
        vote_on_all(desk, simulated_raters(desk, 1), noisy(2))
        owner = User.objects.create_user("owner")
        services.set_exclusion(enrolment=raters[0], reason="Always left.", actor=owner)
        found = compare(desk.study, *desk.checkpoints[:2], with_votes=True)
        assert found.said.votes == 2 * PROMPTS
        assert found.said.simulated == PROMPTS
        assert compare(desk.study, *desk.checkpoints[:2], with_votes=False).said.votes == 0


class TestPage:
    def test_it_shows_the_newest_beside_the_one_before(self, desk: Desk, member: Client) -> None:
        values = np.full(PROMPTS, 0.5)
        scored(desk, desk.checkpoints[1], values)
        scored(desk, desk.checkpoints[2], values + 0.1 + np.arange(PROMPTS) / 1_000)
        page = member.get("/studies/study/compare/").content.decode()
        assert "Gamma against Beta" in page
        assert "Worst regressions" in page
        assert ">Worse<" in page
        assert page.index("prompt-11") < page.index("prompt-0<")

    def test_votes_stand_beside_the_metrics_as_shares(self, desk: Desk, member: Client) -> None:
        """The newest, Gamma, is preferred on seven prompts of eight."""
        scored(desk, desk.checkpoints[1], np.full(PROMPTS, 0.5))
        scored(desk, desk.checkpoints[2], np.full(PROMPTS, 0.6))
        (rater,) = people(desk, 1)
        save([make_ballot(desk, rater, 1, 2, prompt, "right" if prompt else "left") for prompt in range(8)])
        text = " ".join(member.get("/studies/study/compare/").text.split())
        assert "People preferred Gamma 7 times and Beta 1 time; 0 answers preferred neither." in text
        assert '<td class="num">12%</td> <td class="num figure"><b>88%</b><small>' in text
        assert "8 prompts weighing alike" in text
        assert "<strong>+0.1000</strong>" in text
        assert "<strong>0%</strong> for Gamma" in member.get("/studies/study/compare/?by=votes").text

    def test_queries_do_not_grow_with_prompts(
        self, desk: Desk, member: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        scored(desk, desk.checkpoints[1], np.full(PROMPTS, 0.5))
        scored(desk, desk.checkpoints[2], np.full(PROMPTS, 0.6))
        with django_assert_max_num_queries(25):
            member.get("/studies/study/compare/")

    @pytest.mark.parametrize(
        "query", ["first=x", "first=&second=", "by=none", "order=sideways", "tag=%00", "page=99", "tag=nothing"]
    )
    def test_odd_addresses_are_answered(self, desk: Desk, member: Client, query: str) -> None:
        scored(desk, desk.checkpoints[1], np.full(PROMPTS, 0.5))
        scored(desk, desk.checkpoints[2], np.full(PROMPTS, 0.6))
        assert member.get(f"/studies/study/compare/?{query}").status_code == 200

    def test_hidden_ratings_stay_hidden(self, desk: Desk, member: Client) -> None:
        vote_on_all(desk, people(desk, 2), noisy(1))
        assert "People preferred" in member.get("/studies/study/compare/").content.decode()
        type(desk.study).objects.filter(pk=desk.study.pk).update(publishes_late=True)
        page = member.get("/studies/study/compare/").content.decode()
        assert "People preferred" not in page
        assert "publishes late" in page

    def test_raters_do_not_see_it(self, desk: Desk, client: Client) -> None:
        user = people(desk, 1)[0].rater.user
        assert user is not None
        client.force_login(user)
        assert client.get("/studies/study/compare/").status_code == 403
