"""Who may take votes home."""

from django.core.exceptions import PermissionDenied

from evalhub.studies.access import Actor, get_study, ratings_visible
from evalhub.studies.models import Study


def get_study_to_export(actor: Actor, slug: str) -> Study:
    """The study, for whoever may see what people answered; errors as of `get_study`."""
    study = get_study(actor, slug, "see")
    if not ratings_visible(actor, study):
        raise PermissionDenied("This study shows what people answered to its owners only until it is closed.")
    return study
