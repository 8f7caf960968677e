"""A leaderboard for a paper: a table with booktabs."""

from typing import Any

from evalhub.leaderboard.columns import Column
from evalhub.leaderboard.tables import Leaderboard, Row, value_of

# Whatever TeX would take for more than a letter. Names come from outside, and a paper is compiled.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}
RATES = {"win_rate", "tie_rate", "both_bad_rate"}


def as_latex(board: Leaderboard) -> str:
    """The columns that the page shows, an interval in brackets after its value. Needs `\\usepackage{booktabs}`."""
    columns = [column for column in board.shown if column.key != "next"]
    spec = "rl" + "".join("l" if column.is_text else "r" for column in columns)
    head = ["Rank", "Contestant", *(escaped(column.title) for column in columns)]
    body = [
        " & ".join([_rank(row), escaped(str(row.checkpoint)), *(_cell(board, row, column) for column in columns)])
        for row in board.rows
    ]
    return "\n".join(
        [
            "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.",
            "\\begin{table}",
            "\\centering",
            f"\\begin{{tabular}}{{{spec}}}",
            "\\toprule",
            " & ".join(head) + r" \\",
            "\\midrule",
            *(line + r" \\" for line in body),
            "\\bottomrule",
            "\\end{tabular}",
            f"\\caption{{{escaped(_caption(board))}}}",
            "\\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text that TeX prints as it is; a control character becomes a space."""
    return "".join(SPECIAL.get(letter, letter if letter.isprintable() else " ") for letter in text)


def _caption(board: Leaderboard) -> str:
    fit = board.fit
    if fit is None:
        return f"{board.study.name}; no votes have been counted."
    simulated = f", {fit.simulated_votes:,} of them simulated," if fit.simulated_votes else ""
    question = board.criterion.question if board.criterion else "All criteria together."
    return (
        f"{board.study.name}: {question} Elo from {fit.votes:,} votes{simulated} by {fit.raters:,} raters, "
        f"with 95 % intervals. Fit {fit.pk}."
    )


def _rank(row: Row) -> str:
    rating = row.rating
    if rating is None or rating.rank_low is None:
        return "--"
    return str(rating.rank_low) if rating.rank_low == rating.rank_high else f"{rating.rank_low}--{rating.rank_high}"


def _cell(board: Leaderboard, row: Row, column: Column) -> str:
    if column.metric:
        cell = board.cell(row, column)
        return _with_interval(cell.value, cell.low, cell.high, "#.4g")
    if column.key == "rating":
        rating = row.rating
        return _with_interval(rating.rating, rating.low, rating.high, ".0f") if rating else "--"
    value: Any = value_of(row, board.columns, column.key)
    if value is None:
        return "--"
    if column.is_text:
        return escaped(str(value))
    if column.key in RATES:
        return escaped(f"{value:.0%}")
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _with_interval(value: float | None, low: float | None, high: float | None, form: str) -> str:
    if value is None:
        return "--"
    text = f"${value:{form}}$"
    return text if low is None or high is None else f"{text} [${low:{form}}$, ${high:{form}}$]"
