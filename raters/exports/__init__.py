"""Votes and preferences to take home: streamed row by row, however many there are."""

from raters.exports.access import get_study_to_export, log_export
from raters.exports.card import card
from raters.exports.preferences import preferences
from raters.exports.rewards import rewards
from raters.exports.selection import Selection, SelectionSerializer, select
from raters.exports.tables import TYPES, Table, stream
from raters.exports.totals import Totals, totals
from raters.exports.votes import votes

# What there is to take, by the name of its file.
TABLES = {"votes": votes, "preferences": preferences, "rewards": rewards}

__all__ = [
    "TABLES",
    "TYPES",
    "Selection",
    "SelectionSerializer",
    "Table",
    "Totals",
    "card",
    "get_study_to_export",
    "log_export",
    "preferences",
    "rewards",
    "select",
    "stream",
    "totals",
    "votes",
]
