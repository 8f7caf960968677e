"""Known answers: pairs of which an owner knows the better side, and who found it."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, LogEntry, Sample, Study, SubmissionState, User
from raters.models import (
    Choice,
    Comparison,
    Control,
    Enrolment,
    Gold,
    GoldUse,
    PresentationCopy,
    Rater,
    Reason,
    Vote,
)
from raters.presentation import Canvas
from raters.services.impressions import Side, put, tossed

LONGEST_EXPLANATION = 2_000


@transaction.atomic
def add_gold(
    *,
    study: Study,
    better: Sample,
    worse: Sample,
    use: str,
    actor: User,
    criterion: Criterion | None = None,
    explanation: str = "",
) -> Gold:
    """Note that one of two outputs is known to be the better one; on every question, or on the criterion given.

    Raises: Refusal for samples that cannot be put side by side, another use than training, qualification or control,
        or too long an explanation; Conflict when the same is known already.
    """
    _check(study, better, worse, criterion)
    explanation = explanation.strip()
    if use not in GoldUse.values:
        raise Refusal(f"A known answer is used for one of {', '.join(GoldUse.values)}; got “{use}”.")
    if len(explanation) > LONGEST_EXPLANATION:
        raise Refusal(
            f"An explanation has at most {LONGEST_EXPLANATION:,} characters, got {len(explanation):,}; shorten it."
        )
    if "\0" in explanation:
        raise Refusal("An explanation is text; take the zero byte out of it.")
    pair = {"better": better, "worse": worse, "use": use, "criterion": criterion}
    position = study.golds.count()
    try:
        with transaction.atomic():
            gold = Gold.objects.create(
                study=study, explanation=explanation, position=position, created_by=actor, **pair
            )
    except IntegrityError:
        raise Conflict(
            f"That {better.checkpoint} is better than {worse.checkpoint} on {better.prompt.key} is known for {use} "
            "already; retire that one first."
        ) from None
    LogEntry.write(study=study, actor=actor, verb="added known answer", subject=describe(gold), use=use)
    return gold


@transaction.atomic
def retire_gold(*, gold: Gold, actor: User) -> Gold:
    """Use it no more. What raters answered to it stays, and is held against nobody from now on."""
    gold = Gold.objects.select_for_update(of=("self",)).select_related("study").get(pk=gold.pk)
    if gold.retired_at is None:
        gold.retired_at = timezone.now()
        gold.save(update_fields=["retired_at"])
        LogEntry.write(study=gold.study, actor=actor, verb="retired known answer", subject=describe(gold), use=gold.use)
    return gold


def describe(gold: Gold) -> str:
    return f"{gold.better.checkpoint} over {gold.worse.checkpoint} on {gold.better.prompt.key}"


def show_gold(gold: Gold, rater: Rater, *, propensity: float = 1.0, attempt: int = 1) -> Comparison | None:
    """A comparison of the pair on tossed sides; None while it has no copies that could be shown."""
    sides = sides_of(gold)
    if sides is None:
        return None
    left, right = tossed(*sides)
    return put(
        study=gold.study,
        rater=rater,
        prompt=gold.better.prompt_id,
        left=left,
        right=right,
        reason=Reason.GOLD,
        control=Control.GOLD,
        gold=gold,
        expected=Choice.LEFT if left == sides[0] else Choice.RIGHT,
        propensity=propensity,
        attempt=attempt,
    )


def sides_of(gold: Gold) -> tuple[Side, Side] | None:
    """The better and the worse one on the largest canvas that both have a copy on; None without one."""
    pair = (gold.better, gold.worse)
    copies = (
        PresentationCopy.objects.ready()
        .in_force()
        .filter(study=gold.study, media__in=[sample.media_id for sample in pair])
    )
    there: dict[Canvas, dict[int, int]] = defaultdict(dict)
    for copy, media, *size in copies.values_list("id", "media", *Canvas._fields):
        there[Canvas(*size)][media] = copy
    common = [size for size, of_media in there.items() if all(sample.media_id in of_media for sample in pair)]
    if not common:
        return None
    chosen = there[max(common, key=lambda size: (size.width * size.height, size))]
    better, worse = (Side(sample.pk, chosen[sample.media_id], sample.checkpoint_id) for sample in pair)
    return better, worse


def answered_golds(study: Study, *uses: GoldUse) -> QuerySet[Any]:
    """Comparisons with a known answer that were answered, with `missed`: whether some answer was not the known one.

    Those retired are left out. An answer given before there were uses (`gold` is empty) counts as a control's.
    """
    known = Q(gold__use__in=uses, gold__retired_at=None)
    if GoldUse.CONTROL in uses:
        known |= Q(gold=None)
    wrong = (
        Vote.objects.filter(comparison=OuterRef("pk"))
        .latest_revisions()
        .filter(Q(comparison__gold__criterion=None) | Q(criterion=F("comparison__gold__criterion")))
        .exclude(choice=OuterRef("expected"))
    )
    asked = Comparison.objects.answered().filter(known, study=study, control=Control.GOLD).exclude(expected="")
    return asked.annotate(missed=Exists(wrong))


@dataclass(frozen=True)
class Found:
    """How raters did on one known answer.

    Attributes:
        asked, missed: raters who answered, and those of them who did not find it.
        trusted, trusted_missed: the same of raters who find most of the others and are not excluded.
    """

    asked: int = 0
    missed: int = 0
    trusted: int = 0
    trusted_missed: int = 0

    @property
    def is_suspect(self) -> bool:
        """Whether it is rather the known answer that is wrong: most of at least three trusted raters miss it."""
        return self.trusted >= 3 and 2 * self.trusted_missed > self.trusted


def found_by_raters(study: Study) -> dict[int, Found]:
    """By gold; first attempts of everybody but simulated raters. Who is trusted is judged by the other golds alone, so
    that a wrong one cannot cost its own witnesses their credit."""
    answers = (
        answered_golds(study, *GoldUse)
        .filter(gold__isnull=False, attempt=1, rater__simulated=False)
        .values_list("gold", "rater", "missed")
    )
    out = Enrolment.objects.filter(study=study, excluded_at__isnull=False)
    excluded = set(out.values_list("rater", flat=True))
    by_gold: dict[int, list[tuple[object, bool]]] = defaultdict(list)
    total: dict[object, int] = defaultdict(int)
    hits: dict[object, int] = defaultdict(int)
    for gold, rater, missed in answers:
        by_gold[gold].append((rater, missed))
        total[rater] += 1
        hits[rater] += not missed
    found = {}
    for gold, given in by_gold.items():
        trusted = [
            missed
            for rater, missed in given
            if rater not in excluded and total[rater] > 1 and 2 * (hits[rater] - (not missed)) > total[rater] - 1
        ]
        found[gold] = Found(len(given), sum(missed for _, missed in given), len(trusted), sum(trusted))
    return found


def counts(study: Study) -> dict[str, int]:
    """How many known answers in use there are, by use."""
    there = study.golds.filter(retired_at=None).order_by().values_list("use").annotate(Count("id"))
    return dict.fromkeys(GoldUse.values, 0) | dict(there)


def _check(study: Study, better: Sample, worse: Sample, criterion: Criterion | None) -> None:
    for sample in (better, worse):
        if sample.checkpoint.study_id != study.pk:
            raise Refusal("Both outputs have to be of this study; choose among its own.")
        submission = getattr(sample.checkpoint, "submission", None)
        if submission is None or submission.state != SubmissionState.COMPLETE:
            raise Refusal(f"{sample.checkpoint} is not wholly delivered yet; raters can be shown complete ones only.")
    if better.prompt_id != worse.prompt_id:
        raise Refusal(
            f"Both outputs have to be for one prompt, got {better.prompt.key} and {worse.prompt.key}; choose two."
        )
    if better.checkpoint_id == worse.checkpoint_id:
        raise Refusal(f"A pair is of two checkpoints, got {better.checkpoint} twice; choose another one.")
    if better.media_id == worse.media_id:
        raise Refusal("Both outputs are the same file, so neither can be better; choose another pair.")
    if criterion is not None and criterion.study_id != study.pk:
        raise Refusal("The question has to be one of this study's; choose among its own.")
