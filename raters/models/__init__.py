"""How people compare: raters, what they were shown, what they answered, and the rankings frozen from their votes."""

from raters.models.comparisons import (
    ANSWERS,
    Choice,
    Comparison,
    ComparisonQuerySet,
    Control,
    PresentationCopy,
    PresentationCopyQuerySet,
    Reason,
)
from raters.models.counts import PairCount, PairCountQuerySet
from raters.models.fits import OWN_SLICE, Fit, FitQuerySet, FitState, Rating, slice_digest
from raters.models.golds import Gold, GoldQuerySet, GoldUse
from raters.models.imports import VoteFile, VoteFileQuerySet, VoteFileState, VoteImport
from raters.models.people import Enrolment, EnrolmentState, Rater
from raters.models.recruitment import Platform, Recruitment, RecruitmentQuerySet, Visit, VisitOutcome
from raters.models.remarks import Remark, Side, Skip, SkipReason
from raters.models.rules import RaterRules
from raters.models.ship_tests import Margin, MarginQuerySet, Outcome, Verdict
from raters.models.standings import Standing
from raters.models.votes import Vote, VoteQuerySet

__all__ = [
    "ANSWERS",
    "OWN_SLICE",
    "Choice",
    "Comparison",
    "ComparisonQuerySet",
    "Control",
    "Enrolment",
    "EnrolmentState",
    "Fit",
    "FitQuerySet",
    "FitState",
    "Gold",
    "GoldQuerySet",
    "GoldUse",
    "Margin",
    "MarginQuerySet",
    "Outcome",
    "PairCount",
    "PairCountQuerySet",
    "Platform",
    "PresentationCopy",
    "PresentationCopyQuerySet",
    "Rater",
    "RaterRules",
    "Rating",
    "Reason",
    "Recruitment",
    "RecruitmentQuerySet",
    "Remark",
    "Side",
    "Skip",
    "SkipReason",
    "Standing",
    "Verdict",
    "Visit",
    "VisitOutcome",
    "Vote",
    "VoteFile",
    "VoteFileQuerySet",
    "VoteFileState",
    "VoteImport",
    "VoteQuerySet",
    "slice_digest",
]
