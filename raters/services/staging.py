"""Votes on their way in, in a table of their own that the transaction takes with it.

The database finds their samples, their raters and what is said twice, a whole file at once; nothing of a file is kept
in this process but the lines that are named in its report.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection

from evalhub.studies.models import Study
from raters import locks
from raters.models import VoteImport
from raters.services.vote_files import Line

_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
AT_ONCE = 1_000  # lines go to the database together
NAMED = 20  # so many lines of each kind are named
UNNAMED_RATERS = 200
"""Votes without a rater are dealt out to so many, whatever they say: votes that depend on nobody in particular, in
groups that depend on nothing, give intervals as wide as if each stood for itself."""

_TABLE = """
DROP TABLE IF EXISTS pg_temp.staged_vote;
CREATE TEMPORARY TABLE staged_vote (
    line integer PRIMARY KEY, vote bigint, left_checkpoint uuid, right_checkpoint uuid, prompt text, criterion bigint,
    choice text, label text, left_seed bigint, right_seed bigint, left_sha256 text, right_sha256 text, control text,
    expected text, propensity double precision, milliseconds integer, shown_at timestamptz, answered_at timestamptz,
    simulated boolean, excluded boolean, without_javascript boolean, reasons jsonb,
    prompt_id bigint, left_id bigint, right_id bigint, left_outputs integer, right_outputs integer,
    left_file text, right_file text, rater uuid, comparison bigint, fault text,
    low bigint GENERATED ALWAYS AS (least(left_id, right_id)) STORED,
    high bigint GENERATED ALWAYS AS (greatest(left_id, right_id)) STORED,
    answer text GENERATED ALWAYS AS (
        CASE choice WHEN 'left' THEN left_id::text WHEN 'right' THEN right_id::text ELSE choice END
    ) STORED
) ON COMMIT DROP
"""
_COPY = f"COPY staged_vote ({', '.join(Line._fields)}) FROM STDIN"
_PROMPTS = """
UPDATE staged_vote SET prompt_id = known.id FROM studies_prompt AS known
WHERE known.study_id = %(study)s AND known.key = staged_vote.prompt
"""
_SIDE = """
UPDATE staged_vote SET {side}_id = found.id, {side}_outputs = found.outputs, {side}_file = found.sha256
FROM (
    SELECT line, min(sample.id) AS id, count(*) AS outputs, min(media.sha256) AS sha256
    FROM staged_vote JOIN studies_sample AS sample
        ON sample.checkpoint_id = {side}_checkpoint AND sample.prompt_id = staged_vote.prompt_id
        AND ({side}_seed IS NULL OR sample.seed = {side}_seed)
    JOIN studies_media AS media ON media.id = sample.media_id GROUP BY line
) AS found WHERE found.line = staged_vote.line
"""
_MISPLACED = """
UPDATE staged_vote SET fault = CASE
    WHEN prompt_id IS NULL THEN 'prompt'
    WHEN left_id IS NULL OR right_id IS NULL THEN 'output'
    WHEN left_outputs > 1 OR right_outputs > 1 THEN 'seed'
    WHEN left_sha256 <> left_file OR right_sha256 <> right_file THEN 'file'
    WHEN EXISTS (
        SELECT FROM raters_vote AS cast_here
        WHERE cast_here.id = vote AND cast_here.study_id = %(study)s AND cast_here.created_at = answered_at
    ) THEN 'own'
END
"""
_DEALT = """
UPDATE staged_vote SET label = 'u' || CASE
    WHEN dealt.number < %(unnamed)s THEN (low %% 1000003 * 31 + high + dealt.number) %% %(unnamed)s
    ELSE dealt.number
END
FROM (
    SELECT line, row_number() OVER (PARTITION BY low, high, criterion, control ORDER BY line) - 1 AS number
    FROM staged_vote WHERE fault IS NULL AND label IS NULL
) AS dealt WHERE dealt.line = staged_vote.line
"""
_RATERS = """
UPDATE staged_vote
SET rater = encode(substring(sha256(convert_to(%(salt)s || label, 'UTF8')) FOR 16), 'hex')::uuid WHERE fault IS NULL
"""
_SAID_TWICE = """
UPDATE staged_vote SET fault = CASE WHEN answer = said.first THEN 'again' ELSE 'twice' END
FROM (
    SELECT line, first_value(answer) OVER lines AS first, row_number() OVER lines AS number
    FROM staged_vote WHERE fault IS NULL
    WINDOW lines AS (PARTITION BY rater, low, high, control, criterion ORDER BY line)
) AS said WHERE said.line = staged_vote.line AND said.number > 1
"""
_KNOWN_PAIRS = """
UPDATE staged_vote SET comparison = known.id FROM raters_comparison AS known
WHERE fault IS NULL AND known.study_id = %(study)s AND known.rater_id = rater AND known.control = staged_vote.control
    AND least(known.left_id, known.right_id) = low AND greatest(known.left_id, known.right_id) = high
