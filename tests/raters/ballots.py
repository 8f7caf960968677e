"""Many votes at once, written straight into the tables: what a test needs before it can ask a question."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from django.utils import timezone

from evalhub.studies.models import Criterion, Sample
from raters import services
from raters.models import Comparison, Control, Enrolment, PresentationCopy, Reason, Vote
from tests.raters.conftest import Desk

Outcome = Callable[[int, int], str]


def simulated_raters(desk: Desk, count: int) -> list[Enrolment]:
    return [services.enrol_simulated(study=desk.study) for _ in range(count)]


def people(desk: Desk, count: int) -> list[Enrolment]:
    return [desk.rater(f"person{number}") for number in range(count)]


def ballot(
    desk: Desk,
    enrolment: Enrolment,
    left: int,
    right: int,
    prompt: int,
    choice: str,
    *,
    criterion: Criterion | None = None,
    **values: Any,
) -> tuple[Comparison, Vote]:
    """An answered comparison of two contestants, given by their places, not saved; `values` go to where they belong."""
    prompt_row, columns = desk.prompts[prompt], (desk.checkpoints[left], desk.checkpoints[right])
    samples = [desk.samples[(checkpoint.pk, prompt_row.pk)] for checkpoint in columns]
    token = np.random.default_rng().bytes(20).hex()
    comparison = Comparison(
        study=desk.study,
        rater=enrolment.rater,
        prompt=prompt_row,
        left=samples[0],
        right=samples[1],
        left_checkpoint=columns[0],
        right_checkpoint=columns[1],
        left_copy=desk.copies[samples[0].media_id],
        right_copy=desk.copies[samples[1].media_id],
        reason=values.pop("reason", Reason.INFORMATION),
        propensity=values.pop("propensity", 0.2),
        control=values.get("control", Control.NONE),
        expected=values.pop("expected", ""),
        token=token,
        left_token=f"{token}l",
        right_token=f"{token}r",
        expires_at=timezone.now(),
        answered_at=timezone.now(),
    )
    vote = Vote(
        comparison=comparison,
        criterion=criterion or desk.study.criteria.first(),
        choice=choice,
        study=desk.study,
        prompt=prompt_row,
        rater=enrolment.rater,
        left_checkpoint=columns[0],
        right_checkpoint=columns[1],
        simulated=enrolment.rater.simulated,
        **values,
    )
    return comparison, vote


def save(ballots: Iterable[tuple[Comparison, Vote]]) -> list[Vote]:
    ballots = list(ballots)
    Comparison.objects.bulk_create([comparison for comparison, _ in ballots])
    votes = Vote.objects.bulk_create([vote for _, vote in ballots])
    for study in {vote.study for vote in votes}:
        services.recount(study=study)
    return votes


def load(desk: Desk) -> Desk:
    """Have the desk's samples and copies at hand, which `ballot` needs."""
    desk.samples = {
        (sample.checkpoint_id, sample.prompt_id): sample
        for sample in Sample.objects.filter(checkpoint__study=desk.study)
    }
    desk.copies = {copy.media_id: copy for copy in PresentationCopy.objects.filter(study=desk.study)}
    return desk


def vote_on_all(desk: Desk, enrolments: Iterable[Enrolment], better: Outcome, **values: Any) -> list[Vote]:
    """Every rater compares every two contestants on every prompt, sides changing from one to the next.

    Args:
        better: the answer to the contestants at the left and right, given by their places.
    """
    ballots, turn = [], 0
    for enrolment in enrolments:
        for prompt in range(len(desk.prompts)):
            for one in range(len(desk.checkpoints)):
                for other in range(one):
                    left, right = (one, other) if turn % 2 else (other, one)
                    ballots.append(ballot(desk, enrolment, left, right, prompt, better(left, right), **values))
                    turn += 1
    return save(ballots)


def noisy(seed: int, spread: float = 1.5, ties: float = 0.15) -> Outcome:
    """Later contestants are better, by chance now and then not."""
    random = np.random.default_rng(seed)

    def outcome(left: int, right: int) -> str:
        if random.random() < ties:
            return "tie" if random.random() < 0.7 else "both_bad"
        return "left" if random.random() < 1 / (1 + np.exp(spread * (right - left))) else "right"

    return outcome
