"""A study's life: made, filled with prompts, published, paused, closed."""

import re
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import (
    ClosedBecause,
    Criterion,
    Event,
    LogEntry,
    Membership,
    Modality,
    Role,
    Study,
    StudyState,
    User,
)
from evalhub.studies.services import webhooks

RESERVED = frozenset({"mine"})  # addresses of raters that no study may have
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
DEFAULT_CRITERIA = [("quality", "Quality", "Which picture is better?")]
# What an owner may change at any time, and what publishing freezes.
CLOSING = {"vote_budget", "closes_when_separated"}
LIMITS = {"votes_per_rater", "votes_per_rater_per_day", "vote_budget"}
LARGEST_LIMIT = 2**31 - 1  # that its column holds
TEXTS = {"name", "description", "licence", "consent", "instructions"}
CHANGEABLE = {"works_without_javascript"} | TEXTS | LIMITS | CLOSING
# Had somebody seen ratings, hiding them later would hide nothing; and who was promised that they are hidden, was.
# What raters are asked besides the questions, and whether outputs are blurred, is part of the presentation.
ASKED = {"is_sensitive", "reason_tags", "asks_region", "asks_comment", "requires_watching"}
FROZEN = {"presentation_edge", "publishes_late"} | ASKED
MOST_REASONS = 20


@transaction.atomic
def create_study(
    *,
    slug: str,
    name: str,
    actor: User,
    modality: str = Modality.IMAGE,
    criteria: Sequence[tuple[str, str, str]] = (),
    **fields: Any,
) -> Study:
    """A draft whose owner is the actor.

    Args:
        slug: its name in addresses; lower-case letters, digits and hyphens, at most 64.
        criteria: (key, name, question) of each question that raters answer; one about quality when empty.
        fields: any other field of Study (description, consent, instructions, …).
    Raises: Refusal for a name, slug or modality that does not do; Conflict when the slug is taken.
    """
    if not SLUG.fullmatch(slug):
        raise Refusal(
            f"A study's slug is 1 to 64 lower-case letters, digits and hyphens (“faces-4x”); got “{slug[:100]}”."
        )
    if slug in RESERVED:
        raise Refusal(f"The slug “{slug}” stands for a page of raters; choose another.")
    if not name.strip():
        raise Refusal("A study needs a name.")
    if modality not in Modality.values:
        raise Refusal(f"A study compares {' or '.join(Modality.values)}; “{modality[:100]}” is neither.")
    try:
        with transaction.atomic():
            study = Study.objects.create(slug=slug, name=name.strip(), modality=modality, created_by=actor, **fields)
    except IntegrityError:
        raise Conflict(f"There is a study called “{slug}” already; choose another slug.") from None
    for position, (key, label, question) in enumerate(criteria or DEFAULT_CRITERIA):
        Criterion.objects.create(study=study, key=key, name=label, question=question, position=position)
    Membership.objects.create(study=study, user=actor, role=Role.OWNER)
    LogEntry.write(study=study, actor=actor, verb="created study", subject=study, slug=slug)
    return study


@transaction.atomic
def change_study(*, study: Study, actor: User, **changes: Any) -> Study:
    """Change texts and rules of a study. A changed consent gets a new version, which raters are asked to agree to anew.

    Raises: Conflict for what publishing has frozen.
    """
    locked = _locked(study)
    if unknown := set(changes) - CHANGEABLE - FROZEN:
        raise Refusal(f"These fields of a study cannot be changed: {', '.join(sorted(unknown))}.")
    changed = {name: value for name, value in changes.items() if getattr(locked, name) != value}
    if not changed:
        return locked
    if locked.published_at and set(changed) & FROZEN:
        raise Conflict(
            "This study is published, which froze how its pictures are shown, what raters are asked, and when its "
            "ratings are published."
        )
    for name in LIMITS & set(changed):
        if changed[name] is not None and not 1 <= changed[name] <= LARGEST_LIMIT:
            raise Refusal(f"A limit on votes is a number from 1 to {LARGEST_LIMIT:,}, or none; got {changed[name]:,}.")
    if "reason_tags" in changed:
        changed["reason_tags"] = _reasons(changed["reason_tags"])
    if "consent" in changed:
        changed["consent_version"] = locked.consent_version + 1
    told = {"before": {name: getattr(locked, name) for name in changed}, "after": dict(changed)}
    study = _set(locked, actor, "changed study", told=told, **changed)
    if set(changed) & CLOSING:
        enqueue("raters.close_if_done", str(study.pk))
    return study