"""
_KNOWN_VOTES = """
UPDATE staged_vote SET fault = CASE
    WHEN answer = CASE said.choice WHEN 'left' THEN pair.left_id::text WHEN 'right' THEN pair.right_id::text
        ELSE said.choice END THEN 'again'
    ELSE 'twice'
END
FROM raters_vote AS said JOIN raters_comparison AS pair ON pair.id = said.comparison_id
WHERE fault IS NULL AND said.comparison_id = comparison AND said.criterion_id = staged_vote.criterion
"""
_ADD_RATERS = """
INSERT INTO raters_rater (id, simulated, created_at)
SELECT rater, bool_or(simulated), now() FROM staged_vote WHERE fault IS NULL GROUP BY rater ON CONFLICT DO NOTHING
"""
_ADD_ENROLMENTS = """
INSERT INTO raters_enrolment
    (rater_id, study_id, state, "group", answers, excluded_at, exclusion_reason, vote_import_id, created_at)
SELECT rater, %(study)s, 'complete', %(group)s, 0, CASE WHEN bool_or(excluded) THEN now() END,
    CASE WHEN bool_or(excluded) THEN %(excluded)s ELSE '' END, %(import)s, now()
FROM staged_vote WHERE fault IS NULL GROUP BY rater ON CONFLICT (rater_id, study_id) DO NOTHING
"""
# Each pair of a rater gets the id of its first line, whatever its lines' questions.
_NUMBERED = """
UPDATE staged_vote SET comparison = pair.id
FROM (
    SELECT line, min(id) OVER (PARTITION BY rater, low, high, control) AS id
    FROM (
        SELECT *, nextval(pg_get_serial_sequence('raters_comparison', 'id')) AS id
        FROM (SELECT * FROM staged_vote WHERE fault IS NULL AND comparison IS NULL ORDER BY line) AS in_order
    ) AS numbered
) AS pair WHERE pair.line = staged_vote.line
"""
# No token of these opens anything: their raters have no accounts.
_ADD_COMPARISONS = """
INSERT INTO raters_comparison (
    id, study_id, rater_id, prompt_id, left_id, right_id, left_checkpoint_id, right_checkpoint_id, reason, propensity,
    control, expected, token, left_token, right_token, created_at, expires_at, shown_at, answered_at
)
SELECT DISTINCT ON (comparison) comparison, %(study)s, rater, prompt_id, left_id, right_id, left_checkpoint,
    right_checkpoint, 'imported', propensity, control, expected, replace(gen_random_uuid()::text, '-', ''),
    replace(gen_random_uuid()::text, '-', ''), replace(gen_random_uuid()::text, '-', ''), now(), now(), shown_at,
    coalesce(answered_at, now())
FROM staged_vote WHERE fault IS NULL ORDER BY comparison, line
ON CONFLICT (id) DO NOTHING
"""
_ORIGINALS = """
UPDATE raters_comparison AS again SET original_id = first.id FROM raters_comparison AS first
WHERE again.id IN (SELECT comparison FROM staged_vote WHERE fault IS NULL AND control = 'repeat')
    AND again.original_id IS NULL AND first.rater_id = again.rater_id AND first.control = ''
    AND least(first.left_id, first.right_id) = least(again.left_id, again.right_id)
    AND greatest(first.left_id, first.right_id) = greatest(again.left_id, again.right_id)
"""
# Left and right are those of the comparison, on whichever sides a second question's line has them.
_ADD_VOTES = """
INSERT INTO raters_vote (
    comparison_id, criterion_id, revision, choice, reasons, milliseconds, without_javascript, created_at, study_id,
    prompt_id, rater_id, left_checkpoint_id, right_checkpoint_id, simulated, control
)
SELECT pair.id, criterion, 1,
    CASE answer WHEN pair.left_id::text THEN 'left' WHEN pair.right_id::text THEN 'right' ELSE answer END,
    reasons, milliseconds, without_javascript, coalesce(staged_vote.answered_at, now()), pair.study_id, pair.prompt_id,
    pair.rater_id, pair.left_checkpoint_id, pair.right_checkpoint_id, simulated, pair.control
