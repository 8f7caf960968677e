"""How often what was drawn, kept beside the comparisons so that no draw has to count them."""

import uuid
from typing import ClassVar

from django.db import connection, models, transaction
from django.db.models import F, Q

from evalhub.studies.models import Checkpoint, Prompt, Study
from raters.models.comparisons import Comparison

_ADD = """
INSERT INTO raters_paircount AS known (study_id, first_id, second_id, prompt_id, comparisons)
VALUES (%(study)s, %(first)s, %(second)s, NULL, 1), (%(study)s, %(first)s, %(second)s, %(prompt)s, 1)
ON CONFLICT (first_id, second_id, prompt_id) DO UPDATE SET comparisons = known.comparisons + 1
"""
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
        counts = self.filter(first=first, second=second, prompt__isnull=False)
        return {prompt: count for prompt, count in counts.values_list("prompt", "comparisons") if prompt is not None}

    def add(self, comparison: Comparison) -> None:
        """One more comparison of a pair on a prompt.

        A transaction adds one comparison, its pair's total first, and does so last: so nobody waits for long, and no
        two transactions for each other.
        """
        first, second = sorted((comparison.left_checkpoint_id, comparison.right_checkpoint_id))
        row: dict[str, uuid.UUID | int] = {
            "study": comparison.study_id,
            "first": first,
            "second": second,
            "prompt": comparison.prompt_id,
        }
        with connection.cursor() as cursor:
            cursor.execute(_ADD, row)

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
