"""How a family of checkpoints changes over training."""

from dataclasses import dataclass

from evalhub.leaderboard.measures import Measure, Point, point
from evalhub.leaderboard.tables import Leaderboard
from evalhub.studies.models import Checkpoint


@dataclass(frozen=True)
class Step:
    """One checkpoint of a family and its value, None where it has none yet."""

    checkpoint: Checkpoint
    step: int
    point: Point | None


@dataclass(frozen=True)
class Curve:
    """A family's checkpoints in the order of their steps; at least two have a value."""

    family: str
    steps: tuple[Step, ...]


def curves(board: Leaderboard, by: Measure) -> list[Curve]:
    """Families with a value at two steps or more, by name. Checkpoints without a family are one by their name."""
    families: dict[str, list[Step]] = {}
    for row in board.rows:
        checkpoint = row.checkpoint
        if checkpoint.step is not None:
            family = checkpoint.family or checkpoint.name
            families.setdefault(family, []).append(Step(checkpoint, checkpoint.step, point(board, row, by)))
    found = [Curve(family, tuple(sorted(steps, key=_order))) for family, steps in families.items()]
    drawn = [curve for curve in found if len({step.step for step in curve.steps if step.point}) > 1]
    return sorted(drawn, key=lambda curve: curve.family.casefold())


def _order(step: Step) -> tuple[int, str]:
    return step.step, step.checkpoint.name
