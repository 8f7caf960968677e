"""May it ship? Margins registered before their votes, and what the votes say of them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Checkpoint, Criterion, User
from raters import services, tasks
from raters.models import Fit, Margin, Outcome, Verdict
from tests.raters.ballots import ballot, load, noisy, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, at_once

Rung = list[tuple[Any, ...]]
ALPHA, BETA, GAMMA = range(3)


@pytest.fixture
def wide_desk(bare_desk: Callable[..., Desk], rung: Rung) -> Desk:
    """Three contestants on a dozen prompts, so that the intervals are not those of four prompts."""
    desk = bare_desk(prompts=12)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    return load(desk)


def register(
    desk: Desk,
    candidate: int | Checkpoint = GAMMA,
    baseline: int | Checkpoint = BETA,
    margin: float = 50,
    **more: Any,
) -> Margin:
    """The claim of two contestants, given by their places or themselves."""
    two = [desk.checkpoints[one] if isinstance(one, int) else one for one in (candidate, baseline)]
    asked = {"study": desk.study, "criterion": desk.study.criteria.get(), "margin": margin, **more}
    owner, _ = User.objects.get_or_create(username="owner")
    return services.register_margin(candidate=two[0], baseline=two[1], actor=owner, **asked)


def ratings(fit: Fit) -> dict[str, float]:
    rows = fit.ratings.select_related("checkpoint")
    return {row.checkpoint.name: row.rating for row in rows if row.rating is not None}


def test_verdicts_come_with_each_fit(wide_desk: Desk, rung: Rung) -> None:
    """The best is not much worse than the worst, and the worst is much worse than the best."""
    desk = wide_desk
    better, worse = register(desk, GAMMA, ALPHA, 100), register(desk, ALPHA, GAMMA, 100)
    close = register(desk, BETA, GAMMA, 5)
    assert ("raters.refit", str(desk.study.pk)) in rung
    assert services.refit(study=desk.study) == []
    vote_on_all(desk, simulated_raters(desk, 12), noisy(3))
    (fit,) = services.refit(study=desk.study)
    verdicts = {verdict.margin: verdict for verdict in fit.verdicts.all()}
    assert verdicts[better].outcome == Outcome.PASS
    assert verdicts[better].sentence == "Pass: Gamma is not worse than Alpha by more than 100 Elo."
    assert verdicts[worse].outcome == Outcome.FAIL
    for verdict in (verdicts[better], verdicts[worse]):
        assert (verdict.more_votes, verdict.votes) == (0, 432)
        assert verdict.low is not None
        assert verdict.high is not None
        assert verdict.low < (verdict.difference or 0.0) < verdict.high
    rating = ratings(fit)
    apart = rating["Gamma"] - rating["Alpha"]
    assert verdicts[better].difference == pytest.approx(apart)
    assert verdicts[close].margin.after_vote == 0
    services.refit(study=desk.study)
    assert Verdict.objects.count() == 6  # every fit keeps its own


def test_undecided_says_how_many_votes_are_missing(desk: Desk, rung: Rung) -> None:
    load(desk)
    margin = register(desk, GAMMA, BETA, 40)
    vote_on_all(desk, simulated_raters(desk, 6), lambda left, right: "left")
    (fit,) = services.refit(study=desk.study)
    verdict = fit.verdicts.get(margin=margin)
    assert (verdict.outcome, verdict.votes) == (Outcome.UNDECIDED, 72)
    assert verdict.more_votes is not None
    assert verdict.more_votes > 0
    assert "votes more between the two" in verdict.sentence


def test_votes_before_the_registration_do_not_count(wide_desk: Desk) -> None:
    """Whoever looks first and registers then has to win again: the old votes decide nothing."""
    desk = wide_desk
    vote_on_all(desk, simulated_raters(desk, 12), noisy(3))
    margin = register(desk, GAMMA, ALPHA, 30)
    assert margin.after_vote == desk.study.votes.latest("id").pk
    (fit,) = services.refit(study=desk.study)
    verdict = fit.verdicts.get()
    assert (fit.votes, verdict.votes, verdict.outcome) == (432, 0, Outcome.UNDECIDED)
    assert verdict.sentence == "Undecided: no votes compare Gamma with Alpha yet."
    vote_on_all(desk, simulated_raters(desk, 12), noisy(3, spread=-1.5))  # opinions have turned
    (later,) = services.refit(study=desk.study)
    verdict = later.verdicts.get()
    assert (later.votes, verdict.votes, verdict.outcome) == (864, 432, Outcome.FAIL)
    rating = ratings(later)
    assert rating["Gamma"] > rating["Alpha"] - 100


def test_a_candidate_that_is_not_here_yet(desk: Desk, rung: Rung) -> None:
    load(desk)
    coming = Checkpoint.objects.create(study=desk.study, name="Delta")
    margin = register(desk, candidate=coming)
    save([ballot(desk, desk.rater("ria"), 0, 1, 0, "left")])
    services.refit(study=desk.study)
    verdict = margin.verdicts.get()
    assert verdict.sentence == "Undecided: Delta has not delivered all its outputs yet."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"margin": 0}, "above 0 and at most 1000, got 0"),
        ({"margin": -5}, "got -5"),
        ({"margin": float("nan")}, "got nan"),
        ({"margin": float("inf")}, "got inf"),
        ({"margin": 1000.5}, "at most 1000"),
        ({"baseline": GAMMA}, "two different checkpoints, got “Gamma” for both"),
    ],
)
def test_what_is_no_claim_is_refused(desk: Desk, rung: Rung, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        register(desk, **values)
    assert not Margin.objects.exists()


def test_both_and_the_question_belong_to_the_study(desk: Desk, bare_desk: Any, rung: Rung) -> None:
    other = bare_desk("another")
    stranger = Checkpoint.objects.create(study=other.study, name="Stranger")
    criterion = Criterion.objects.get(study=other.study)
    with pytest.raises(Refusal, match="The candidate “Stranger” does not compete in this study"):
        register(desk, candidate=stranger)
    with pytest.raises(Refusal, match="The baseline “Stranger”"):
        register(desk, baseline=stranger)
    with pytest.raises(Refusal, match="is no criterion of this study"):
        register(desk, criterion=criterion)


def test_a_margin_stands_until_it_is_withdrawn_and_stays_listed(desk: Desk, rung: Rung) -> None:
    load(desk)
    margin, owner = register(desk), User.objects.get(username="owner")
    with pytest.raises(Conflict, match="has a ship test against “Beta” on Quality already"):
        register(desk, margin=80)
    save([ballot(desk, desk.rater("ria"), GAMMA, BETA, 0, "left")])
    services.refit(study=desk.study)
    with pytest.raises(Refusal, match="takes a reason"):
        services.withdraw_margin(margin=margin, reason="  ", actor=owner)
    services.withdraw_margin(margin=margin, reason="The candidate was retrained.", actor=owner)
    with pytest.raises(Conflict, match="withdrawn already"):
        services.withdraw_margin(margin=margin, reason="Again.", actor=owner)
    second = register(desk, margin=80)
    services.refit(study=desk.study)
    assert (margin.verdicts.count(), second.verdicts.count()) == (1, 1)
    verbs = list(
        desk.study.log.filter(verb__contains="ship test").order_by("id").values_list("verb", "details__reason")
    )
    assert verbs == [
        ("registered ship test", None),
        ("withdrew ship test", "The candidate was retrained."),
        ("registered ship test", None),
    ]


def test_the_database_holds_what_is_true_of_margins(desk: Desk, rung: Rung) -> None:
    margin = register(desk)
    for wrong in ({"margin": 0}, {"baseline": desk.checkpoints[GAMMA]}, {"withdrawn_at": margin.registered_at}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Margin.objects.filter(pk=margin.pk).update(**wrong)


@pytest.mark.django_db(transaction=True)
def test_of_two_registered_at_once_one_stands(desk: Desk, rung: Rung) -> None:
    User.objects.create_user("owner")

    def attempt() -> str:
        try:
            register(desk)
        except Conflict as conflict:
            return str(conflict.sentence)
        return ""

    answers = at_once(*[attempt] * 3)
    assert sorted(bool(answer) for answer in answers) == [False, True, True]
    assert Margin.objects.count() == 1


def test_a_registration_whose_ring_was_lost_is_found(desk: Desk, rung: Rung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.REFIT_DELAY_SECONDS", 0)
    load(desk)
    save([ballot(desk, desk.rater("ria"), GAMMA, BETA, 0, "left")])
    tasks.refit(str(desk.study.pk))
    assert services.studies_to_refit() == []
    register(desk)
    assert services.studies_to_refit() == [desk.study]
    tasks.refit(str(desk.study.pk))
    assert services.studies_to_refit() == []
