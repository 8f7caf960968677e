"""Drawing new comparisons for one rater: several in one transaction, which read once what they all need."""

import secrets

import numpy as np

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import Checkpoint, Study
from raters.models import Comparison, Control, PairCount, Rater
from raters.ranking import draw_pair
from raters.services.chances import Wishes, chances, wishes
from raters.services.controls import draw_control, toss_control
from raters.services.impressions import Side, drawn_up, tossed, weight
from raters.services.offers import Mask, Offers, Pair, Seen, offers_of
from raters.services.rules import rules_of

_competing = Prepared(lambda: Checkpoint.objects.competing().filter(study=Slot("study")).values_list("pk"))
_own_pairs = Prepared(
    lambda: Comparison.objects.filter(study=Slot("study"), rater=Slot("rater")).order_by().values_list("left", "right")
)


class Drawing:
    """The draws of one transaction, in which the rater's enrolment is locked. What they give is there after `store`.

    Each draw knows of those before it. What it reads of others' votes and draws is as of the first.
    """

    def __init__(self, study: Study, rater: Rater) -> None:
        self.study, self.rater, self.rules = study, rater, rules_of(study)
        self.in_the_running = {pk for (pk,) in _competing(study=study.pk)}
        self.own: list[Pair] = list(_own_pairs(study=study.pk, rater=rater.pk))
        self.offers = offers_of(study)
        self.wishes: Wishes | None = None
        self.drawn: list[Comparison] = []
        self._to_store: list[Comparison] = []
        self._weights: dict[str, int] = {}
        # Seeded by the operating system's own randomness.
        self._random = np.random.default_rng()

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

    def weight(self, comparison: Comparison) -> int:
        """Bytes of both copies of one that it drew."""
        known = self._weights.get(comparison.token)
        return weight(comparison) if known is None else known

    def store(self) -> None:
        """Write what was drawn, in that order, and how often each pair was; controls are not counted."""
        self._store_comparisons()
        PairCount.objects.add(self.drawn)
        self.drawn = []

    def _store_comparisons(self) -> None:
        Comparison.objects.bulk_create(self._to_store)
        self._to_store = []

    def _draw(self) -> Comparison | None:
        offers = self.offers
        competing = np.array([checkpoint in self.in_the_running for checkpoint in offers.checkpoints], dtype=bool)
        seen = offers.seen(self.own)
        allowed = offers.allowed(seen) & competing[:, None] & competing[None, :]
        if not allowed.any():
            return None
        return self._control() or self._pair(competing, allowed, seen)

    def _control(self) -> Comparison | None:
        control = toss_control(self.rules)
        if control == Control.NONE:
            return None
        self._store_comparisons()  # it is chosen by what she was leased before it, and comes after that
        return draw_control(self.study, self.rater, self.rules, control)

    def _pair(self, competing: Mask, allowed: Mask, seen: Seen) -> Comparison | None:
        offers = self.offers
        self.wishes = self.wishes or wishes(self.study, offers.checkpoints, competing)
        drawn = draw_pair(chances(self.wishes, allowed), self._random)
        if drawn is None:
            return None
        row = _least_compared_row(offers, drawn.first, drawn.second, seen)
        left, right = tossed(
            *(
                Side(int(offers.samples[row, column]), int(offers.copies[row, column]), offers.checkpoints[column])
                for column in (drawn.first, drawn.second)
            )
        )
        comparison = drawn_up(
            study=self.study,
            rater=self.rater,
            prompt=int(offers.prompts[row]),
            left=left,
            right=right,
            reason=self.wishes.reason,
            propensity=min(1.0, drawn.propensity),
        )
        self._weights[comparison.token] = int(offers.sizes[row, [drawn.first, drawn.second]].sum())
        self._to_store.append(comparison)
        self.drawn.append(comparison)
        return comparison


def _least_compared_row(offers: Offers, first: int, second: int, seen: Seen) -> int:
    """A row she has not seen, of the prompts that this pair has been compared on least; at random among them."""
    compared = PairCount.objects.per_prompt(offers.checkpoints[first], offers.checkpoints[second])
    rows = offers.rows(first, second, seen)
    counts = [compared.get(int(prompt), 0) for prompt in offers.prompts[rows]]
    least = min(counts)
    return int(secrets.choice([row for row, count in zip(rows, counts, strict=True) if count == least]))
