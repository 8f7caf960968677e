"""Drawing new comparisons for one rater: several in one transaction, which read once what they all need."""

import secrets

import numpy as np

from evalhub.studies.models import Study
from raters.models import Comparison, PairCount, Rater
from raters.ranking import draw_pair
from raters.services.chances import Wishes, chances, wishes
from raters.services.controls import draw_control
from raters.services.impressions import Side, put, tossed
from raters.services.offers import Mask, Offers, Pair, Seen, offers_of
from raters.services.rules import rules_of


class Drawing:
    """The draws of one transaction, in which the rater's enrolment is locked. Call `count` at its end.

    Each draw knows of those before it. What it reads of others' votes and draws is as of the first.
    """

    def __init__(self, study: Study, rater: Rater) -> None:
        self.study, self.rater, self.rules = study, rater, rules_of(study)
        self.in_the_running = set(study.checkpoints.competing().values_list("pk", flat=True))
        own = Comparison.objects.filter(study=study, rater=rater).order_by().values_list("left", "right")
        self.own: list[Pair] = list(own)
        self.offers = offers_of(study)
        self.wishes: Wishes | None = None
        self.drawn: list[Comparison] = []

    def draw(self) -> Comparison | None:
        """A new comparison; before it is said that nothing is left, the offers are read as they are now."""
        comparison = self._draw()
        if comparison is None:
            newest = offers_of(self.study, newest=True)
            if newest is not self.offers:
                self.offers, self.wishes = newest, None
                comparison = self._draw()
        if comparison is not None:
            self.own.append((comparison.left_id, comparison.right_id))
        return comparison

    def count(self) -> None:
        """Keep how often each pair was drawn; controls are not."""
        PairCount.objects.add(self.drawn)

    def _draw(self) -> Comparison | None:
        offers = self.offers
        competing = np.array([checkpoint in self.in_the_running for checkpoint in offers.checkpoints], dtype=bool)
        seen = offers.seen(self.own)
        allowed = offers.allowed(seen) & competing[:, None] & competing[None, :]
        if not allowed.any():
            return None
        return draw_control(self.study, self.rater, self.rules) or self._pair(competing, allowed, seen)

    def _pair(self, competing: Mask, allowed: Mask, seen: Seen) -> Comparison | None:
        offers = self.offers
        self.wishes = self.wishes or wishes(self.study, offers.checkpoints, competing)
        # Seeded by the operating system's own randomness.
        drawn = draw_pair(chances(self.wishes, allowed), np.random.default_rng())
        if drawn is None:
            return None
        row = _least_compared_row(offers, drawn.first, drawn.second, seen)
        left, right = tossed(
            *(
                Side(int(offers.samples[row, column]), int(offers.copies[row, column]), offers.checkpoints[column])
                for column in (drawn.first, drawn.second)
            )
        )
        comparison = put(
            study=self.study,
            rater=self.rater,
            prompt=int(offers.prompts[row]),
            left=left,
            right=right,
            reason=self.wishes.reason,
            propensity=min(1.0, drawn.propensity),
        )
        self.drawn.append(comparison)
        return comparison


def _least_compared_row(offers: Offers, first: int, second: int, seen: Seen) -> int:
    """A row she has not seen, of the prompts that this pair has been compared on least; at random among them."""
    compared = PairCount.objects.per_prompt(offers.checkpoints[first], offers.checkpoints[second])
    rows = offers.rows(first, second, seen)
    counts = [compared.get(int(prompt), 0) for prompt in offers.prompts[rows]]
    least = min(counts)
    return int(secrets.choice([row for row, count in zip(rows, counts, strict=True) if count == least]))
