"""Studies filled with votes by the database itself: a million in a minute or two. Needs Django; see `_database`.

A filled study is whole as far as rows go (contestants of falling strength, prompts, manifests, samples and presentation
copies, raters who have begun, comparisons with their votes, counts), but no file lies behind its media.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Study, StudyState, Submission, SubmissionState
from metrics.models import Run, RunState, Score
from raters.models import Enrolment, EnrolmentState, Rater
from raters.presentation.stills import POLICY
from raters.services import recount

STEP = 0.1  # between the strengths of neighbours, in natural-log units
TIES = 0.1

# The n-th of a rater's comparisons is of another pair of samples than all her others. Raters begin at different places.
_COMPARISONS = """
WITH checkpoint AS (
    SELECT id, row_number() OVER (ORDER BY name) - 1 AS place FROM studies_checkpoint WHERE study_id = %(study)s
), prompt AS (
    SELECT id, row_number() OVER (ORDER BY position) - 1 AS place FROM studies_prompt WHERE study_id = %(study)s
), rater AS (
    SELECT rater_id AS id, row_number() OVER (ORDER BY id) - 1 AS place FROM raters_enrolment
    WHERE study_id = %(study)s
), pair AS (
    SELECT one.id AS one, other.id AS other, row_number() OVER (ORDER BY one.place, other.place) - 1 AS place
    FROM checkpoint AS one JOIN checkpoint AS other ON one.place < other.place
), drawn AS (
    SELECT number, number %% %(raters)s AS rater,
        (number / %(raters)s * %(stride)s + number %% %(raters)s * 7919) %% (%(pairs)s * %(prompts)s) AS place,
        random() < 0.5 AS turned
    FROM generate_series(0, %(votes)s - 1) AS number
)
INSERT INTO raters_comparison (study_id, rater_id, prompt_id, left_id, right_id, left_checkpoint_id,
    right_checkpoint_id, left_copy_id, right_copy_id, reason, propensity, control, expected, token, left_token,
    right_token, created_at, expires_at, shown_at, answered_at)
SELECT %(study)s, rater.id, prompt.id, lefts.id, rights.id, lefts.checkpoint_id, rights.checkpoint_id, left_copy.id,
    right_copy.id, 'information', 1.0 / %(pairs)s, '', '', 'c' || drawn.number || %(mark)s,
    'l' || drawn.number || %(mark)s, 'r' || drawn.number || %(mark)s, moment, moment + interval '12 hours', moment,
    moment + interval '5 seconds'
FROM drawn
JOIN rater ON rater.place = drawn.rater
JOIN pair ON pair.place = drawn.place %% %(pairs)s
JOIN prompt ON prompt.place = drawn.place / %(pairs)s
JOIN studies_sample AS lefts ON lefts.prompt_id = prompt.id
    AND lefts.checkpoint_id = CASE WHEN drawn.turned THEN pair.other ELSE pair.one END
JOIN studies_sample AS rights ON rights.prompt_id = prompt.id
    AND rights.checkpoint_id = CASE WHEN drawn.turned THEN pair.one ELSE pair.other END
JOIN raters_presentationcopy AS left_copy ON left_copy.media_id = lefts.media_id
JOIN raters_presentationcopy AS right_copy ON right_copy.media_id = rights.media_id
CROSS JOIN LATERAL (SELECT now() - interval '30 days' + drawn.number * interval '1 second' AS moment) AS at
ORDER BY drawn.number
"""
_VOTES = """
WITH checkpoint AS (
    SELECT id, row_number() OVER (ORDER BY name) - 1 AS place FROM studies_checkpoint WHERE study_id = %(study)s
)
INSERT INTO raters_vote (comparison_id, criterion_id, revision, choice, reasons, milliseconds, without_javascript,
    created_at, study_id, prompt_id, rater_id, left_checkpoint_id, right_checkpoint_id, simulated, control)
