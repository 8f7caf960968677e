"""What a leaderboard can show of a contestant: what people said, what machines measured, what its team reports.

Which columns are shown is part of the address, so that a table is shared as it was made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from metrics.engine.registry import METRICS, Need

PEOPLE, COST, CONTESTANT = "People", "Cost, self-reported", "Contestant"
# What a metric looks at decides the group that it is offered in.
GROUPS = (
    (Need.REFERENCE_SET, "Metrics of the whole set"),
    (Need.PAIRED_REFERENCE, "Metrics against each reference"),
    (Need.CAPTION, "Metrics of captions"),
)
OTHER_METRICS = "Other metrics"

# More metrics than that are not shown unasked; these come first then, the others in the registry's order.
MOST_METRICS = 6
FIRST_METRICS = ("fid", "clip_score", "lpips")


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        key: in addresses and downloads. A metric's holds its protocol's fingerprint: scores of different fingerprints
            never share a column.
        best_first: "high" or "low", what the first click on its head puts on top.
        better: the same for a metric, where it is said; empty where neither end is better.
    """

    key: str
    title: str
    group: str
    best_first: str = "high"
    better: str = ""
    unit: str = ""
    metric: str = ""
    fingerprint: str = ""

    @property
    def reported(self) -> bool:
        """Whether the contestant's own team says so."""
        return self.group == COST

    @property
    def is_text(self) -> bool:
        """Whether it holds words rather than figures."""
        return self.key in WORDS

    @property
    def higher_is_better(self) -> bool:
        return self.better == "high"


WORDS = frozenset({"name", "rank", "gpu", "dtype", "family"})
NAME = Column("name", "Contestant", CONTESTANT, "low")
RANK = Column("rank", "Rank", PEOPLE, "low")
FIXED = (
    Column("rating", "Elo", PEOPLE, better="high", unit="Elo"),
    Column("next", "To the next", PEOPLE, "low"),
    Column("comparisons", "Votes", PEOPLE),
    Column("win_rate", "Win", PEOPLE),
    Column("tie_rate", "Tie", PEOPLE),
    Column("both_bad_rate", "Both bad", PEOPLE, "low"),
)
FACTS = (
    Column("latency", "Latency", COST, "low", better="low", unit="seconds per output"),
    Column("price", "Price", COST, "low", better="low", unit="US dollars per output"),
    Column("gpu", "GPU", COST, "low"),
    Column("dtype", "Type", COST, "low"),
    Column("family", "Family", CONTESTANT, "low"),
    Column("step", "Step", CONTESTANT),
)
SHOWN_UNASKED = frozenset({column.key for column in FIXED} | {"latency", "price"})


def metric_column(metric: str, fingerprint: str) -> Column:
    spec = METRICS[metric]
    return Column(
        key=f"{metric}:{fingerprint[:8]}" if fingerprint else metric,
        title=spec.title,
        group=next((group for need, group in GROUPS if need in spec.needs), OTHER_METRICS),
        best_first="high" if spec.higher_is_better else "low",
        better="high" if spec.higher_is_better else "low",
        unit=spec.unit,
        metric=metric,
        fingerprint=fingerprint,
    )


def all_columns(metrics: Sequence[Column]) -> tuple[Column, ...]:
    """Every column that can be shown beside rank and name, in the order of the table."""
    return (*FIXED, *metrics, *FACTS)


def shown_columns(metrics: Sequence[Column], asked: Iterable[str]) -> tuple[Column, ...]:
    """The columns asked for; where none of them exists, the sensible ones.

    Args:
        metrics: the study's metric columns, of one metric the one with most values first.
    """
    wanted = set(asked)
    found = tuple(column for column in all_columns(metrics) if column.key in wanted)
    if found:
        return found
    unasked = SHOWN_UNASKED | {column.key for column in _first_metrics(metrics)}
    return tuple(column for column in all_columns(metrics) if column.key in unasked)


def _first_metrics(metrics: Sequence[Column]) -> Sequence[Column]:
    if len(metrics) <= MOST_METRICS:
        return metrics
    one_each = {column.metric: column for column in reversed(metrics)}
    order = [*FIRST_METRICS, *METRICS]
    return sorted(one_each.values(), key=lambda column: order.index(column.metric))[:MOST_METRICS]


def grouped(columns: Iterable[Column]) -> dict[str, list[Column]]:
    """Columns by the group that the reader chooses them in."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(column.group, []).append(column)
    return groups
