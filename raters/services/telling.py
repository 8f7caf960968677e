"""What raters are told of a study's rules before they begin: what comes, what is paid, and what is used."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from evalhub.studies.models import Study
from raters.models import GoldUse
from raters.services.golds import counts
from raters.services.rules import LEAST_CONTROLS, rules_of
from raters.services.training import ATTEMPTS, needed_of, uses_asked


def what_comes(study: Study) -> list[str]:
    """Practice, qualification, and what is mixed in among the comparisons."""
    rules, asked, there = rules_of(study), uses_asked(study), counts(study)
    told = []
    if GoldUse.TRAINING in asked:
        number = there[GoldUse.TRAINING]
        told.append(
            ngettext(
                "First comes %(number)s pair to practise on; it is explained after your answer.",
                "First come %(number)s pairs to practise on; each is explained after your answer.",
                number,
            )
            % {"number": number}
        )
    if GoldUse.QUALIFICATION in asked and rules.qualification_share is not None:
        number = there[GoldUse.QUALIFICATION]
        told.append(
            ngettext(
                "Then comes %(number)s pair whose better side is known. To go on, find %(needed)s; you may try "
                "%(attempts)s times.",
                "Then come %(number)s pairs whose better side is known. To go on, find %(needed)s of them; you may try "
                "%(attempts)s times.",
                number,
            )
            % {"number": number, "needed": needed_of(rules.qualification_share, number), "attempts": ATTEMPTS}
        )
    if (rules.gold_every and there[GoldUse.CONTROL]) or rules.repeat_every:
        told.append(
            _(
                "Among the others there are now and then pairs whose better side is known, or that you have seen "
                "before. They look like all others. Nobody is expected to find every one."
            )
        )
    return told


def what_is_paid(study: Study) -> list[str]:
    """What a rater is paid and when, and when her answers are used; nothing where the study has no such rules."""
    rules = rules_of(study)
    told = []
    if rules.pay_per_comparison is not None:
        facts = {"pay": money(rules.pay_per_comparison.normalize()), "currency": rules.currency}
        told.append(_("You are paid %(pay)s %(currency)s for every pair that you answer, practice included.") % facts)
        conditions = _conditions(rules.accept_gold_share, None, rules.accept_median_seconds)
        if conditions:
            told.append(
                _("You are paid as long as these hold: %(conditions)s.") % {"conditions": "; ".join(conditions)}
            )
        else:
            told.append(_("Nothing else decides about your pay."))
    conditions = _conditions(rules.use_gold_share, rules.use_repeat_share, rules.use_median_seconds)
    if conditions:
        told.append(
            _("Rankings use your answers as long as these hold: %(conditions)s.")
            % {"conditions": "; ".join(conditions)}
        )
        if rules.pay_per_comparison is not None:
            told.append(_("Whether your answers are used decides nothing about your pay."))
    return told


def money(amount: object) -> str:
    """An amount with all the decimals that it has, and two at least."""
    whole, point, cents = f"{amount:f}".partition(".")
    return number_format(f"{whole}.{cents.ljust(2, '0')}" if point else f"{whole}.00")


def _conditions(gold_share: float | None, repeat_share: float | None, seconds: float | None) -> list[str]:
    told = []
    if gold_share is not None:
        told.append(
            _("you find at least %(share)s of the known answers, judged once there are %(few)s")
            % {"share": f"{gold_share:.0%}", "few": LEAST_CONTROLS}
        )
    if repeat_share is not None:
        told.append(
            _("you answer at least %(share)s of repeated pairs as before, judged once there are %(few)s")
            % {"share": f"{repeat_share:.0%}", "few": LEAST_CONTROLS}
        )
    if seconds is not None:
        told.append(_("half of your looks take %(seconds)s seconds or longer") % {"seconds": f"{seconds:g}"})
    return told
