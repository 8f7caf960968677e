"""Sheets that are opened in spreadsheet programs: text of strangers must not run there."""

from typing import Any

# What a spreadsheet takes for the beginning of a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(value: Any) -> Any:
    """The value for a cell of a CSV file; text that would run as a formula is quoted, as spreadsheets themselves do."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
