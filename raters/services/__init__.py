"""What can be done to raters, comparisons, votes and fits."""

from raters.services.enrolling import consent, enrol, enrol_simulated, needs_consent, set_exclusion, start
from raters.services.fitting import refit, studies_to_refit
from raters.services.offering import answered_by, mark_shown, next_comparison
from raters.services.preparing import prepare_presentation, studies_to_prepare
from raters.services.voting import cast_vote, choices_of, last_answered, next_revision, undo_last

__all__ = [
    "answered_by",
    "cast_vote",
    "choices_of",
    "consent",
    "enrol",
    "enrol_simulated",
    "last_answered",
    "mark_shown",
    "needs_consent",
    "next_comparison",
    "next_revision",
    "prepare_presentation",
    "refit",
    "set_exclusion",
    "start",
    "studies_to_prepare",
    "studies_to_refit",
    "undo_last",
]
