"""Controls among the comparisons: pairs whose answer is known, and pairs seen before on swapped sides.

A rater cannot tell them from the others: they come by chance, look alike on the page and in the network, and move her
progress on as others do. No ranking counts them, nor does the budget or any count that draws are made by.
"""

import secrets

from django.db.models import Exists, OuterRef, Q

from evalhub.studies.models import Study
from raters.models import Comparison, Control, Gold, GoldUse, Rater, RaterRules, Reason
from raters.services.golds import show_gold
from raters.services.impressions import Side, put

OLD = 10  # so many pairs she has answered since, before one is shown again

_random = secrets.SystemRandom()


def toss_control(rules: RaterRules) -> Control:
    """Which control comes instead of the comparison that would come now, by chance as the study's rules say."""
    gold, repeat = _chances(rules)
    toss = _random.random()
    if toss < gold:
        return Control.GOLD
    return Control.REPEAT if toss < gold + repeat else Control.NONE


def draw_control(study: Study, rater: Rater, rules: RaterRules, control: Control) -> Comparison | None:
    """A control of that kind; None where there is none left for her. All that she was leased has to be stored."""
    gold, repeat = _chances(rules)
    return _known(study, rater, gold) if control == Control.GOLD else _repeated(study, rater, repeat)


def _chances(rules: RaterRules) -> tuple[float, float]:
    gold, repeat = (1 / every if every else 0.0 for every in (rules.gold_every, rules.repeat_every))
    return gold, repeat


def _known(study: Study, rater: Rater, chance: float) -> Comparison | None:
    """One of the known answers whose pair she has not seen in any way."""
    seen = Comparison.objects.filter(rater=rater).filter(
        Q(left=OuterRef("better"), right=OuterRef("worse")) | Q(left=OuterRef("worse"), right=OuterRef("better"))
    )
    golds = Gold.objects.in_use(GoldUse.CONTROL).filter(study=study).exclude(Exists(seen))
    left = list(golds.values_list("pk", flat=True))
    _random.shuffle(left)
    for pk in left[:5]:  # one whose copies are still being made is passed over
        gold = Gold.objects.select_related("study", "better", "worse").get(pk=pk)
        shown = show_gold(gold, rater, propensity=chance / len(left))
        if shown is not None:
            return shown
    return None


def _repeated(study: Study, rater: Rater, chance: float) -> Comparison | None:
    """One of her own older pairs, each once, on swapped sides."""
    own = Comparison.objects.answered().filter(study=study, rater=rater)
    newest = own.filter(Q(gold=None) | Q(gold__use=GoldUse.CONTROL)).order_by("-answered_at", "-id")
    recent = list(newest.values_list("pk", flat=True)[:OLD])
    if len(recent) < OLD:
        return None
    old = (
        own.filter(control=Control.NONE, repeats=None)
        .filter(left_checkpoint__withdrawn_at=None, right_checkpoint__withdrawn_at=None)
        .exclude(pk__in=recent)
    )
    candidates = list(old.values_list("pk", flat=True))
    if not candidates:
        return None
    first = Comparison.objects.get(pk=_random.choice(candidates))
    # An imported pair has no copies, and its rater never comes here.
    assert first.left_copy_id is not None
    assert first.right_copy_id is not None
    return put(
        study=study,
        rater=rater,
        prompt=first.prompt_id,
        left=Side(first.right_id, first.right_copy_id, first.right_checkpoint_id),
        right=Side(first.left_id, first.left_copy_id, first.left_checkpoint_id),
        reason=Reason.REPEAT,
        control=Control.REPEAT,
        original=first,
        propensity=chance / len(candidates),
    )
