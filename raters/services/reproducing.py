"""A frozen fit made again from the raw votes, and laid beside what was frozen."""

from dataclasses import dataclass

from evalhub.problems import Refusal
from raters.models import Fit, FitState, Rating
from raters.ranking import METHOD, VERSION
from raters.services.computing import compute
from raters.services.freezing import ROW_FIELDS, ratings

ROUNDING = 1e-6  # Elo; another processor adds in another order


@dataclass(frozen=True)
class Reproduction:
    """Args:
    rows: how many were compared.
    largest: the largest difference of a number, in its unit; 0.0 where all are equal to the last digit.
    differences: one sentence for each row that differs by more than rounding.
    """

    rows: int
    largest: float
    differences: tuple[str, ...]

    def sentence(self) -> str:
        """The result in words."""
        if self.differences:
            return f"{len(self.differences)} of {self.rows} rows differ from what was frozen."
        if self.largest:
            return f"All {self.rows} rows are as they were frozen, but for rounding ({self.largest:.1e} at most)."
        return f"All {self.rows} rows are as they were frozen, to the last digit."


def reproduce(*, fit: Fit) -> Reproduction:
    """Rank the votes up to the fit's cut-off again, as it was made then, and compare every row.

    Votes are never changed, and the fit keeps what else it rested on: who competed, who was left out, every option.

    Raises: Refusal for a fit that is not done, or made by another version of the method.
    """
    if fit.state != FitState.DONE:
        raise Refusal(f"Only a finished ranking can be made again; this one is {fit.get_state_display().lower()}.")
    if (fit.method, fit.version) != (METHOD, VERSION):
        raise Refusal(
            f"This ranking was made by {fit.method} version {fit.version}, but here is {METHOD} version {VERSION}, "
            "which may give other numbers; install the release that made it."
        )
    if not fit.inputs:
        raise Refusal("This ranking was frozen before rankings kept what they rest on, so it cannot be made again.")
    again = {row.checkpoint_id: row for row in ratings(fit, compute(fit, lambda stage: None))}
    frozen = {row.checkpoint_id: row for row in fit.ratings.select_related("checkpoint")}
    largest, differences = 0.0, []
    for checkpoint, row in frozen.items():
        apart, sentence = _compare(row, again.get(checkpoint))
        largest = max(largest, apart)
        differences += [sentence] if sentence else []
    differences += [f"{row.checkpoint} was not in it." for key, row in again.items() if key not in frozen]
    return Reproduction(len(frozen), largest, tuple(differences))


def _compare(frozen: Rating, again: Rating | None) -> tuple[float, str]:
    """The largest difference of their numbers, and what to say where it is more than rounding."""
    if again is None:
        return 0.0, f"{frozen.checkpoint} is not in it any more."
    largest = 0.0
    for name in (*ROW_FIELDS, "interval"):
        before, now = getattr(frozen, name), getattr(again, name)
        if before == now:
            continue
        apart = abs(before - now) if isinstance(before, float) and isinstance(now, float) else float("inf")
        if apart > ROUNDING:
            return 0.0, f"{frozen.checkpoint}: {name} was frozen as {before} and comes out as {now}."
        largest = max(largest, apart)
    return largest, ""
