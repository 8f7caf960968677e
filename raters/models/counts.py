"""How often what was drawn, kept beside the comparisons so that no draw has to count them."""

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from django.db import connection, models, transaction
from django.db.models import F, Q

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import Checkpoint, Prompt, Study
from raters.models.comparisons import Comparison

_ADD = """
INSERT INTO raters_paircount AS known (study_id, first_id, second_id, prompt_id, comparisons) VALUES %s
ON CONFLICT (first_id, second_id, prompt_id) DO UPDATE SET comparisons = known.comparisons + excluded.comparisons
"""
ALL_PROMPTS = 0  # no prompt has that id; it comes before all
_COUNT = """
INSERT INTO raters_paircount (study_id, first_id, second_id, prompt_id, comparisons)
SELECT study_id, first_id, second_id, prompt_id, count(*)
FROM (
    SELECT study_id, prompt_id, least(left_checkpoint_id, right_checkpoint_id) AS first_id,
        greatest(left_checkpoint_id, right_checkpoint_id) AS second_id
    FROM raters_comparison WHERE control = '' AND study_id = %s
) AS drawn
GROUP BY GROUPING SETS ((study_id, first_id, second_id), (study_id, first_id, second_id, prompt_id))
"""


class PairCountQuerySet(models.QuerySet["PairCount"]):
    def totals(self) -> "PairCountQuerySet":
        """One row per pair: all prompts together."""
        return self.filter(prompt=None)

    def per_prompt(self, one: uuid.UUID, other: uuid.UUID) -> dict[int, int]:
        """How often this pair of checkpoints was compared on each prompt that it was compared on."""
        first, second = sorted((one, other))
        return dict(_per_prompt(first=first, second=second))

    def add(self, comparisons: Iterable[Comparison]) -> None:
        """So many more comparisons of their pairs on their prompts.

        A transaction does so once, last of all, and in one order: so nobody waits for long, and no two transactions
        for each other.
        """
        drawn: Counter[tuple[uuid.UUID, uuid.UUID, int]] = Counter()
        studies = {}
        for one in comparisons:
            first, second = sorted((one.left_checkpoint_id, one.right_checkpoint_id))
            for prompt in (ALL_PROMPTS, one.prompt_id):
                drawn[first, second, prompt] += 1
            studies[first] = one.study_id
        rows = [
            (studies[first], first, second, None if prompt == ALL_PROMPTS else prompt, number)
            for (first, second, prompt), number in sorted(drawn.items())
        ]
        if rows:
            values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
            with connection.cursor() as cursor:
                cursor.execute(_ADD % values, [value for row in rows for value in row])

    def recount(self, study: Study) -> None:
        """Count the study's comparisons anew. Draws wait meanwhile; one that has not added to its pair yet does so
        afterwards, and what it drew is not committed, so nothing counts twice."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE raters_paircount IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute("DELETE FROM raters_paircount WHERE study_id = %s", [study.pk])
            cursor.execute(_COUNT, [study.pk])


class PairCount(models.Model):
    """How often two contestants were drawn against each other, on one prompt or in all; controls apart."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="+", db_index=False)
    first = models.ForeignKey(Checkpoint, models.CASCADE, related_name="+", db_index=False)
    second = models.ForeignKey(Checkpoint, models.CASCADE, related_name="+", db_index=False)
    prompt = models.ForeignKey(
        Prompt, models.CASCADE, null=True, blank=True, related_name="+", db_index=False, help_text="None: all prompts."
    )
    comparisons = models.PositiveIntegerField()

    objects = PairCountQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # Also what a draw looks a pair's prompts up by.
            models.UniqueConstraint(
                fields=["first", "second", "prompt"], name="pair_counted_once", nulls_distinct=False
            ),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="pair_counted_in_one_order"),
        ]
        # A draw before the first fit reads every pair's total.
        indexes: ClassVar = [models.Index(fields=["study"], condition=Q(prompt=None), name="pair_totals")]

    def __str__(self) -> str:
        return f"{self.first} and {self.second} on {self.prompt or 'all prompts'}: {self.comparisons}"


_per_prompt = Prepared(
    lambda: PairCount.objects.filter(first=Slot("first"), second=Slot("second"), prompt__isnull=False).values_list(
        "prompt", "comparisons"
    )
)
