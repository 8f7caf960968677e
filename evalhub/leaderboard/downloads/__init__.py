"""A leaderboard to take home: the same numbers as the page, for programs, spreadsheets and papers."""

from evalhub.leaderboard.downloads.documents import as_data, document
from evalhub.leaderboard.downloads.latex import as_latex
from evalhub.leaderboard.downloads.sheets import as_csv, as_parquet, values_as_csv

__all__ = ["as_csv", "as_data", "as_latex", "as_parquet", "document", "values_as_csv"]
