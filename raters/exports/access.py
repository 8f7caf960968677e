"""Who may take votes home, and who did."""

from django.core.exceptions import PermissionDenied

from evalhub.studies.access import Actor, get_study, ratings_visible
from evalhub.studies.models import LogEntry, Study
from raters.exports.selection import Selection


def get_study_to_export(actor: Actor, slug: str) -> Study:
    """The study, for whoever may see what people answered; errors as of `get_study`."""
    study = get_study(actor, slug, "see")
    if not ratings_visible(actor, study):
        raise PermissionDenied("This study shows what people answered to its owners only until it is closed.")
    return study


def log_export(*, study: Study, actor: Actor, file: str, selection: Selection) -> None:
    """Note who takes which file, and what was chosen of the votes where that is not what everybody gets."""
    usual = Selection().said
    chosen = {name: value for name, value in selection.said.items() if value != usual[name]}
    LogEntry.write(study=study, actor=actor.user, verb="took export", subject=file, **chosen)
