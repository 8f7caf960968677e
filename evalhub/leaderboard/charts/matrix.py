"""Every contestant against every other, for taking home; on the page it is a table."""

from evalhub.leaderboard.charts.drawing import ACCENT, ROW_HEIGHT, TEXT, Picture, data, padding, simulated_note
from evalhub.leaderboard.matrix import MOST_CONTESTANTS, Matrix
from raters.models import Fit

CELL_WIDTH = 58


def matrix_chart(matrix: Matrix, fit: Fit | None) -> Picture:
    """Win shares with their numbers of comparisons; the stronger the tint, the surer that the row's is the better."""
    import altair  # here, for it takes long to load, and few pages draw

    values = [
        {
            "contestant": str(row),
            "against": str(column),
            "win_share": pair.share,
            "comparisons": pair.n,
            "wins": pair.wins,
            "losses": pair.losses,
            "ties": pair.ties,
            "both_bad": pair.both_bad,
            "probability_better": pair.better,
        }
        for row, pairs in zip(matrix.contestants, matrix.pairs, strict=True)
        for column, pair in zip(matrix.contestants, pairs, strict=True)
        if pair is not None
    ]
    names = [str(checkpoint) for checkpoint in matrix.contestants[:MOST_CONTESTANTS]]
    drawn = [
        {
            **value,
            "tint": value["probability_better"] or 0,
            "label": "–" if value["win_share"] is None else f"{value['win_share']:.0%} ({value['comparisons']:,})",
        }
        for value in values
        if value["contestant"] in names and value["against"] in names
    ]
    tint = altair.Opacity("tint:Q", scale=altair.Scale(domain=[0, 1], range=[0.0, 0.4]), legend=None)
    base = altair.Chart(data(drawn)).encode(
        y=altair.Y("contestant:N", sort=names, title=None, axis=altair.Axis(grid=False)),
        x=altair.X(
            "against:N",
            sort=names,
            title="Win share of the row against the column, with the number of comparisons; tint: how probably better"
            + simulated_note(fit),
            axis=altair.Axis(orient="top", labelAngle=-40, grid=False, titleAnchor="start"),
        ),
    )
    chart = altair.LayerChart(
        layer=[
            base.mark_rect(fill=ACCENT).encode(opacity=tint),
            base.mark_text(fontSize=10, color=TEXT).encode(text="label:N"),
        ]
    ).properties(
        width=CELL_WIDTH * len(names),
        height=ROW_HEIGHT * len(names),
        background="transparent",
        padding=padding(names, names),
        description="Head to head: the win share of each contestant against each other.",
    )
    return Picture(lambda width: chart, values)  # as wide as its contestants need
