"""Up to which vote a ranking can be frozen."""

from django.db.models import Max

from evalhub.studies.models import Study
from raters import locks
from raters.models import Vote


def safe_cut_off(study: Study) -> int:
    """The newest vote's id, below which none can appear any more; 0 before the first vote."""
    with locks.no_votes_under_way(study):
        return Vote.objects.filter(study=study).aggregate(newest=Max("id"))["newest"] or 0
