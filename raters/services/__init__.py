"""What can be done to raters, comparisons, votes and fits."""

from raters.services.closing import answers_counted, close_if_done
from raters.services.enrolling import consent, enrol, needs_consent, set_exclusion, set_group
from raters.services.fitting import fit_of, refit, studies_to_refit
from raters.services.margins import LARGEST_MARGIN, register_margin, withdraw_margin
from raters.services.offering import answered_by, mark_shown, next_comparison
from raters.services.on_demand import ask_for_fit, fit_slice, fits_to_resume
from raters.services.preparing import prepare_presentation, studies_to_prepare
from raters.services.recounting import recount
from raters.services.reproducing import Reproduction, reproduce
from raters.services.rules import rules_of
from raters.services.slices import groups_of, normalise_slice, slice_title, tags_of
from raters.services.starting import enrol_simulated, start
from raters.services.voting import cast_vote, choices_of, last_answered, next_revision, undo_last

__all__ = [
    "LARGEST_MARGIN",
    "Reproduction",
    "answered_by",
    "answers_counted",
    "ask_for_fit",
    "cast_vote",
    "choices_of",
    "close_if_done",
    "consent",
    "enrol",
    "enrol_simulated",
    "fit_of",
    "fit_slice",
    "fits_to_resume",
    "groups_of",
    "last_answered",
    "mark_shown",
    "needs_consent",
    "next_comparison",
    "next_revision",
    "normalise_slice",
    "prepare_presentation",
    "recount",
    "refit",
    "register_margin",
    "reproduce",
    "rules_of",
    "set_exclusion",
    "set_group",
    "slice_title",
    "start",
    "studies_to_prepare",
    "studies_to_refit",
    "tags_of",
    "undo_last",
    "withdraw_margin",
]