def _reasons(given: Sequence[str]) -> list[str]:
    """The reasons in their order, without space around them. Refusal for too many, too long ones, and twins."""
    reasons = [" ".join(reason.split()) for reason in given]
    longest = max((len(reason) for reason in reasons), default=1)
    if len(reasons) > MOST_REASONS or len(set(reasons)) < len(reasons) or "" in reasons or longest > 40:
        raise Refusal(
            f"A study has at most {MOST_REASONS} reasons, each different and 1 to 40 characters long; "
            f"got {len(reasons)}: {', '.join(reasons)[:200]}."
        )
    return reasons


def publish_study(*, study: Study, actor: User) -> Study:
    """Open a draft, or open again a study that is paused or has closed itself. The first time freezes prompts,
    criteria, presentation and whether ratings are published late.

    Raises: Refusal when a draft has no prompt or no criterion, or when a study would close itself again at once;
        Conflict when the study is closed for good.
    """
    with transaction.atomic():
        locked = _locked(study)
        if locked.state == StudyState.OPEN:
            return locked
        if locked.state == StudyState.CLOSED:
            return _reopened(locked, actor)
        prompts = locked.prompts.count()
        if not prompts or not locked.criteria.exists():
            raise Refusal("A study needs at least one prompt and one criterion before it is published.")
        published = locked.published_at or timezone.now()
        told = {"prompts": prompts}
        opened = _set(locked, actor, "opened study", told=told, state=StudyState.OPEN, published_at=published)
        enqueue("raters.prepare_presentation", str(study.pk))
        return opened


def pause_study(*, study: Study, actor: User) -> Study:
    """Stop showing comparisons until the study is opened again. Conflict unless it is open."""
    return _leave(study, actor, {StudyState.OPEN}, StudyState.PAUSED, "paused study")


def close_study(
    *,
    study: Study,
    actor: User | None = None,
    because: ClosedBecause = ClosedBecause.OWNER,
    answers: int | None = None,
) -> Study:
    """Take no more votes and no more submissions. Conflict for a draft.

    Args:
        actor: who closes it, for good; None when the study closes itself, which an owner may take back.
        because, answers: why it closes itself, and with how many answers.
    """
    why = {"closed_because": because, "answers_at_closing": answers}
    return _leave(study, actor, {StudyState.OPEN, StudyState.PAUSED}, StudyState.CLOSED, "closed study", **why)


@transaction.atomic
def _leave(
    study: Study, actor: User | None, allowed: set[StudyState], state: StudyState, verb: str, **values: Any
) -> Study:
    locked = _locked(study)
    if locked.state == state:
        return locked
    if locked.state not in allowed:
        raise Conflict(f"A study that is {locked.state} cannot become {state.value}.")
    told = {name: value for name, value in values.items() if value is not None}
    if state == StudyState.CLOSED:
        webhooks.announce(study=locked, event=Event.STUDY_CLOSED, data=told)
    return _set(locked, actor, verb, told=told, state=state, **values)


def _reopened(study: Study, actor: User) -> Study:
    """A study that closed itself goes on, once it is asked for more than it had then."""
    if study.closed_because not in {ClosedBecause.BUDGET, ClosedBecause.SEPARATION}:
        raise Conflict("This study is closed for good; make a new study to go on.")
    if study.publishes_late:
        raise Conflict("Closing this study published its ratings, so no vote may follow; make a new study to go on.")
    had = study.answers_at_closing or 0
    if study.vote_budget is not None and study.vote_budget <= had:
        raise Refusal(
            f"This study has its {had:,} answers, and its budget is {study.vote_budget:,}; "
            "set a larger budget, or none, and then open it again."
        )
    if study.closed_because == ClosedBecause.SEPARATION and study.closes_when_separated:
        raise Refusal(
            "The order of this study's contestants is settled, so it would close itself again; "
            "untick that it closes then, and open it again."
        )
    told = {"answers": had, "vote_budget": study.vote_budget}
    return _set(
        study, actor, "opened study", told=told, state=StudyState.OPEN, closed_because="", answers_at_closing=None
    )


def _locked(study: Study) -> Study:
    return Study.objects.select_for_update(no_key=True).get(pk=study.pk)


def _set(study: Study, actor: User | None, verb: str, *, told: dict[str, Any] | None = None, **values: Any) -> Study:
    """Write the values, and into the log what is told of them."""
    for name, value in values.items():
        setattr(study, name, value)
    study.save(update_fields=list(values))
    LogEntry.write(study=study, actor=actor, verb=verb, subject=study, **(told or {}))
    return study
