"""What can be done to raters, comparisons, votes and fits."""

from raters.services.closing import answers_counted, close_if_done
from raters.services.enrolling import (
    agree_to_see,
    consent,
    enrol,
    enrolled,
    needs_consent,
    set_exclusion,
    set_group,
)
from raters.services.fitting import fit_of, refit, studies_to_refit
from raters.services.margins import LARGEST_MARGIN, register_margin, withdraw_margin
from raters.services.offering import AHEAD, answered_by, comparisons_ahead, mark_shown, next_comparison
from raters.services.on_demand import ask_for_fit, fit_slice, fits_to_resume
from raters.services.preparing import prepare_presentation, studies_to_prepare
from raters.services.recounting import recount
from raters.services.remarks import Region, region_from, region_text, said_before
from raters.services.reproducing import Reproduction, reproduce
from raters.services.rules import rules_of
from raters.services.skipping import skip
from raters.services.slices import groups_of, normalise_slice, slice_title, tags_of
from raters.services.starting import enrol_simulated, start
from raters.services.voting import (
    cast_vote,
    choices_of,
    criteria_of,
    last_done,
    next_revision,
    next_revisions,
    undo_last,
)

__all__ = [
    "AHEAD",
    "LARGEST_MARGIN",
    "Region",
    "Reproduction",
    "agree_to_see",
    "answered_by",
    "answers_counted",
    "ask_for_fit",
    "cast_vote",
    "choices_of",
    "close_if_done",
    "comparisons_ahead",
    "consent",
    "criteria_of",
    "enrol",
    "enrol_simulated",
    "enrolled",
    "fit_of",
    "fit_slice",
    "fits_to_resume",
    "groups_of",
    "last_done",
    "mark_shown",
    "needs_consent",
    "next_comparison",
    "next_revision",
    "next_revisions",
    "normalise_slice",
    "prepare_presentation",
    "recount",
    "refit",
    "region_from",
    "region_text",
    "register_margin",
    "reproduce",
    "rules_of",
    "said_before",
    "set_exclusion",
    "set_group",
    "skip",
    "slice_title",
    "start",
    "studies_to_prepare",
    "studies_to_refit",
    "tags_of",
    "undo_last",
    "withdraw_margin",
]