FROM staged_vote JOIN raters_comparison AS pair ON pair.id = comparison WHERE fault IS NULL ORDER BY line
"""
_ANSWERS = """
UPDATE raters_enrolment SET answers = counted.answers FROM (
    SELECT rater_id, count(*) AS answers FROM raters_comparison
    WHERE study_id = %(study)s AND control = '' AND answered_at IS NOT NULL
        AND rater_id IN (SELECT rater FROM staged_vote WHERE fault IS NULL)
    GROUP BY rater_id
) AS counted WHERE raters_enrolment.study_id = %(study)s AND raters_enrolment.rater_id = counted.rater_id
"""
_TOTALS = """
SELECT count(*) FILTER (WHERE fault IS NULL), count(DISTINCT rater) FILTER (WHERE fault IS NULL),
    count(*) FILTER (WHERE fault = 'again')
FROM staged_vote
"""
_FAULTS = """
SELECT fault, of_kind, line, prompt, left_checkpoint, right_checkpoint, left_id IS NULL, left_outputs,
    coalesce(left_sha256 <> left_file, false)
FROM (
    SELECT *, count(*) OVER (PARTITION BY fault) AS of_kind,
        row_number() OVER (PARTITION BY fault ORDER BY line) AS place
    FROM staged_vote WHERE fault IS NOT NULL AND fault <> 'again'
) AS named WHERE place <= %(named)s ORDER BY fault, line
"""
EXCLUDED = "Excluded where the votes come from."


@dataclass(frozen=True)
class Fault:
    """A line that has no place, with what its sentence is made of; `of_kind` is how many there are of its kind."""

    kind: str
    of_kind: int
    line: int
    prompt: str
    left_checkpoint: UUID
    right_checkpoint: UUID
    is_left_missing: bool
    left_outputs: int | None
    is_left_changed: bool


def stage(lines: Iterable[Line]) -> None:
    """Put the lines into the table; in a transaction, with which it goes."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)
        rest = iter(lines)
        while some := list(islice(rest, AT_ONCE)):
            cursor.copy_expert(_COPY, BytesIO(_encoded(some)))
        cursor.execute("ANALYZE staged_vote")


def _encoded(lines: Iterable[Line]) -> bytes:
    """As COPY takes them."""
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines).encode()


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    return value.isoformat() if isinstance(value, datetime) else str(value).translate(_ESCAPED)


def place(study: Study, known: VoteImport) -> None:
    """Find each line's samples and rater, and note what is in the way of those that have no place.

    Args: known: the import that they belong to, saved or not.
    """
    about = {"study": study.pk, "unnamed": UNNAMED_RATERS, "salt": f"{known.pk}:"}
    sides = [_SIDE.format(side=side) for side in ("left", "right")]
    steps = [_PROMPTS, *sides, _MISPLACED, _DEALT, _RATERS, _SAID_TWICE, "ANALYZE staged_vote"]
    _run([*steps, _KNOWN_PAIRS, _KNOWN_VOTES], about)


def totals() -> tuple[int, int, int]:
    """Votes that have a place, their raters, and lines that say what is there already."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS)
        votes, raters, again = cursor.fetchone()
    return votes, raters, again


def faults() -> list[Fault]:
    """The first lines of each kind that have no place."""
    with connection.cursor() as cursor:
        cursor.execute(_FAULTS, {"named": NAMED})
        return [Fault(*row) for row in cursor.fetchall()]


def write(study: Study, known: VoteImport) -> None:
    """Add raters, comparisons and, last, votes of the lines that have a place."""
    about: dict[str, Any] = {"study": study.pk, "import": known.pk, "group": known.group, "excluded": EXCLUDED}
    # What is written by now is checked now, and not at the end while others wait.
    checked = ["SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED"]
    _run([_ADD_RATERS, _ADD_ENROLMENTS, _NUMBERED, _ADD_COMPARISONS, _ORIGINALS, _ANSWERS, *checked], about)
    locks.share_votes(study)  # a ranking waits from here on, so only for the votes
    _run([_ADD_VOTES], about)


def _run(statements: Iterable[str], about: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, about)
