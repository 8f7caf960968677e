"""Votes: added once, never changed."""

from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from evalhub.problems import Refusal
from evalhub.studies.models import Criterion, Study
from raters import locks
from raters.access import own_comparison
from raters.models import Choice, Comparison, Control, Enrolment, EnrolmentState, Rater, Vote
from raters.services.closing import close_if_done, is_spent
from raters.services.enrolling import lock, lock_comparing, require_comparing
from raters.services.fitting import ask_for_refit
from raters.services.limits import require_allowance

LONGEST_LOOK = timedelta(days=1)


@transaction.atomic
def cast_vote(
    *,
    token: str,
    rater: Rater,
    answers: Mapping[str, str],
    revision: int = 1,
    milliseconds: int | None = None,
    without_javascript: bool = False,
) -> Comparison:
    """Answer one comparison; every question of the study at once. A second call with the same revision changes nothing.

    Args:
        token: the comparison's.
        answers: criterion's key → left, right, tie or both_bad.
        revision: 1, or after an undo the number that `next_revision` gives.
        milliseconds: from both sides shown to the answer, as the browser measured it.
    Raises: Http404 for a token that is not hers or has expired; Refusal for answers that do not fit the questions;
        Conflict when the study takes no votes now, or none of hers any more today.
    """
    comparison = own_comparison(rater, token)
    enrolment = lock(rater, comparison.study)
    expected = next_revision(comparison)
    if revision < expected:
        return comparison
    require_comparing(enrolment)
    study = enrolment.study
    if revision > expected:
        raise Refusal(f"The next answer to this pair has the number {expected}, got {revision}; reload the page.")
    require_allowance(enrolment)
    if without_javascript and not study.works_without_javascript:
        raise Refusal("This study shows its pictures with JavaScript only; turn it on in your browser and reload.")
    choices = _checked(study, answers)
    if milliseconds is not None and not 0 <= milliseconds <= LONGEST_LOOK.total_seconds() * 1000:
        milliseconds = None
    _add(comparison, choices, revision, milliseconds, without_javascript)
    now = timezone.now()
    if comparison.shown_at is None and milliseconds is not None:
        comparison.shown_at = now - timedelta(milliseconds=milliseconds)
    comparison.answered_at = now
    comparison.save(update_fields=["answered_at", "shown_at"])
    _count(enrolment, comparison, 1)
    if is_spent(study):
        close_if_done(study=study)
    return comparison


@transaction.atomic
def undo_last(*, rater: Rater, study: Study, last: str | None = None) -> Comparison | None:
    """Withdraw the rater's newest answer and open its comparison again, as the next one she sees.

    Args:
        last: token of the comparison she means. When that is not the newest one any more (a key pressed twice, another
            tab), nothing happens.
    Returns: the comparison, or None when there was nothing to undo.
    """
    enrolment = lock_comparing(rater, study)
    comparison = last_answered(rater, study)
    if comparison is None or (last is not None and comparison.token != last):
        return None
    standing = Vote.objects.filter(comparison=comparison).latest_revisions().select_related("criterion")
    choices = {vote.criterion: Choice.WITHDRAWN for vote in standing}
    _add(comparison, choices, next_revision(comparison), None, False)
    comparison.answered_at = None
    comparison.expires_at = timezone.now() + Comparison.LIFETIME
    comparison.save(update_fields=["answered_at", "expires_at"])
    _count(enrolment, comparison, -1)
    if enrolment.state == EnrolmentState.COMPLETE:
        enrolment.state = EnrolmentState.ACTIVE
        enrolment.save(update_fields=["state"])
    return comparison


def last_answered(rater: Rater, study: Study) -> Comparison | None:
    """What an undo would open again."""
    return Comparison.objects.answered().filter(rater=rater, study=study).order_by("-answered_at", "-id").first()


def next_revision(comparison: Comparison) -> int:
    """The number that the next answer to this comparison has to carry."""
    newest = Vote.objects.filter(comparison=comparison).aggregate(newest=Max("revision"))["newest"]
    return (newest or 0) + 1


def _checked(study: Study, answers: Mapping[str, str]) -> dict[Criterion, Choice]:
    criteria = {criterion.key: criterion for criterion in study.criteria.all()}
    if set(answers) != set(criteria):
        raise Refusal(
            f"Every question needs one answer: expected {', '.join(criteria)}, got {', '.join(answers) or 'none'}."
        )
    return {criterion: _choice(criterion, answers[key]) for key, criterion in criteria.items()}


def _choice(criterion: Criterion, answer: str) -> Choice:
    offered = choices_of(criterion)
    if answer not in offered:
        raise Refusal(f"“{criterion.name}” is answered by one of {', '.join(offered)}; got “{answer}”.")
    return Choice(answer)


def choices_of(criterion: Criterion) -> list[Choice]:
    """The answers that a question takes, from left to right as they are shown."""
    tie = [Choice.TIE] if criterion.allows_tie else []
    both_bad = [Choice.BOTH_BAD] if criterion.allows_both_bad else []
    return [Choice.LEFT, *tie, *both_bad, Choice.RIGHT]


def _count(enrolment: Enrolment, comparison: Comparison, answers: int) -> None:
    """Keep the number of her answers; her enrolment is locked."""
    if comparison.control == Control.NONE:
        enrolment.answers += answers
        enrolment.save(update_fields=["answers"])


def _add(
    comparison: Comparison,
    choices: Mapping[Criterion, Choice],
    revision: int,
    milliseconds: int | None,
    without_javascript: bool,
) -> None:
    locks.share_votes(comparison.study)
    Vote.objects.bulk_create(
        Vote(
            comparison=comparison,
            criterion=criterion,
            revision=revision,
            choice=choice,
            milliseconds=milliseconds,
            without_javascript=without_javascript,
            study=comparison.study,
            prompt_id=comparison.prompt_id,
            rater_id=comparison.rater_id,
            left_checkpoint_id=comparison.left_checkpoint_id,
            right_checkpoint_id=comparison.right_checkpoint_id,
            simulated=comparison.rater.simulated,
            control=comparison.control,
        )
        for criterion, choice in choices.items()
    )
    ask_for_refit(comparison.study)
