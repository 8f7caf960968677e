"""Votes: added once, never changed."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from evalhub.prepared import Prepared, Slot, any_of
from evalhub.problems import Refusal
from evalhub.studies.models import Criterion, Study
from raters import locks
from raters.access import own_comparison
from raters.models import Choice, Comparison, Control, EnrolmentState, Rater, Vote
from raters.services.answering import write_answer
from raters.services.closing import close_if_done, is_spent
from raters.services.enrolling import lock, require_answering, require_comparing
from raters.services.fitting import ask_for_refit
from raters.services.limits import require_allowance
from raters.services.offering import mark_shown
from raters.services.remarks import (
    Region,
    checked_answer_comment,
    checked_reasons,
    checked_region,
    keep_remark,
    possible_away,
)
from raters.services.shares import may_undo
from raters.services.skipping import reopen

LONGEST_LOOK = timedelta(days=1)
LONGEST_AGO = 366 * 24 * 3_600_000  # milliseconds; more than any answer is kept
_criteria = Prepared(lambda: Criterion.objects.filter(study=Slot("study")))
_newest_revisions = Prepared(
    lambda: (
        Vote.objects.filter(comparison__in=any_of("comparisons", "bigint"))
        .order_by()
        .values("comparison")
        .annotate(newest=Max("revision"))
        .values_list("comparison", "newest")
    )
)


@transaction.atomic
def cast_vote(
    *,
    token: str,
    rater: Rater,
    answers: Mapping[str, str],
    revision: int = 1,
    milliseconds: int | None = None,
    away_milliseconds: int = 0,
    waited_milliseconds: int = 0,
    without_javascript: bool = False,
    reasons: Collection[str] = (),
    region: Region | None = None,
    comment: str = "",
    shown: Mapping[str, timedelta] | None = None,
) -> Comparison:
    """Answer one comparison; every question of the study at once. A second call with the same revision changes nothing.

    Args:
        token: the comparison's.
        answers: criterion's key → left, right, tie or both_bad.
        revision: 1, or after an undo the number that `next_revision` gives.
        milliseconds: from both sides shown to the answer, as the browser measured it, the time away apart.
        away_milliseconds: how long the page was hidden or out of focus between the two.
        waited_milliseconds: from the answer to its sending, where the server was away.
        reasons: of those that the study offers.
        region: where the worse side is wrong, and `comment` a few words, where the study asks for them.
        shown: by their tokens, how long ago comparisons were shown, as `mark_shown` takes it: what the browser tells
            with an answer is written with it.
    Raises: Http404 for a token that is not hers or has expired; Refusal for answers that do not fit the questions;
        Conflict when the study takes no votes now, or none of hers any more today. What she has skipped meanwhile in
        another window stays skipped.
    """
    comparison = own_comparison(rater, token)
    enrolment = lock(rater, comparison.study)
    expected = next_revision(comparison)
    if revision < expected:
        _mark_all_shown(rater, shown)
        return comparison
    require_answering(enrolment, comparison)
    study = enrolment.study
    if revision > expected:
        raise Refusal(
            _("The next answer to this pair has the number %(expected)s, got %(given)s; reload the page.")
            % {"expected": expected, "given": revision}
        )
    if not comparison.is_lesson:
        require_allowance(enrolment)
    if without_javascript and not study.works_without_javascript:
        raise Refusal(_("This study shows its pictures with JavaScript only; turn it on in your browser and reload."))
    choices = _checked(study, answers)
    if milliseconds is not None and not 0 <= milliseconds <= LONGEST_LOOK.total_seconds() * 1000:
        milliseconds = None
    reasons, region = checked_reasons(study, reasons), checked_region(study, region)
    comment, away = checked_answer_comment(study, comment), possible_away(away_milliseconds)
    now = timezone.now()
    if comparison.shown_at is None and milliseconds is not None:
        ago = timedelta(milliseconds=min(milliseconds + away + max(0, waited_milliseconds), LONGEST_AGO))
        comparison.shown_at = max(now - ago, comparison.created_at)
    comparison.answered_at = now
    written = write_answer(
        comparison=comparison,
        enrolment=enrolment,
        choices=choices,
        revision=revision,
        milliseconds=milliseconds,
        without_javascript=without_javascript,
        reasons=reasons,
        shown=shown or {},
    )
    if not written:
        _mark_all_shown(rater, shown)
        return comparison
    ask_for_refit(study)
    keep_remark(comparison=comparison, revision=revision, region=region, comment=comment, away_milliseconds=away)
    if is_spent(study):
        close_if_done(study=study)
    return comparison


@transaction.atomic
def undo_last(*, rater: Rater, study: Study, last: str | None = None, revision: int | None = None) -> Comparison | None:
    """Take back the rater's newest answer or skip and open its comparison again, as the next one she sees.

    Args:
        last: token of the comparison she means. When that is not the newest one any more (a key pressed twice, another
            tab), nothing happens.
        revision: the number of this undo, one more than the answer's, where her browser knows it. That very answer is
            then withdrawn, even if another window has answered since; a second call changes nothing. A skip has none.
    Returns: the comparison, or None when there was nothing to undo.
    """
    enrolment = lock(rater, study)
    if enrolment.state == EnrolmentState.TRAINING:
        return None  # practice and qualification are not taken back
    require_comparing(enrolment)
    comparison = last_done(rater, study) if revision is None else own_comparison(rater, last or "")
    if comparison is None or comparison.study_id != study.pk or comparison.is_lesson:
        return None
    if not may_undo(enrolment, comparison):
        return None
    if comparison.skipped_at is not None and last in {None, comparison.token}:
        return reopen(comparison)
    if comparison.answered_at is None:
        return None
    if (last is not None and comparison.token != last) or revision not in {None, next_revision(comparison)}:
        return None
    standing = Vote.objects.filter(comparison=comparison).latest_revisions().select_related("criterion")
    _withdraw(comparison, [vote.criterion for vote in standing])
    comparison.answered_at = None
    comparison.expires_at = timezone.now() + Comparison.LIFETIME
    comparison.save(update_fields=["answered_at", "expires_at"])
    if comparison.control == Control.NONE:
        enrolment.answers -= 1
        enrolment.save(update_fields=["answers"])
    if enrolment.state == EnrolmentState.COMPLETE:
        enrolment.state = EnrolmentState.ACTIVE
        enrolment.save(update_fields=["state"])
    return comparison


def last_done(rater: Rater, study: Study) -> Comparison | None:
    """What an undo would open again: answered or skipped, the newest, practice apart."""
    own = Comparison.objects.in_earnest().filter(rater=rater, study=study)
    answered = own.answered().order_by("-answered_at", "-id").first()
    skips = own.exclude(skipped_at=None) if answered is None else own.filter(skipped_at__gt=answered.answered_at)
    return skips.order_by("-skipped_at", "-id").first() or answered


def next_revision(comparison: Comparison) -> int:
    """The number that the next answer to this comparison has to carry."""
    return next_revisions([comparison])[comparison.pk]


def next_revisions(comparisons: Iterable[Comparison]) -> dict[int, int]:
    """That of each, by its id."""
    revisions = {comparison.pk: 1 for comparison in comparisons}
    return revisions | {pk: newest + 1 for pk, newest in _newest_revisions(comparisons=list(revisions))}


def criteria_of(study: Study) -> list[Criterion]:
    """Its questions, in their order."""
    return _criteria(study=study.pk)


def _checked(study: Study, answers: Mapping[str, str]) -> dict[Criterion, Choice]:
    criteria = {criterion.key: criterion for criterion in criteria_of(study)}
    if set(answers) != set(criteria):
        raise Refusal(
            _("Every question needs one answer: expected %(expected)s, got %(given)s.")
            % {"expected": ", ".join(criteria), "given": ", ".join(answers) or _("none")}
        )
    return {criterion: _choice(criterion, answers[key]) for key, criterion in criteria.items()}


def _choice(criterion: Criterion, answer: str) -> Choice:
    offered = choices_of(criterion)
    if answer not in offered:
        raise Refusal(
            _("“%(question)s” is answered by one of %(expected)s; got “%(given)s”.")
            % {"question": criterion.name, "expected": ", ".join(offered), "given": answer}
        )
    return Choice(answer)


def choices_of(criterion: Criterion) -> list[Choice]:
    """The answers that a question takes, from left to right as they are shown."""
    tie = [Choice.TIE] if criterion.allows_tie else []
    both_bad = [Choice.BOTH_BAD] if criterion.allows_both_bad else []
    return [Choice.LEFT, *tie, *both_bad, Choice.RIGHT]


def _mark_all_shown(rater: Rater, shown: Mapping[str, timedelta] | None) -> None:
    for token, ago in (shown or {}).items():
        mark_shown(rater=rater, token=token, ago=ago)


def _withdraw(comparison: Comparison, criteria: Iterable[Criterion]) -> None:
    locks.share_votes(comparison.study)
    revision = next_revision(comparison)
    Vote.objects.bulk_create(
        Vote(
            comparison=comparison,
            criterion=criterion,
            revision=revision,
            choice=Choice.WITHDRAWN,
            study=comparison.study,
            prompt_id=comparison.prompt_id,
            rater_id=comparison.rater_id,
            left_checkpoint_id=comparison.left_checkpoint_id,
            right_checkpoint_id=comparison.right_checkpoint_id,
            simulated=comparison.rater.simulated,
            control=comparison.control,
        )
        for criterion in criteria
    )
    ask_for_refit(comparison.study)
