"""Counts that a draw and a budget read instead of a study's comparisons, filled from what is there."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

COUNT_PAIRS = """
INSERT INTO raters_paircount (study_id, first_id, second_id, prompt_id, comparisons)
SELECT study_id, first_id, second_id, prompt_id, count(*)
FROM (
    SELECT study_id, prompt_id, least(left_checkpoint_id, right_checkpoint_id) AS first_id,
        greatest(left_checkpoint_id, right_checkpoint_id) AS second_id
    FROM raters_comparison WHERE control = ''
) AS drawn
GROUP BY GROUPING SETS ((study_id, first_id, second_id), (study_id, first_id, second_id, prompt_id))
"""
COUNT_ANSWERS = """
UPDATE raters_enrolment SET answers = counted.answers
FROM (
    SELECT rater_id, study_id, count(*) AS answers FROM raters_comparison
    WHERE answered_at IS NOT NULL AND control = '' GROUP BY rater_id, study_id
) AS counted
WHERE counted.rater_id = raters_enrolment.rater_id AND counted.study_id = raters_enrolment.study_id
"""


def unindexed(to: str, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(
        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to=to, **options
    )


class Migration(migrations.Migration):
    dependencies = [
        ("raters", "0003_slices_standings_and_ship_tests"),
        ("studies", "0002_limits_and_late_publication"),
    ]

    operations = [
        migrations.CreateModel(
            name="PairCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comparisons", models.PositiveIntegerField()),
                ("study", unindexed("studies.study")),
                ("first", unindexed("studies.checkpoint")),
                ("second", unindexed("studies.checkpoint")),
                ("prompt", unindexed("studies.prompt", null=True, blank=True, help_text="None: all prompts.")),
            ],
            options={
                "indexes": [models.Index(condition=models.Q(prompt=None), fields=["study"], name="pair_totals")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("first", "second", "prompt"), name="pair_counted_once", nulls_distinct=False
                    ),
                    models.CheckConstraint(
                        condition=models.Q(first__lt=models.F("second")), name="pair_counted_in_one_order"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(
                fields=["rater", "study", "answered_at"], include=("left", "right"), name="comparison_own"
            ),
        ),
        migrations.RemoveIndex(model_name="comparison", name="comparison_by_rater"),
        migrations.RemoveIndex(model_name="comparison", name="comparison_of_pair"),
        migrations.AlterField(
            model_name="comparison",
            name="propensity",
            field=models.FloatField(
                help_text="Probability with which this pair of checkpoints was drawn, of all that she could be shown "
                "then."
            ),
        ),
        migrations.AddField(
            model_name="enrolment",
            name="answers",
            field=models.PositiveIntegerField(
                default=0, help_text="Comparisons answered, controls apart; kept with votes."
            ),
        ),
        migrations.RunSQL(COUNT_PAIRS, migrations.RunSQL.noop),
        migrations.RunSQL(COUNT_ANSWERS, migrations.RunSQL.noop),
    ]
