"""An answer as it is written: everything that one changes, in one statement.

A press of a key would otherwise ask the database five things, one after another. Her enrolment is locked meanwhile.
The lock that a fit waits for is taken before a vote gets its id: `votes_under_way` hands on the row only then.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.utils import timezone
from psycopg2.extras import Json

from evalhub.prepared import Statement
from evalhub.studies.models import Criterion
from raters import locks
from raters.models import Choice, Comparison, Enrolment

_WRITE = Statement("""
WITH answered AS (
    UPDATE raters_comparison SET answered_at = %(now)s, shown_at = %(shown_at)s
    WHERE id = %(comparison)s AND answered_at IS NULL AND skipped_at IS NULL
    RETURNING *
), votes_under_way AS MATERIALIZED (
    SELECT answered.*, pg_advisory_xact_lock_shared(%(lock)s) FROM answered
), given AS (
    INSERT INTO raters_vote (
        comparison_id, criterion_id, revision, choice, reasons, milliseconds, without_javascript, created_at,
        study_id, prompt_id, rater_id, left_checkpoint_id, right_checkpoint_id, simulated, control
    )
    SELECT id, criterion, %(revision)s::smallint, choice, %(reasons)s::jsonb, %(milliseconds)s::integer,
        %(without_javascript)s::boolean, %(now)s, study_id, prompt_id, rater_id,
        left_checkpoint_id, right_checkpoint_id, %(simulated)s::boolean, control
    FROM votes_under_way, unnest(%(criteria)s::bigint[], %(choices)s::text[]) AS answers (criterion, choice)
), counted AS (
    UPDATE raters_enrolment SET answers = answers + 1
    WHERE id = %(enrolment)s AND EXISTS (SELECT FROM answered WHERE control = '')
), seen AS (
    UPDATE raters_comparison AS other SET shown_at = coalesce(other.shown_at, greatest(other.created_at, told.at))
    FROM answered, unnest(%(shown)s::text[], %(shown_since)s::timestamptz[]) AS told (token, at)
    WHERE other.rater_id = answered.rater_id AND other.token = told.token AND other.id <> answered.id
)
SELECT id FROM answered
""")


def write_answer(
    *,
    comparison: Comparison,
    enrolment: Enrolment,
    choices: Mapping[Criterion, Choice],
    revision: int,
    milliseconds: int | None,
    without_javascript: bool,
    reasons: Sequence[str],
    shown: Mapping[str, timedelta],
) -> bool:
    """Add the votes, close the comparison at its `answered_at`, count it, and note what was shown meanwhile.

    Returns: False, with nothing written, where the comparison was answered or skipped already.
    """
    tokens = [token for token in shown if "\0" not in token]
    now = timezone.now()
    return bool(
        _WRITE(
            comparison=comparison.pk,
            enrolment=enrolment.pk,
            now=comparison.answered_at,
            shown_at=comparison.shown_at,
            lock=locks.votes_key(comparison.study),
            revision=revision,
            criteria=[criterion.pk for criterion in choices],
            choices=[choice.value for choice in choices.values()],
            reasons=Json(list(reasons)),
            milliseconds=milliseconds,
            without_javascript=without_javascript,
            simulated=comparison.rater.simulated,
            shown=tokens,
            shown_since=[now - shown[token] for token in tokens],
        )
    )
