"""A study taken away with everything it owned, votes too."""

from dataclasses import dataclass

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Count, Sum

from evalhub.leaderboard.archive.belongings import LEFT_BEHIND, PACKED
from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Media, Study, Submission, User
from metrics.models import CachedFile, Score
from raters.models import Fit, PresentationCopy, Rater, Vote


@dataclass(frozen=True)
class Owned:
    """What goes with a study: rows, and the files that its rows name with their bytes."""

    prompts: int
    submissions: int
    votes: int
    raters: int
    rankings: int
    scores: int
    files: int
    size: int


def owned_by(study: Study) -> Owned:
    """Counted now; what comes in until the deletion goes too."""
    named = (Media, PresentationCopy, CachedFile)
    stored = [model.objects.filter(study=study).aggregate(files=Count("pk"), size=Sum("size")) for model in named]
    return Owned(
        prompts=study.prompts.count(),
        submissions=Submission.objects.filter(checkpoint__study=study).count(),
        votes=Vote.objects.filter(study=study).count(),
        raters=study.enrolments.count(),
        rankings=Fit.objects.filter(study=study).count(),
        scores=Score.objects.filter(run__submission__checkpoint__study=study).count(),
        files=sum(each["files"] for each in stored),
        size=sum(each["size"] or 0 for each in stored),
    )


def delete_study(*, study: Study, actor: User | None, slug: str) -> dict[str, int]:
    """Delete the study, whatever its state, for good; how many rows of each table went.

    The database, which else keeps every vote, lets those of this one study go in this one transaction. Raters stay who
    take part in other studies or have an account.

    Args: slug: its short name, typed once more by who deletes it.
    Raises: Refusal when the name is another.
    """
    require_name(study, slug)
    counts: dict[str, int] = {}
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        raters = list(Rater.objects.filter(enrolments__study=locked).values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('evalhub.deleting_study', %s, true)", [str(locked.pk)])
        for belonging in (*LEFT_BEHIND, *reversed(PACKED)):
            if belonging.model == "raters.Rater":
                continue
            found = belonging.everything(locked)
            counts[belonging.model] = (
                belonging.table._default_manager.filter(pk__in=found.order_by().values("pk"))._raw_delete(
                    using="default"
                )
                or 0
            )
        alone = Rater.objects.filter(pk__in=raters, user=None, enrolments=None)
        counts["raters.Rater"] = alone._raw_delete(using="default") or 0
        LogEntry.write(study=None, actor=actor, verb="deleted study", subject=study.name, slug=study.slug)
        transaction.on_commit(lambda: _empty(f"studies/{study.pk}"))
    return counts


def require_name(study: Study, slug: str) -> None:
    """Refusal unless the study's short name was typed."""
    if slug != study.slug:
        raise Refusal(f"To delete this study, type its short name, “{study.slug}”; got “{slug[:100]}”.")


def _empty(folder: str) -> None:
    """Delete what lies in a folder of the storage, and the folder where storages have such."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        _empty(f"{folder}/{name}")
    default_storage.delete(folder)
