"""How far each rater can be trusted: what is found of her beside every ranking."""

from typing import Any

import pytest

from evalhub.studies.models import User
from raters import services
from raters.models import Comparison, Fit, Rater, Standing
from raters.services import evidence
from tests.raters.ballots import ballot, load, noisy, people, save, vote_on_all
from tests.raters.conftest import Desk

Rung = list[tuple[Any, ...]]
# Gamma and Beta, each as often on the left.
SIDES = ((2, 1), (1, 2), (2, 1), (1, 2))


@pytest.fixture
def voted(desk: Desk, rung: Rung) -> Desk:
    """Six who look, and one who always presses left."""
    load(desk)
    vote_on_all(desk, people(desk, 6), noisy(7, spread=2.5, ties=0.1), milliseconds=4000)
    vote_on_all(desk, [desk.rater("lefty")], lambda left, right: "left", milliseconds=300)
    return desk


def standing_of(desk: Desk, name: str) -> Standing:
    return Standing.objects.get(enrolment__study=desk.study, enrolment__rater__user__username=name)


def test_every_voter_has_a_standing_beside_the_newest_fit(voted: Desk) -> None:
    (fit,) = services.refit(study=voted.study)
    assert Standing.objects.filter(fit=fit).count() == 7
    lefty, others = standing_of(voted, "lefty"), Standing.objects.exclude(enrolment__rater__user__username="lefty")
    assert (lefty.votes, lefty.left_rate, lefty.tie_rate, lefty.median_seconds) == (12, 1.0, 0.0, 0.3)
    assert lefty.lapse is not None
    assert lefty.side_low is not None
    assert lefty.side_low > 0
    for other in others:
        assert other.median_seconds == 4.0
        assert other.lapse is not None
        assert other.lapse < lefty.lapse
        assert other.influence is not None
    (again,) = services.refit(study=voted.study)
    assert Standing.objects.count() == 7 == Standing.objects.filter(fit=again).count()


def test_an_excluded_rater_is_looked_at_but_moves_nothing(voted: Desk) -> None:
    (with_her,) = services.refit(study=voted.study)
    lefty = voted.study.enrolments.get(rater__user__username="lefty")
    owner = User.objects.create_user("owner")
    services.set_exclusion(enrolment=lefty, reason="Always left.", actor=owner)
    (without,) = services.refit(study=voted.study)
    standing = standing_of(voted, "lefty")
    assert (standing.fit, standing.votes, standing.influence) == (without, 12, None)
    assert standing.lapse is not None
    assert without.votes == with_her.votes - 12
    services.set_exclusion(enrolment=lefty, reason="", actor=owner)
    (again,) = services.refit(study=voted.study)
    rows = [list(fit.ratings.values_list("checkpoint", "rating", "low", "high")) for fit in (with_her, again)]
    assert rows[0] == rows[1]


def test_controls_are_held_against_what_was_known_or_said_before(desk: Desk, rung: Rung) -> None:
    """Two golds, one found; three repeats: one the same side again, one the other, one turned round with its sides."""
    load(desk)
    ria = desk.rater("ria")
    vote_on_all(desk, people(desk, 2), noisy(1))
    save([ballot(desk, ria, 0, 1, prompt, "left") for prompt in range(3)])
    save(
        [
            ballot(desk, ria, 0, 1, 0, "left", control="repeat"),
            ballot(desk, ria, 0, 1, 1, "right", control="repeat"),
            ballot(desk, ria, 1, 0, 2, "right", control="repeat"),
            ballot(desk, ria, 0, 2, 0, "right", control="gold", expected="right"),
            ballot(desk, ria, 0, 2, 1, "left", control="gold", expected="right"),
            ballot(desk, ria, 0, 2, 2, "left", control="gold"),  # nobody said what is right
        ]
    )
    (fit,) = services.refit(study=desk.study)
    standing = standing_of(desk, "ria")
    assert (standing.gold_hits, standing.gold_total, standing.gold_share) == (1, 2, 0.5)
    assert (standing.repeat_hits, standing.repeat_total) == (2, 3)
    assert (standing.votes, fit.votes) == (3, 27)
    other = standing_of(desk, "person0")
    assert (other.gold_share, other.repeat_share, other.median_seconds) == (None, None, None)


def test_a_repeat_of_what_was_taken_back_is_no_repeat(desk: Desk, rung: Rung) -> None:
    load(desk)
    ria = desk.rater("ria")
    (vote,) = save([ballot(desk, ria, 0, 1, 0, "left")])
    vote.pk, vote.revision, vote.choice = None, 2, "withdrawn"
    vote.save()
    save([ballot(desk, ria, 0, 1, 0, "left", control="repeat"), ballot(desk, ria, 0, 1, 1, "left")])
    services.refit(study=desk.study)
    assert standing_of(desk, "ria").repeat_total == 0


def test_a_study_of_controls_only_has_no_ranking_and_no_error(desk: Desk, rung: Rung) -> None:
    load(desk)
    ria = desk.rater("ria")
    save([ballot(desk, ria, 0, 1, 0, "left", control="gold", expected="left")])
    (fit,) = services.refit(study=desk.study)
    assert (fit.error, fit.votes, fit.influence) == ("", 0, {})
    assert standing_of(desk, "ria").gold_share == 1.0


