"""What a leaderboard says, in sentences: who leads and how surely, what may ship, what to be careful about."""

from dataclasses import dataclass

from evalhub.leaderboard.tables import Leaderboard, Row
from raters.models import Fit, Outcome

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# More names than that are not read out.
MOST_NAMES = 5
# Krippendorff's own bounds: below the lower one he would draw no conclusion, above the upper one he would rely on it.
WEAK_AGREEMENT, GOOD_AGREEMENT = 0.667, 0.8
# Beyond this are odds of more than 100,000 to 1, of which no handful of votes can speak: there is no interval yet.
FARTHEST = 2_000.0  # Elo
OUTCOME_TONES = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.UNDECIDED: "plain"}


@dataclass(frozen=True)
class Sentence:
    """One finding. `tone` is plain, good, warn or bad; the words say the same."""

    text: str
    tone: str = "plain"
    about: str = ""


def summary(board: Leaderboard) -> list[Sentence]:
    """What a lead has to know first; nothing before anybody is ranked."""
    fit = board.fit
    if fit is None:
        return []
    ranked = [row for row in board.rated if row.rating and row.rating.rank_low is not None]
    found = [*_first_places(ranked), *_lead(board, ranked), *_verdicts(fit)]
    return [*found, *_influence(fit), *_agreement(fit)]


def _first_places(ranked: list[Row]) -> list[Sentence]:
    """Who may be the best, by the simultaneous rank intervals; of a single one the lead says more."""
    first = [row for row in ranked if row.rating and row.rating.rank_low == 1]
    if len(first) < 2:
        return []
    if len(first) == len(ranked):
        return [Sentence(f"Any of the {counted(len(first))} contestants may be the best: the votes do not say yet.")]
    if len(first) > MOST_NAMES:
        return [Sentence(f"Any of the first {counted(len(first))} may be the best: the votes do not say yet.")]
    names = listed([str(row.checkpoint) for row in first])
    return [Sentence(f"The first {counted(len(first))} cannot be told apart as to who is best: {names}.")]


def _lead(board: Leaderboard, ranked: list[Row]) -> list[Sentence]:
    """How far the leader is ahead of the next, with an interval that holds however often one looks."""
    pairs = board.fit.separations if board.fit else []
    if len(ranked) < 2 or not pairs or pairs[0]["upper"] != str(ranked[0].checkpoint.pk):
        return []
    pair, upper, lower = pairs[0], ranked[0].checkpoint, ranked[1].checkpoint
    if max(-pair["low"], pair["high"]) > FARTHEST:
        return [Sentence(f"{upper} is above {lower} so far; too few votes, or raters, to say by how much.")]
    ahead = f"{whole(pair['difference'])} Elo [{whole(pair['low'])}, {whole(pair['high'])}]"
    if pair["separated"]:
        return [Sentence(f"{upper} is ahead of {lower} by {ahead}.", "good")]
    return [Sentence(f"{upper} is {ahead} above {lower}, which is not settled: {votes_more(pair.get('more_votes'))}.")]


def _verdicts(fit: Fit) -> list[Sentence]:
    return [
        Sentence(verdict.sentence, OUTCOME_TONES[Outcome(verdict.outcome)], "May it ship?")
        for verdict in fit.verdicts.all()
    ]


def _influence(fit: Fit) -> list[Sentence]:
    alarm = fit.influence.get("alarm")
    return [Sentence(alarm, "warn", "Influence")] if alarm else []


def _agreement(fit: Fit) -> list[Sentence]:
    found = fit.agreement
    alpha = found.get("alpha")
    if alpha is None:
        return []
    low, high, span = alpha, alpha, ""
    if found.get("low") is not None:
        low, high = found["low"], found["high"]
        span = f" [{low:.2f}, {high:.2f}]"
    text = f"Raters' agreement is {_level(low, high)}: Krippendorff’s α = {alpha:.2f}{span}"
    return [Sentence(f"{text}, on {found['units']:,} pairs that were judged more than once.".replace("-", "−"))]


def _level(low: float, high: float) -> str:
    """What all of the interval allows to say."""
    if low >= GOOD_AGREEMENT:
        return "good"
    if low >= WEAK_AGREEMENT:
        return "fair or better"
    return "weak" if high < WEAK_AGREEMENT else "not known well yet"


def votes_more(votes: int | None) -> str:
    """About how many votes are missing, to two digits."""
    if votes is None:
        return "no number of votes would settle it if they are as alike as they seem"
    rounded = two_digits(votes)
    return f"about {rounded:,} vote{'' if rounded == 1 else 's'} more between the two"


def two_digits(number: int) -> int:
    """What is only known roughly is not written to the last digit."""
    return int(float(f"{number:.2g}"))


def whole(number: float) -> str:
    """With a true minus sign, and never “−0”."""
    return f"{round(number):,}".replace("-", "−")


def counted(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def listed(names: list[str]) -> str:
    """“a, b and c”."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
