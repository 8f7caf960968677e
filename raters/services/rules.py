"""What a study asks of its raters. Paying one and using her answers are two questions with an answer each."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.models import model_to_dict
from django.utils import timezone
from django.utils.translation import gettext as _

from evalhub.prepared import Prepared, Slot
from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Study, User
from raters.models import Enrolment, EnrolmentState, RaterRules
from raters.models.rules import SHARES
from raters.services.enrolling import BY_RULE, lock
from raters.services.records import Record, records_of

# A share of fewer controls than this says nothing: one slip among three is a third. Until then she is paid and used.
LEAST_CONTROLS = 5
# Attentive people agree with a known answer in about 94 of 100 obvious pairs, and with themselves in fewer.
FAIR_SHARE = 0.9

LONGEST_SECONDS = 3_600
_rules = Prepared(lambda: RaterRules.objects.filter(study=Slot("study")))
FIELDS = tuple(field.name for field in RaterRules._meta.concrete_fields if field.name != "study")


@dataclass(frozen=True)
class Decision:
    """Yes or no, and why, in full sentences."""

    is_yes: bool
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return " ".join(self.reasons)


@dataclass(frozen=True)
class Account:
    """One rater's line: what she did, what she is due, and whether her answers are used."""

    enrolment: Enrolment
    record: Record
    pay: Decision
    amount: Decimal | None
    use: Decision


def rules_of(study: Study) -> RaterRules:
    """The study's rules; where none were ever set, such as ask for nothing."""
    return _rules.first(study=study.pk) or RaterRules(study=study)


@transaction.atomic
def change_rules(*, study: Study, actor: User, **values: Any) -> RaterRules:
    """Set rules by their fields' names. Logged with what was there before; those for using take effect with the next
    fit. Refusal for a value that a rule does not take."""
    strange = sorted(set(values) - set(FIELDS))
    if strange:
        raise Refusal(f"There is no rule “{strange[0]}”; expected one of {', '.join(FIELDS)}.")
    rules = RaterRules.objects.select_for_update().filter(study=study).first() or RaterRules(study=study)
    before = model_to_dict(rules, FIELDS)
    for name, value in values.items():
        setattr(rules, name, value)
    _check(rules)
    after = model_to_dict(rules, FIELDS)
    changed = {name: [_plain(before[name]), _plain(after[name])] for name in FIELDS if before[name] != after[name]}
    if changed:
        rules.save()
        LogEntry.write(study=study, actor=actor, verb="changed rater rules", subject=study, changed=changed)
    return rules


def pay_decision(rules: RaterRules, record: Record) -> Decision:
    """Whether she is paid for what she answered."""
    return _decide(rules.accept_gold_share, None, rules.accept_median_seconds, record)


def use_decision(rules: RaterRules, record: Record) -> Decision:
    """Whether rankings use her answers."""
    return _decide(rules.use_gold_share, rules.use_repeat_share, rules.use_median_seconds, record)


def amount_due(rules: RaterRules, record: Record, pay: Decision) -> Decimal | None:
    """In the study's currency, to a hundredth; None where the study pays nothing by the pair."""
    if rules.pay_per_comparison is None:
        return None
    due = rules.pay_per_comparison * record.answered if pay.is_yes else Decimal(0)
    return due.quantize(Decimal("0.01"))


def account_of(enrolment: Enrolment, rules: RaterRules, record: Record) -> Account:
    pay = pay_decision(rules, record)
    return Account(enrolment, record, pay, amount_due(rules, record, pay), use_decision(rules, record))


def accounts(study: Study) -> list[Account]:
    """A line for every person who has answered anything here, the longest enrolled first."""
    rules, records = rules_of(study), records_of(study)
    people = Enrolment.objects.filter(study=study, rater__simulated=False, vote_import=None).select_related(
        "rater", "study"
    )
    return [
        account_of(one, rules, records[one.rater_id])
        for one in people.order_by("created_at", "pk")
        if one.rater_id in records
    ]


def apply_use_rule(*, study: Study) -> int:
    """Leave out the answers that the rule for using does not let in, and let in those it does again. Returns how many
    raters changed. What an owner decided herself, the other way or earlier, stands."""
    rules = rules_of(study)
    records = records_of(study) if _judges(rules) else {}
    by_rule = Enrolment.objects.filter(study=study, exclusion_reason__startswith=BY_RULE)
    looked_at = Enrolment.objects.filter(study=study, rater__in=records, vote_import=None) | by_rule
    changed = 0
    for enrolment in looked_at.exclude(state=EnrolmentState.WITHDRAWN).select_related("rater", "study"):
        decision = use_decision(rules, records.get(enrolment.rater_id, Record()))
        changed += _follow(enrolment, decision)
    return changed