def test_one_rater_who_decides_who_leads_raises_the_alarm(desk: Desk, rung: Rung) -> None:
    """Three cannot tell Beta from Gamma, one prefers Beta once, and one prefers Gamma every time."""
    load(desk)
    alpha, beta, gamma = range(3)
    votes = []
    for rater in people(desk, 3):
        votes += [ballot(desk, rater, gamma, beta, prompt, "left" if prompt % 2 else "right") for prompt in range(4)]
        for other in (beta, gamma):
            votes += [ballot(desk, rater, alpha, other, prompt, "right" if prompt else "left") for prompt in range(4)]
    votes.append(ballot(desk, desk.rater("slip"), beta, gamma, 0, "left"))
    fan = desk.rater("fan")
    votes += [ballot(desk, fan, *sides, n, "left" if sides[0] == gamma else "right") for n, sides in enumerate(SIDES)]
    save(votes)
    (fit,) = services.refit(study=desk.study)
    assert fit.influence["top"] == [str(desk.checkpoints[place].pk) for place in (gamma, beta, alpha)]
    first = fit.influence["raters"][0]
    assert (first["rater"], first["votes"], first["changes_top"]) == (str(fan.rater_id), 4, True)
    who = f"Without rater {fan.rater.pseudonym} (4 votes)"
    assert fit.influence["alarm"] == f"{who}, Beta would be first instead of Gamma."
    assert Standing.objects.get(enrolment=fan).changes_top


def test_no_alarm_where_everybody_agrees(voted: Desk) -> None:
    (fit,) = services.refit(study=voted.study)
    assert fit.influence["alarm"] == ""
    assert len(fit.influence["raters"]) == min(7, evidence.MOST_RATERS)


def test_head_to_head_separations_and_agreement_are_kept(voted: Desk) -> None:
    (fit,) = services.refit(study=voted.study)
    matrix = fit.head_to_head
    assert matrix["checkpoints"] == [str(checkpoint.pk) for checkpoint in voted.checkpoints]
    answers = list(voted.study.votes.values_list("left_checkpoint", "right_checkpoint", "choice"))
    for row, one in enumerate(voted.checkpoints):
        for column, other in enumerate(voted.checkpoints):
            won = [(one.pk, other.pk, "left"), (other.pk, one.pk, "right")]
            assert matrix["wins"][row][column] == sum(answer in won for answer in answers)
            for outcome, name in (("tie", "ties"), ("both_bad", "both_bad")):
                drawn = [(one.pk, other.pk, outcome), (other.pk, one.pk, outcome)]
                assert matrix[name][row][column] == sum(answer in drawn for answer in answers)
            assert matrix["superiority"][row][column] + matrix["superiority"][column][row] == pytest.approx(1)
    assert matrix["superiority"][2][0] > 0.95
    assert [pair["upper"] for pair in fit.separations] == [str(voted.checkpoints[2].pk), str(voted.checkpoints[1].pk)]
    for pair in fit.separations:
        assert pair["separated"] == (pair["low"] > 0)
        assert (pair["more_votes"] == 0) == pair["separated"]
        assert pair["sentence"].endswith(".")
    assert fit.agreement["units"] == 12
    assert fit.agreement["values"] == 84
    assert fit.agreement["low"] < fit.agreement["alpha"] < fit.agreement["high"] < 1
    assert fit.agreement["alpha"] > 0.3  # though one contestant is better on every prompt


def test_outputs_of_other_seeds_are_other_pairs(desk: Desk, rung: Rung) -> None:
    """Two raters see other outputs of the same contestants on one prompt: they judged nothing in common."""
    load(desk)
    first, second = (desk.rater(name) for name in ("ria", "otto"))
    save([ballot(desk, first, 0, 1, 0, "left"), ballot(desk, second, 0, 1, 0, "left")])
    (shared,) = services.refit(study=desk.study)
    assert shared.agreement["units"] == 1
    sample = desk.samples[(desk.checkpoints[0].pk, desk.prompts[0].pk)]
    sample.pk, sample.seed = None, 7
    sample.save()
    Comparison.objects.filter(rater=second.rater, left_checkpoint=desk.checkpoints[0]).update(left=sample)
    Comparison.objects.filter(rater=second.rater, right_checkpoint=desk.checkpoints[0]).update(right=sample)
    (apart,) = services.refit(study=desk.study)
    assert apart.agreement == {"alpha": None, "low": None, "high": None, "units": 0, "values": 0}


def test_a_fit_that_fails_half_way_leaves_nothing(voted: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    services.refit(study=voted.study)

    def fails(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("raters.services.freezing.judge_margins", fails)
    with pytest.raises(RuntimeError):
        services.refit(study=voted.study)
    assert Fit.objects.count() == 1
    assert Standing.objects.count() == 7


def test_exclusion_and_group_are_logged_once(desk: Desk, rung: Rung) -> None:
    ria, owner = desk.rater("ria"), User.objects.create_user("owner")
    for _ in range(2):
        services.set_exclusion(enrolment=ria, reason=" Asleep. ", actor=owner)
        services.set_group(enrolment=ria, group="night shift", actor=owner)
    services.set_exclusion(enrolment=ria, reason="", actor=owner)
    log = [(entry.verb, entry.details) for entry in desk.study.log.filter(subject=str(ria.rater)).order_by("id")]
    assert log == [
        ("excluded rater", {"reason": "Asleep."}),
        ("grouped rater", {"before": "", "group": "night shift"}),
        ("readmitted rater", {"before": "Asleep."}),
    ]
    assert Rater.objects.get().pseudonym == str(ria.rater_id)[:8]


def test_only_a_change_thatcontradicts_the_ranking_is_an_alarm() -> None:
    """Turning round two that nobody could tell apart is no news; turning round two in a sure order is."""
    ranks = {"first": (1, 1), "second": (2, 3), "third": (2, 3), "fourth": (4, 4)}
    top = ("first", "second", "third")
    assert not evidence.contradicts(("first", "third", "second"), top, ranks)
    assert evidence.contradicts(("first", "second", "fourth"), top, ranks)
    assert not evidence.contradicts(top, top, ranks)
