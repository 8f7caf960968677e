"""The leaderboard's pages: the table, what lies behind it, asking for a slice, and what can be taken home."""

from evalhub.leaderboard.views.asking import ask_for_fit
from evalhub.leaderboard.views.comparing import compare_page
from evalhub.leaderboard.views.deleting import study_archive, study_delete
from evalhub.leaderboard.views.pages import section_page, study_page
from evalhub.leaderboard.views.taking import download, download_section

__all__ = [
    "ask_for_fit",
    "compare_page",
    "download",
    "download_section",
    "section_page",
    "study_archive",
    "study_delete",
    "study_page",
]