@transaction.atomic
def _follow(enrolment: Enrolment, decision: Decision) -> bool:
    locked = lock(enrolment.rater, enrolment.study)
    theirs = locked.excluded_at is not None and not locked.exclusion_reason.startswith(BY_RULE)
    if theirs or locked.rule_waived_at is not None:
        return False
    reason = "" if decision.is_yes else BY_RULE + decision.sentence
    if bool(reason) == (locked.excluded_at is not None):
        return False
    locked.exclusion_reason = reason
    locked.excluded_at = timezone.now() if reason else None
    locked.save(update_fields=["excluded_at", "exclusion_reason"])
    verb = "excluded rater" if reason else "readmitted rater"
    LogEntry.write(
        study=locked.study, actor=None, verb=verb, subject=locked.rater, reason=reason or BY_RULE + decision.sentence
    )
    return True


def _judges(rules: RaterRules) -> bool:
    return any(value is not None for value in (rules.use_gold_share, rules.use_repeat_share, rules.use_median_seconds))


def _decide(
    gold_share: float | None, repeat_share: float | None, median_seconds: float | None, record: Record
) -> Decision:
    checks = [
        _share(gold_share, record.gold_hits, record.gold_total, _("known answers found")),
        _share(repeat_share, record.repeat_hits, record.repeat_total, _("pairs answered as before")),
        _seconds(median_seconds, record.median_seconds),
    ]
    asked = [check for check in checks if check is not None]
    failed = tuple(check.sentence for check in asked if not check.is_yes)
    if failed:
        return Decision(False, failed)
    return Decision(True, tuple(check.sentence for check in asked) or (_("The study asks for nothing here."),))


def _share(least: float | None, hits: int, total: int, what: str) -> Decision | None:
    if least is None:
        return None
    facts = {"hits": hits, "total": total, "what": what, "least": f"{least:.0%}", "few": LEAST_CONTROLS}
    if total < LEAST_CONTROLS:
        return Decision(
            True,
            (_("%(hits)s of %(total)s %(what)s; judged from %(few)s on.") % facts,),
        )
    # A rater's own share is never rounded against her: 8 of 10 are 80 %, though 0.1 × 8 is a little more.
    return Decision(
        hits >= least * total - 1e-9,
        (_("%(hits)s of %(total)s %(what)s; at least %(least)s are asked for.") % facts,),
    )


def _seconds(least: float | None, median: float | None) -> Decision | None:
    if least is None:
        return None
    if median is None:
        return Decision(True, (_("How long each look took is not known."),))
    facts = {"median": f"{median:.1f}", "least": f"{least:g}"}
    return Decision(
        median >= least,
        (_("The median look took %(median)s seconds; at least %(least)s are asked for.") % facts,),
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal | uuid.UUID) else value


def _check(rules: RaterRules) -> None:
    """Refusal for a value that a rule does not take; full sentences, since programs set rules too."""
    try:
        rules.clean_fields(exclude=["study"])
    except ValidationError as error:
        faults = [f"{name}: {fault.rstrip('.')}" for name, said in error.message_dict.items() for fault in said]
        raise Refusal("These rules do not do: " + "; ".join(faults) + ".") from None
    for name in SHARES:
        share = getattr(rules, name)
        if share is not None and not 0 <= share <= 1:  # also what is no number at all
            raise Refusal(f"The rule {name} is a share from 0 to 1, got {share}.")
    for name in ("accept_median_seconds", "use_median_seconds"):
        seconds = getattr(rules, name)
        if seconds is not None and not 0 <= seconds <= LONGEST_SECONDS:
            raise Refusal(f"The rule {name} is a number of seconds from 0 to {LONGEST_SECONDS:,}, got {seconds}.")
    if rules.pay_per_comparison is not None and rules.pay_per_comparison < 0:
        raise Refusal(f"Pay is nothing or more, got {rules.pay_per_comparison}.")
    if len(rules.currency) != 3 or not (rules.currency.isascii() and rules.currency.isalpha()):
        raise Refusal(f"A currency is three letters such as USD, got “{rules.currency}”.")
    rules.currency = rules.currency.upper()
    often = [every for every in (rules.gold_every, rules.repeat_every) if every is not None]
    if any(every < 2 for every in often) or sum(1 / every for every in often) > 0.5 + 1e-9:
        raise Refusal(
            "Controls may be half of the comparisons at most: one known answer in "
            f"{rules.gold_every or 'none'} and one repeat in {rules.repeat_every or 'none'} are more; set higher."
        )
