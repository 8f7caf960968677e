"""Pictures of a leaderboard, drawn on the server by Vega-Lite. Text stays text, and no script runs in the browser."""

from evalhub.leaderboard.charts.concordance import agreement_chart
from evalhub.leaderboard.charts.curves import curves_chart
from evalhub.leaderboard.charts.drawing import NARROW, WIDTH, Picture, inline_svg, plain_svg, png
from evalhub.leaderboard.charts.history import history_chart
from evalhub.leaderboard.charts.matrix import matrix_chart
from evalhub.leaderboard.charts.pareto import pareto_chart
from evalhub.leaderboard.charts.ratings import ratings_chart

__all__ = [
    "NARROW",
    "WIDTH",
    "Picture",
    "agreement_chart",
    "curves_chart",
    "history_chart",
    "inline_svg",
    "matrix_chart",
    "pareto_chart",
    "plain_svg",
    "png",
    "ratings_chart",
]
