"""What `raters.services.staging` asks the database, in the order in which it does.

A file becomes three tables: `staged_vote`, its lines as they came; `found_vote`, the same with their samples, or what
is in the way; `placed_vote`, of those with samples whose they are and what of it was said before.
"""

STAGED = """
DROP TABLE IF EXISTS pg_temp.staged_vote, pg_temp.found_vote, pg_temp.placed_vote, pg_temp.numbered_pair;
CREATE TEMPORARY TABLE staged_vote (
    line integer, vote bigint, left_checkpoint uuid, right_checkpoint uuid, prompt text, criterion bigint,
    choice text, label text, left_seed bigint, right_seed bigint, left_sha256 text, right_sha256 text,
    control text DEFAULT '', expected text DEFAULT '', propensity double precision DEFAULT 1, milliseconds integer,
    away_milliseconds integer DEFAULT 0, shown_at timestamptz, answered_at timestamptz, simulated boolean DEFAULT false,
    excluded boolean DEFAULT false, without_javascript boolean DEFAULT false, reasons jsonb DEFAULT '[]',
    comment text DEFAULT '', side text DEFAULT '', x double precision, y double precision, width double precision,
    height double precision, seconds double precision
) ON COMMIT DROP
"""
# With a seed there is one output at most; without one, how many there are says whether it is clear which is meant.
FOUND = """
CREATE TEMPORARY TABLE found_vote ON COMMIT DROP AS
WITH output AS MATERIALIZED (
    SELECT sample.checkpoint_id, sample.prompt_id, sample.seed, sample.id, media.sha256
    FROM studies_sample AS sample JOIN studies_media AS media ON media.id = sample.media_id
    WHERE sample.checkpoint_id IN (SELECT id FROM studies_checkpoint WHERE study_id = %(study)s)
), unseeded AS MATERIALIZED (
    SELECT checkpoint_id, prompt_id, min(id) AS id, count(*)::integer AS outputs, min(sha256) AS sha256
    FROM output GROUP BY checkpoint_id, prompt_id
), found AS (
    SELECT staged_vote.*, known.id AS prompt_id,
        CASE WHEN left_seed IS NULL THEN any_left.id ELSE this_left.id END AS left_id,
        CASE WHEN right_seed IS NULL THEN any_right.id ELSE this_right.id END AS right_id,
        CASE WHEN left_seed IS NULL THEN any_left.outputs ELSE 1 END AS left_outputs,
        CASE WHEN right_seed IS NULL THEN any_right.outputs ELSE 1 END AS right_outputs,
        CASE WHEN left_seed IS NULL THEN any_left.sha256 ELSE this_left.sha256 END AS left_file,
        CASE WHEN right_seed IS NULL THEN any_right.sha256 ELSE this_right.sha256 END AS right_file
    FROM staged_vote
        LEFT JOIN studies_prompt AS known ON known.study_id = %(study)s AND known.key = staged_vote.prompt
        LEFT JOIN unseeded AS any_left ON left_seed IS NULL
            AND any_left.checkpoint_id = left_checkpoint AND any_left.prompt_id = known.id
        LEFT JOIN unseeded AS any_right ON right_seed IS NULL
            AND any_right.checkpoint_id = right_checkpoint AND any_right.prompt_id = known.id
        LEFT JOIN output AS this_left ON this_left.seed = left_seed
            AND this_left.checkpoint_id = left_checkpoint AND this_left.prompt_id = known.id
        LEFT JOIN output AS this_right ON this_right.seed = right_seed
            AND this_right.checkpoint_id = right_checkpoint AND this_right.prompt_id = known.id
)
SELECT found.*, least(left_id, right_id) AS low, greatest(left_id, right_id) AS high,
    CASE choice WHEN 'left' THEN left_id::text WHEN 'right' THEN right_id::text ELSE choice END AS answer,
    CASE
        WHEN prompt_id IS NULL THEN 'prompt'
        WHEN left_id IS NULL OR right_id IS NULL THEN 'output'
        WHEN left_outputs > 1 OR right_outputs > 1 THEN 'seed'
        WHEN left_sha256 <> left_file OR right_sha256 <> right_file THEN 'file'
        WHEN cast_here.id IS NOT NULL THEN 'own'
    END AS fault
FROM found LEFT JOIN (SELECT id, created_at FROM raters_vote WHERE study_id = %(study)s) AS cast_here
    ON cast_here.id = vote AND cast_here.created_at = answered_at
"""
DEALT = """
UPDATE found_vote SET label = 'u' || CASE
    WHEN dealt.number < %(unnamed)s THEN (low %% 1000003 * 31 + high + dealt.number) %% %(unnamed)s
    ELSE dealt.number
END
FROM (
    SELECT line, row_number() OVER (PARTITION BY low, high, criterion, control ORDER BY line) - 1 AS number
    FROM found_vote WHERE fault IS NULL AND label IS NULL
) AS dealt WHERE dealt.line = found_vote.line
"""
# A pair is named by the first of its rater's lines about it. Of the same question the first line's answer stays.
PLACED = """
CREATE TEMPORARY TABLE placed_vote ON COMMIT DROP AS
WITH named AS MATERIALIZED (
    SELECT label, encode(substring(sha256(convert_to(%(salt)s || label, 'UTF8')) FOR 16), 'hex')::uuid AS rater
    FROM (SELECT DISTINCT label FROM found_vote WHERE fault IS NULL) AS labels
), said AS (
    SELECT line, rater, control, low, high, criterion, answer,
        first_value(line) OVER (PARTITION BY rater, low, high, control ORDER BY line) AS pair,
        first_value(answer) OVER (PARTITION BY rater, low, high, control, criterion ORDER BY line) AS first_answer,
        row_number() OVER (PARTITION BY rater, low, high, control, criterion ORDER BY line) AS number
    FROM found_vote JOIN named USING (label) WHERE fault IS NULL
)
SELECT line, rater, control, low, high, criterion, answer, pair, NULL::bigint AS comparison,
    CASE WHEN number > 1 THEN CASE WHEN answer = first_answer THEN 'again' ELSE 'twice' END END AS fault
FROM said
"""
KNOWN_PAIRS = """
UPDATE placed_vote SET comparison = known.id FROM raters_comparison AS known
WHERE fault IS NULL AND known.study_id = %(study)s AND known.rater_id = rater AND known.control = placed_vote.control
    AND least(known.left_id, known.right_id) = low AND greatest(known.left_id, known.right_id) = high
"""
KNOWN_VOTES = """
UPDATE placed_vote SET fault = CASE
    WHEN answer = CASE said.choice WHEN 'left' THEN pair.left_id::text WHEN 'right' THEN pair.right_id::text
        ELSE said.choice END THEN 'again'
    ELSE 'twice'
END
FROM raters_vote AS said JOIN raters_comparison AS pair ON pair.id = said.comparison_id
WHERE fault IS NULL AND said.comparison_id = comparison AND said.criterion_id = placed_vote.criterion
"""
TOTALS = """
SELECT count(*) FILTER (WHERE fault IS NULL), count(DISTINCT rater) FILTER (WHERE fault IS NULL),
    count(*) FILTER (WHERE fault = 'again')
FROM placed_vote
"""
FAULTS = """
SELECT why, of_kind, line, prompt, left_checkpoint, right_checkpoint, left_id IS NULL, left_outputs,
    coalesce(left_sha256 <> left_file, false)
FROM (
    SELECT found_vote.*, wrong.fault AS why, count(*) OVER (PARTITION BY wrong.fault) AS of_kind,
        row_number() OVER (PARTITION BY wrong.fault ORDER BY line) AS place
    FROM found_vote JOIN (
        SELECT line, fault FROM found_vote WHERE fault IS NOT NULL
        UNION ALL SELECT line, fault FROM placed_vote WHERE fault <> 'again'
    ) AS wrong USING (line)
) AS named WHERE place <= %(named)s ORDER BY why, line
"""
ADD_RATERS = """
INSERT INTO raters_rater (id, simulated, created_at)
SELECT rater, bool_or(simulated), now()
FROM placed_vote JOIN found_vote USING (line) WHERE placed_vote.fault IS NULL GROUP BY rater ON CONFLICT DO NOTHING
"""
ADD_ENROLMENTS = """
INSERT INTO raters_enrolment
    (rater_id, study_id, state, "group", answers, excluded_at, exclusion_reason, vote_import_id, created_at)
SELECT rater, %(study)s, 'complete', %(group)s, 0, CASE WHEN bool_or(excluded) THEN now() END,
    CASE WHEN bool_or(excluded) THEN %(excluded)s ELSE '' END, %(import)s, now()
FROM placed_vote JOIN found_vote USING (line) WHERE placed_vote.fault IS NULL
GROUP BY rater ON CONFLICT (rater_id, study_id) DO NOTHING
"""
NUMBERED = """
CREATE TEMPORARY TABLE numbered_pair ON COMMIT DROP AS
SELECT pair, nextval(pg_get_serial_sequence('raters_comparison', 'id')) AS id
FROM (
    SELECT pair FROM placed_vote WHERE fault IS NULL AND comparison IS NULL AND line = pair ORDER BY line
) AS in_order
"""
# No token of these opens anything: their raters have no accounts. Each begins with what nobody can guess; that it goes
# on with a number keeps them in order, which is what indexes of many random texts are slow for.
ADD_COMPARISONS = """
INSERT INTO raters_comparison (
    id, study_id, rater_id, prompt_id, left_id, right_id, left_checkpoint_id, right_checkpoint_id, reason, propensity,
    control, expected, token, left_token, right_token, created_at, expires_at, shown_at, answered_at
)
SELECT numbered_pair.id, %(study)s, rater, prompt_id, left_id, right_id, left_checkpoint, right_checkpoint, 'imported',
    propensity, found_vote.control, expected, secret || 'v' || numbered_pair.id, secret || 'l' || numbered_pair.id,
    secret || 'r' || numbered_pair.id, now(), now(), shown_at, coalesce(answered_at, now())
FROM numbered_pair JOIN found_vote ON found_vote.line = pair JOIN placed_vote USING (line),
    (SELECT left(replace(gen_random_uuid()::text, '-', ''), 23) AS secret OFFSET 0) AS unguessable
WHERE line BETWEEN %(first)s AND %(last)s ORDER BY line
"""
ORIGINALS = """
UPDATE raters_comparison AS again SET original_id = first.id FROM raters_comparison AS first
WHERE again.id IN (SELECT id FROM numbered_pair JOIN placed_vote ON line = numbered_pair.pair WHERE control = 'repeat')
    AND again.original_id IS NULL AND first.rater_id = again.rater_id AND first.control = ''
    AND least(first.left_id, first.right_id) = least(again.left_id, again.right_id)
    AND greatest(first.left_id, first.right_id) = greatest(again.left_id, again.right_id)
"""
# Left and right are those of the comparison, on whichever sides a second question's line has them.
_STANDING = """
FROM placed_vote JOIN found_vote USING (line) LEFT JOIN numbered_pair USING (pair)
    JOIN raters_comparison AS shown ON shown.id = coalesce(placed_vote.comparison, numbered_pair.id)
WHERE placed_vote.fault IS NULL
"""
ADD_VOTES = f"""
INSERT INTO raters_vote (
    comparison_id, criterion_id, revision, choice, reasons, milliseconds, without_javascript, created_at, study_id,
    prompt_id, rater_id, left_checkpoint_id, right_checkpoint_id, simulated, control
)
SELECT shown.id, found_vote.criterion, 1,
    CASE found_vote.answer WHEN shown.left_id::text THEN 'left' WHEN shown.right_id::text THEN 'right'
        ELSE found_vote.answer END,
    reasons, milliseconds, without_javascript, coalesce(found_vote.answered_at, now()), shown.study_id, shown.prompt_id,
    shown.rater_id, shown.left_checkpoint_id, shown.right_checkpoint_id, simulated, shown.control
{_STANDING} AND line BETWEEN %(first)s AND %(last)s ORDER BY line
"""
# An export repeats what was said of a pair with each of its questions' answers.
ADD_REMARKS = f"""
INSERT INTO raters_remark (
    comparison_id, revision, side, x, y, width, height, seconds, comment, away_milliseconds, created_at
)
SELECT DISTINCT ON (shown.id) shown.id, 1,
    CASE WHEN side = '' OR found_vote.left_id = shown.left_id THEN side WHEN side = 'left' THEN 'right' ELSE 'left' END,
    x, y, width, height, seconds, comment, away_milliseconds, coalesce(found_vote.answered_at, now())
{_STANDING} AND (comment <> '' OR side <> '' OR away_milliseconds > 0) ORDER BY shown.id, line
ON CONFLICT (comparison_id, revision) DO NOTHING
"""
ANSWERS = """
UPDATE raters_enrolment SET answers = raters_enrolment.answers + added.answers FROM (
    SELECT rater, count(*) AS answers FROM numbered_pair JOIN placed_vote ON line = numbered_pair.pair
    WHERE control = '' GROUP BY rater
) AS added WHERE raters_enrolment.study_id = %(study)s AND raters_enrolment.rater_id = added.rater
"""
