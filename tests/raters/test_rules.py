"""Paying and using: two rules, each a yes or no with its reasons, and what comes of them."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry
from raters import services
from raters.models import Comparison, Enrolment, RaterRules, Remark, Standing
from raters.services.records import Record, records_of
from raters.services.rules import accounts, amount_due, change_rules, pay_decision, rules_of, use_decision
from tests.raters.ballots import ballot, load, noisy, people, save, vote_on_all
from tests.raters.conftest import Desk, owner_of
from tests.raters.gold_scenes import gold, rule

# known answers found of ten, repeats as before of ten, median seconds
GOOD = Record(answered=100, gold_hits=9, gold_total=10, repeat_hits=8, repeat_total=10, median_seconds=3.0)
HASTY = Record(answered=100, gold_hits=8, gold_total=10, repeat_hits=8, repeat_total=10, median_seconds=0.4)
RANDOM = Record(answered=100, gold_hits=5, gold_total=10, repeat_hits=4, repeat_total=10, median_seconds=3.0)
FRESH = Record(answered=4, gold_hits=0, gold_total=4, repeat_hits=0, repeat_total=4)


@pytest.mark.parametrize(
    ("record", "pays", "uses"),
    [(GOOD, True, True), (HASTY, False, True), (RANDOM, True, False), (FRESH, True, True), (Record(), True, True)],
)
def test_pay_and_use_are_decided_apart(record: Record, pays: bool, uses: bool) -> None:
    rules = RaterRules(accept_gold_share=0.5, accept_median_seconds=1.0, use_gold_share=0.7, use_repeat_share=0.6)
    pay, use = pay_decision(rules, record), use_decision(rules, record)
    assert (pay.is_yes, use.is_yes) == (pays, uses)
    assert all(sentence.endswith(".") for sentence in pay.reasons + use.reasons)


def test_the_reasons_are_said_in_words() -> None:
    rules = RaterRules(use_gold_share=0.7, use_repeat_share=0.6, use_median_seconds=1.5)
    assert use_decision(rules, RANDOM).reasons == (
        "5 of 10 known answers found; at least 70% are asked for.",
        "4 of 10 pairs answered as before; at least 60% are asked for.",
    )
    assert use_decision(rules, FRESH).reasons == (
        "0 of 4 known answers found; judged from 5 on.",
        "0 of 4 pairs answered as before; judged from 5 on.",
        "How long each look took is not known.",
    )
    assert use_decision(RaterRules(), RANDOM).reasons == ("The study asks for nothing here.",)


def test_a_share_is_never_rounded_against_her() -> None:
    for of in range(5, 200):
        for right in range(of + 1):
            rules = RaterRules(accept_gold_share=round(right / of, 12))
            assert pay_decision(rules, Record(gold_hits=right, gold_total=of)).is_yes


def test_what_is_due() -> None:
    rules = RaterRules(pay_per_comparison=Decimal("0.0350"), accept_gold_share=0.9)
    assert amount_due(rules, GOOD, pay_decision(rules, GOOD)) == Decimal("3.50")
    assert amount_due(rules, RANDOM, pay_decision(rules, RANDOM)) == Decimal("0.00")
    assert amount_due(RaterRules(), GOOD, pay_decision(RaterRules(), GOOD)) is None


def controls(desk: Desk, enrolment: Enrolment, right: int, wrong: int, **values: Any) -> list[Any]:
    """Her answers to known pairs, so many of them right; each of a known answer of its own."""
    ballots = []
    for number in range(right + wrong):
        prompt, (better, worse) = number % 4, [(2, 0), (1, 0), (2, 1)][number // 4]
        known = desk.study.golds.filter(
            use="control",
            better=desk.samples[(desk.checkpoints[better].pk, desk.prompts[prompt].pk)],
            worse=desk.samples[(desk.checkpoints[worse].pk, desk.prompts[prompt].pk)],
        ).first() or gold(desk, "control", prompt, better, worse)
        comparison, vote = ballot(
            desk,
            enrolment,
            better,
            worse,
            prompt,
            "left" if number < right else "right",
            control="gold",
            expected="left",
            **values,
        )
        comparison.gold = known
        ballots.append((comparison, vote))
    return ballots


@pytest.fixture
def judged(desk: Desk, rung: list[object]) -> Desk:
    """One who finds nine of ten known answers, one who finds four; each has voted on every pair before."""
    load(desk)
    good, poor = people(desk, 2)
    vote_on_all(desk, [good, poor], noisy(5), milliseconds=3000)
    save([*controls(desk, good, 9, 1, milliseconds=3000), *controls(desk, poor, 4, 6, milliseconds=300)])
    return desk


def names_out(desk: Desk) -> list[str]:
    out = desk.study.enrolments.exclude(excluded_at=None)
    return sorted(name or "simulated" for name in out.values_list("rater__user__username", flat=True))


def test_the_rule_for_using_takes_effect_at_the_next_fit_and_back(judged: Desk) -> None:
    (before,) = services.refit(study=judged.study)
    assert (before.votes, names_out(judged)) == (24, [])
    rule(judged, use_gold_share=0.7)
    (after,) = services.refit(study=judged.study)
    assert (after.votes, names_out(judged)) == (12, ["person1"])
    out = judged.study.enrolments.get(rater__user__username="person1")
    assert out.exclusion_reason == "rule: 4 of 10 known answers found; at least 70% are asked for."
    assert services.answers_counted(judged.study) == 12
    services.refit(study=judged.study)
    assert LogEntry.objects.filter(verb="excluded rater").count() == 1  # said once, not with every fit
    rule(judged, use_gold_share=0.4)
    (again,) = services.refit(study=judged.study)
    assert (again.votes, names_out(judged)) == (24, [])
    entries = LogEntry.objects.filter(verb__in=("excluded rater", "readmitted rater")).order_by("id")
    assert [(entry.verb, entry.actor) for entry in entries] == [("excluded rater", None), ("readmitted rater", None)]
    rule(judged, use_gold_share=0.7)
    services.refit(study=judged.study)
    rule(judged, use_gold_share=None)
    services.refit(study=judged.study)
    assert names_out(judged) == []  # without the rule nobody is left out by it


def test_an_owner_overrules_the_rule(judged: Desk) -> None:
    rule(judged, use_gold_share=0.7)
    services.refit(study=judged.study)
    poor = judged.study.enrolments.get(rater__user__username="person1")
    services.set_exclusion(enrolment=poor, reason="", actor=owner_of(judged))
    services.refit(study=judged.study)
    assert names_out(judged) == []
    services.set_exclusion(enrolment=poor, reason="Two people behind one name.", actor=owner_of(judged))
    rule(judged, use_gold_share=None)
    services.refit(study=judged.study)
    assert names_out(judged) == ["person1"]  # what an owner decided, no rule takes back
    with pytest.raises(Refusal, match="the rule's own"):
        services.set_exclusion(enrolment=poor, reason="rule: mine", actor=owner_of(judged))


def test_simulated_raters_are_judged_and_not_paid(judged: Desk) -> None:
    one = services.enrol_simulated(study=judged.study)
    save(controls(judged, one, 0, 10))
    rule(judged, use_gold_share=0.7, pay_per_comparison="0.10")
    services.refit(study=judged.study)
    assert names_out(judged) == ["person1", "simulated"]
    assert {account.enrolment.rater.simulated for account in accounts(judged.study)} == {False}


def test_the_account_of_each(judged: Desk) -> None:
    rule(judged, accept_median_seconds=1, pay_per_comparison="0.05", currency="eur")
    good, poor = accounts(judged.study)
    assert (good.record.answered, good.amount, good.pay.is_yes) == (22, Decimal("1.10"), True)
    assert (poor.amount, poor.pay.is_yes, poor.use.is_yes) == (Decimal("1.10"), True, True)  # 12 slow looks, 10 fast
    rule(judged, accept_gold_share=0.5)
    _, poor = accounts(judged.study)
    assert (poor.amount, poor.use.is_yes) == (Decimal("0.00"), True)
    assert "4 of 10 known answers found" in poor.pay.sentence
    assert rules_of(judged.study).currency == "EUR"


def test_records_count_repeats_by_what_was_meant(desk: Desk, rung: list[object]) -> None:
    load(desk)
    ria = desk.rater("ria")
    first = [ballot(desk, ria, 0, 1, prompt, choice) for prompt, choice in enumerate(["left", "left", "tie", "right"])]
    save(first)
    again = []
    for prompt, choice in enumerate(["right", "left", "both_bad", "left"]):  # sides swapped: 3 of 4 as before
        comparison, vote = ballot(desk, ria, 1, 0, prompt, choice, control="repeat")
        comparison.original = first[prompt][0]
        again.append((comparison, vote))
    save(again)
    record = records_of(desk.study)[ria.rater_id]
    assert (record.repeat_hits, record.repeat_total, record.answered) == (3, 4, 8)


def test_speed_and_absence_are_seen_and_exclude_nobody(judged: Desk) -> None:
    poor = judged.study.enrolments.get(rater__user__username="person1")
    for comparison in Comparison.objects.filter(rater=poor.rater)[:11]:
        Remark.objects.create(comparison=comparison, away_milliseconds=5000)
    services.refit(study=judged.study)
    standing = Standing.objects.get(enrolment=poor)
    assert standing.fast_share == pytest.approx(10 / 22)
    assert standing.away_share == pytest.approx(0.5)
    assert len(standing.flags) == 2
    other = Standing.objects.exclude(enrolment=poor).get()
    assert (other.fast_share, other.away_share, other.flags) == (0.0, None, [])
    assert names_out(judged) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"use_gold_share": 1.2}, "use_gold_share"),
        ({"use_gold_share": float("nan")}, "from 0 to 1"),
        ({"accept_median_seconds": -1.0}, "number of seconds"),
        ({"use_median_seconds": float("inf")}, "number of seconds"),
        ({"pay_per_comparison": Decimal(-1)}, "nothing or more"),
        ({"pay_per_comparison": Decimal("1.23456")}, "pay_per_comparison"),
        ({"currency": "Dollars"}, "currency"),
        ({"gold_every": 3, "repeat_every": 4}, "half of the comparisons"),
        ({"gold_every": 1}, "half of the comparisons"),
        ({"bonus": 3}, "no rule “bonus”"),
    ],
)
def test_rules_that_do_not_do(desk: Desk, values: dict[str, Any], says: str) -> None:
    with pytest.raises(Refusal, match=says):
        change_rules(study=desk.study, actor=owner_of(desk), **values)
    assert not RaterRules.objects.exists()


@pytest.mark.parametrize("values", [{"gold_every": 1}, {"gold_every": 3, "repeat_every": 5}, {"use_gold_share": 1.5}])
def test_the_database_refuses_them_too(desk: Desk, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        RaterRules.objects.create(study=desk.study, **values)
    RaterRules.objects.create(study=desk.study, gold_every=3, repeat_every=6)


def test_changing_rules_is_logged_with_what_was_there_before(desk: Desk) -> None:
    rule(desk, use_gold_share=0.7, pay_per_comparison="0.05")
    rule(desk, use_gold_share=0.7)
    (entry,) = LogEntry.objects.filter(verb="changed rater rules")
    assert entry.details == {"changed": {"pay_per_comparison": [None, "0.05"], "use_gold_share": [None, 0.7]}}
    assert entry.at <= timezone.now()