SELECT comparison.id, criterion.id, 1,
    CASE WHEN random() < %(ties)s THEN 'tie'
        WHEN random() < 1 / (1 + exp(%(step)s * (lefts.place - rights.place))) THEN 'left' ELSE 'right' END,
    '[]', 5000, false, comparison.answered_at, comparison.study_id, comparison.prompt_id, comparison.rater_id,
    comparison.left_checkpoint_id, comparison.right_checkpoint_id, false, ''
FROM raters_comparison AS comparison
JOIN checkpoint AS lefts ON lefts.id = comparison.left_checkpoint_id
JOIN checkpoint AS rights ON rights.id = comparison.right_checkpoint_id
CROSS JOIN studies_criterion AS criterion
WHERE comparison.study_id = %(study)s AND criterion.study_id = %(study)s
ORDER BY comparison.id
"""
# What each contestant made of each prompt. Every table has a statement of its own, so that the next one finds its rows
# by their index: within a single statement the database compares every row with every other.
_OUTPUTS = """
    FROM studies_checkpoint AS checkpoint
    JOIN studies_submission AS submission ON submission.checkpoint_id = checkpoint.id
    CROSS JOIN studies_prompt AS prompt
    CROSS JOIN LATERAL (
        SELECT md5('a' || checkpoint.id || prompt.id) || md5('b' || checkpoint.id || prompt.id) AS sha256
    ) AS file
    {media}
    WHERE checkpoint.study_id = %(study)s AND prompt.study_id = %(study)s
    ORDER BY submission.completed_at, checkpoint.name, prompt.position
"""
_WITH_MEDIA = _OUTPUTS.format(
    media="JOIN studies_media AS media ON media.study_id = %(study)s AND media.sha256 = file.sha256"
)
_MEDIA = f"""
INSERT INTO studies_media (study_id, sha256, size, kind, format, width, height, frames, codec, created_at)
SELECT %(study)s, file.sha256, 100000, 'image', 'png', 1024, 1024, 1, '', now() {_OUTPUTS.format(media="")}
"""
_COPIES = """
INSERT INTO raters_presentationcopy (study_id, media_id, width, height, policy, size, problem, created_at)
SELECT %(study)s, id, 1024, 1024, %(policy)s, 100000, '', now() FROM studies_media WHERE study_id = %(study)s
"""
_ENTRIES = f"""
INSERT INTO studies_manifestentry (submission_id, path, sha256, size, prompt_id, seed, state, problem, media_id)
SELECT submission.id, prompt.key || '.png', file.sha256, 100000, prompt.id, 0, 'received', '', media.id {_WITH_MEDIA}
"""
_SAMPLES = f"""
INSERT INTO studies_sample (checkpoint_id, prompt_id, seed, media_id)
SELECT checkpoint.id, prompt.id, 0, media.id {_WITH_MEDIA}
"""
_SCORES = """
INSERT INTO metrics_samplescore (score_id, sample_id, value)
SELECT %(score)s, id, random() FROM studies_sample WHERE checkpoint_id = %(checkpoint)s ORDER BY id
"""
_PROMPTS = """
INSERT INTO studies_prompt (study_id, key, text, source_text, tags, position)
SELECT %(study)s, 'prompt-' || number, 'A photograph, number ' || number || '.', '', ARRAY['tag-' || number %% 50],
    number
