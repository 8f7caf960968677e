"""Searches for near-duplicates: asked for, claimed by a worker, kept; and what has the very same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict
from evalhub.studies.models import Media, Prompt, Sample, Submission, User
from metrics.models import DuplicateSearch, NearDuplicate, ReferenceImage, SearchState
from metrics.services.choosing import imported_reference

# A worker says that it is alive far more often; one that is silent for so long is gone.
SILENCE = timedelta(minutes=5)
MOST_GROUPS = 50  # of equal files are shown
NOTHING_TO_SEARCH = (
    "There are no stored features of this submission's outputs to compare: score it by FID, KID or another metric that "
    "looks at the outputs as a whole, and search again."
)


@dataclass(frozen=True)
class SameBytes:
    """Outputs whose files are equal, byte by byte: the first tier, which needs no features.

    Attributes:
        groups: of the submission's outputs with one file, the largest first; `total` of them, of so many outputs.
        references: outputs whose file is a reference's or a source's, but for what their own prompt gives.
    """

    groups: list[list[Sample]] = field(default_factory=list)
    total: int = 0
    outputs: int = 0
    references: list[Sample] = field(default_factory=list)


def same_bytes(submission: Submission) -> SameBytes:
    """Found by SHA-256, of which each study keeps one file."""
    samples = Sample.objects.filter(checkpoint=submission.checkpoint_id)
    several = samples.values("media").order_by().annotate(outputs=Count("pk")).filter(outputs__gt=1)
    counted = list(several.order_by("-outputs", "media").values_list("media", "outputs"))
    shown = {media: list[Sample]() for media, _ in counted[:MOST_GROUPS]}
    told = samples.select_related("prompt", "media")
    for sample in told.filter(media__in=shown).order_by("prompt__position", "prompt", "seed"):
        shown[sample.media_id].append(sample)
    own = Q(media=F("prompt__reference")) | Q(media=F("prompt__source"))
    copied = told.filter(media__in=reference_media(submission)).exclude(own).order_by("prompt__position", "seed")
    return SameBytes(
        groups=list(shown.values()),
        total=len(counted),
        outputs=sum(outputs for _, outputs in counted),
        references=list(copied[:MOST_GROUPS]),
    )


def reference_media(submission: Submission) -> Any:
    """What outputs are compared with: the study's imported reference, or the prompts' own references, and sources."""
    study = submission.checkpoint.study
    prompts = Prompt.objects.filter(study=study)
    imported = imported_reference(study)
    real: Any = (
        ReferenceImage.objects.filter(reference=imported).values("media")
        if imported
        else prompts.exclude(reference=None).order_by().values("reference")
    )
    # One set of ids: of two, either of which may hold a file, the database would look every file up in both.
    return Media.objects.filter(pk__in=real.union(prompts.exclude(source=None).order_by().values("source")))


@transaction.atomic
def ask_for_duplicates(*, submission: Submission, actor: User | None) -> DuplicateSearch:
    """Search the submission's outputs for near-duplicates, soon; what an earlier search found goes when this one ends.

    Raises: Conflict for an incomplete submission, and while a search is under way.
    """
    if not submission.is_complete:
        raise Conflict("Near-duplicates are looked for in complete submissions; send what is missing first.")
    search = DuplicateSearch.objects.select_for_update().get_or_create(submission=submission)[0]
    if search.state == SearchState.RUNNING and search.beat_at > timezone.now() - SILENCE:
        raise Conflict("A search of this submission is under way; wait until it has ended.")
    search.state, search.error, search.done_share = SearchState.WAITING, "", 0.0
    search.asked_by, search.asked_at = actor, timezone.now()
    search.save(update_fields=["state", "error", "done_share", "asked_by", "asked_at"])
    enqueue("metrics.find_duplicates", search.pk)
    return search


def claim_search(*, search_id: int) -> DuplicateSearch | None:
    """Take a search that waits, or one whose worker has gone silent; None when there is nothing to take."""
    silent = Q(state=SearchState.RUNNING, beat_at__lt=timezone.now() - SILENCE)
    free = DuplicateSearch.objects.filter(Q(state=SearchState.WAITING) | silent, pk=search_id)
    taken = free.update(state=SearchState.RUNNING, token=F("token") + 1, beat_at=timezone.now(), done_share=0)
    return DuplicateSearch.objects.select_related("submission__checkpoint__study").get(pk=search_id) if taken else None


def renew_search(*, search: DuplicateSearch, share: float) -> bool:
    """Say how far it is; False when it was taken by another worker: stop."""
    held = DuplicateSearch.objects.filter(pk=search.pk, token=search.token, state=SearchState.RUNNING)
    return bool(held.update(done_share=share, beat_at=timezone.now()))


@transaction.atomic
def keep_duplicates(*, search: DuplicateSearch, facts: Mapping[str, Any], pairs: Sequence[NearDuplicate]) -> bool:
    """End a search with what it counted and found; False, and nothing is kept, when another worker has it."""
    held = DuplicateSearch.objects.filter(pk=search.pk, token=search.token, state=SearchState.RUNNING)
    if not held.update(state=SearchState.DONE, done_share=1, **facts):
        return False
    NearDuplicate.objects.filter(search=search).delete()
    NearDuplicate.objects.bulk_create(pairs, batch_size=1000)
    return True


def fail_search(*, search: DuplicateSearch, error: str) -> None:
    """End a search that cannot be done, with why."""
    held = DuplicateSearch.objects.filter(pk=search.pk, token=search.token, state=SearchState.RUNNING)
    held.update(state=SearchState.FAILED, error=error)


def ring_for_searches() -> int:
    """Ring again for searches that nobody has heard of: their ring was lost, or their worker."""
    silent = timezone.now() - SILENCE
    forgotten = Q(state=SearchState.WAITING, asked_at__lt=silent) | Q(state=SearchState.RUNNING, beat_at__lt=silent)
    found = list(DuplicateSearch.objects.filter(forgotten).values_list("pk", flat=True))
    for pk in found:
        enqueue("metrics.find_duplicates", pk)
    return len(found)
