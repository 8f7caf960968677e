"""What people said of every two samples that were compared: the rows that preferences and rewards are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.functions import Greatest, Least

from evalhub.studies.models import Prompt, Sample, Study
from raters.exports.batches import in_batches
from raters.exports.selection import Selection
from raters.exports.splits import splits
from raters.models import Choice, Vote

BATCH = 256


@dataclass(frozen=True)
class Pair:
    """One question's answers to two samples of a prompt, from everybody who was asked.

    Which of the two is the first is settled by their bytes alone and says nothing of either.

    Args:
        wins: votes for the first and for the second.
        undecided: ties and both-bads; both_bad: how many of them are the latter.
        newest: when the last of the votes was cast.
    """

    criterion: str
    prompt: Prompt
    samples: tuple[Sample, Sample]
    wins: tuple[int, int]
    undecided: int
    both_bad: int
    newest: datetime
    split: str

    @property
    def votes(self) -> int:
        return sum(self.wins) + self.undecided

    @property
    def agreement(self) -> float:
        """Share of the votes that gave the most frequent answer."""
        return max(*self.wins, self.undecided) / self.votes

    @property
    def label(self) -> float:
        """1 when the first is better, 0 when the second is; 0.5 when neither answer is the most frequent by itself."""
        first, second = self.wins
        if first > max(second, self.undecided):
            return 1.0
        return 0.0 if second > max(first, self.undecided) else 0.5

    @property
    def share(self) -> float:
        """Of the votes for the first, undecided ones halved."""
        return (self.wins[0] + self.undecided / 2) / self.votes


def pairs(study: Study, selection: Selection) -> Iterator[Pair]:
    """The pairs that the selection takes, prompt by prompt."""
    split_of = splits(study, selection)
    keys = dict(study.criteria.values_list("pk", "key"))
    for batch in in_batches(_counted(study, selection).iterator(BATCH), BATCH):
        prompts = Prompt.objects.select_related("source", "mask").in_bulk({row["prompt"] for row in batch})
        ids = {row[place] for row in batch for place in ("lower", "upper")}
        samples = Sample.objects.select_related("checkpoint", "media").in_bulk(ids)
        for row in batch:
            one, other = samples[row["lower"]], samples[row["upper"]]
            wins = (row["lower_wins"], row["upper_wins"])
            if (one.media.sha256, one.pk) > (other.media.sha256, other.pk):
                one, other, wins = other, one, wins[::-1]
            pair = Pair(
                criterion=keys[row["criterion"]],
                prompt=prompts[row["prompt"]],
                samples=(one, other),
                wins=wins,
                undecided=row["undecided"],
                both_bad=row["both_bad"],
                newest=row["newest"],
                split=split_of[row["prompt"]],
            )
            if _is_taken(pair, selection):
                yield pair


def _is_taken(pair: Pair, selection: Selection) -> bool:
    if selection.split and pair.split != selection.split:
        return False
    return pair.agreement >= selection.least_agreement and (not selection.decided or pair.label != 0.5)


def _counted(study: Study, selection: Selection) -> "QuerySet[Vote, Any]":
    """A row per question and unordered pair of samples."""
    lower_is_left = Q(comparison__left=F("lower"))
    for_lower = Q(lower_is_left, choice=Choice.LEFT) | Q(~lower_is_left, choice=Choice.RIGHT)
    for_upper = Q(lower_is_left, choice=Choice.RIGHT) | Q(~lower_is_left, choice=Choice.LEFT)
    return (
        selection.votes(study)
        .annotate(
            lower=Least("comparison__left", "comparison__right"),
            upper=Greatest("comparison__left", "comparison__right"),
        )
        .values("prompt", "criterion", "lower", "upper")
        .annotate(
            votes=Count("pk"),
            lower_wins=Count("pk", filter=for_lower),
            upper_wins=Count("pk", filter=for_upper),
            undecided=Count("pk", filter=Q(choice__in=[Choice.TIE, Choice.BOTH_BAD])),
            both_bad=Count("pk", filter=Q(choice=Choice.BOTH_BAD)),
            newest=Max("created_at"),
        )
        .filter(votes__gte=selection.least_votes)
        .order_by("prompt", "criterion", "lower", "upper")
    )