FROM generate_series(0, %(prompts)s - 1) AS number
"""
_TABLES = {  # in this order
    "studies_prompt": _PROMPTS,
    "studies_media": _MEDIA,
    "raters_presentationcopy": _COPIES,
    "studies_manifestentry": _ENTRIES,
    "studies_sample": _SAMPLES,
    "raters_comparison": _COMPARISONS,
    "raters_vote": _VOTES,
}


def filled_study(
    slug: str, votes: int, *, contestants: int = 20, prompts: int = 100, raters: int = 1_000, seed: int = 1
) -> Study:
    """An open study of one criterion with so many votes, one per comparison, spread evenly over raters, pairs and
    prompts; its counts and the database's statistics are up to date. It has no fit: `raters.services.refit` makes one.
    A study of that name that is there already, from another benchmark, is taken as it is.

    Args:
        votes: at most `raters` times the pairs of contestants times `prompts`: nobody sees a pair of samples twice.
        seed: of the database's `random()`, which tosses the sides and the outcomes.
    """
    if made := Study.objects.filter(slug=slug).first():
        return made
    study = _empty_study(slug, contestants)
    _add_raters(study, raters)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE studies_checkpoint, studies_submission, raters_enrolment")
    pairs = contestants * (contestants - 1) // 2
    if votes > raters * pairs * prompts:
        raise ValueError(f"{raters:,} raters can see {raters * pairs * prompts:,} pairs of samples, not {votes:,}.")
    values: dict[str, Any] = {
        "study": study.pk,
        "votes": votes,
        "pairs": pairs,
        "prompts": prompts,
        "raters": raters,
        "stride": _stride(pairs * prompts),
        "mark": f"-{slug}",
        "policy": POLICY,
        "step": STEP,
        "ties": TIES,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT setseed(%s)", [1 / (seed + 1)])
        # Every row is made from rows of this study, so fifteen million foreign keys need not be looked up again.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, statement in _TABLES.items():
            cursor.execute(statement, values)
            cursor.execute(f"ANALYZE {table}")
        cursor.execute("SET LOCAL session_replication_role = origin")
    recount(study=study)
    return study


def score_samples(study: Study, metrics: Sequence[str]) -> None:
    """A run over each contestant, with a value of each of these metrics for each sample; unless it has them already."""
    samples = Count("checkpoint__samples")
    for submission in Submission.objects.filter(checkpoint__study=study, runs=None).annotate(samples=samples):
        run = Run.objects.create(
            submission=submission,
            metrics=list(metrics),
            protocol={},
            state=RunState.DONE,
            samples=submission.samples,
            finished_at=timezone.now(),
        )
        for metric in metrics:
            about = {"value": 0.5, "n": submission.samples, "fingerprint": "a" * 64}
            score = Score.objects.create(run=run, metric=metric, **about)
            with connection.cursor() as cursor:
                cursor.execute(_SCORES, {"score": score.pk, "checkpoint": submission.checkpoint_id})


def settle() -> None:
    """What an autovacuum would have done by the time a study has grown to this size. Not inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def new_rater(study: Study) -> Enrolment:
    """A rater who has begun, and seen nothing."""
    rater = Rater.objects.create()
    return Enrolment.objects.create(
        rater=rater, study=study, state=EnrolmentState.ACTIVE, consent_version=1, consented_at=timezone.now()
    )


def _empty_study(slug: str, contestants: int) -> Study:
    now = timezone.now()
    study = Study.objects.create(slug=slug, name=f"Filled: {slug}", state=StudyState.OPEN, published_at=now)
    Criterion.objects.create(study=study, key="quality", name="Quality", question="Which picture is better?")
    made = Checkpoint.objects.bulk_create(
        Checkpoint(study=study, name=f"Contestant {number:03}", family="filled") for number in range(contestants)
    )
    complete = SubmissionState.COMPLETE
    Submission.objects.bulk_create(
        Submission(checkpoint=checkpoint, state=complete, completed_at=now) for checkpoint in made
    )
    return study


def _add_raters(study: Study, raters: int) -> None:
    people = Rater.objects.bulk_create(Rater() for _ in range(raters))
    Enrolment.objects.bulk_create(
        Enrolment(
            rater=person, study=study, state=EnrolmentState.ACTIVE, consent_version=1, consented_at=timezone.now()
        )
        for person in people
    )


def _stride(length: int) -> int:
    """A step that visits every one of `length` places before the first one again."""
    stride = 104_729  # a prime: it does so unless it divides the length
    return stride if length % stride else 1
