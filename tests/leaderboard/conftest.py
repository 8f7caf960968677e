"""A study with three contestants, a frozen fit and frozen scores, written straight into the tables a page reads."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Membership, Role, Study, Submission, SubmissionState, User
from metrics.models import Run, RunState, Score, ScoreState
from raters.models import Fit, FitState, Rating

NAMES = ["plain", "sharp", '<script>alert("x")</script>']


@dataclass
class Scene:
    study: Study
    criterion: Criterion
    checkpoints: list[Checkpoint]
    ada: User
    ben: User
    cy: User
    vera: User

    def fit(self, *, votes: int = 120, simulated_votes: int = 0, **values: Any) -> Fit:
        """A finished fit that ranks the first two contestants and cannot place the third."""
        fit = Fit.objects.create(
            study=self.study,
            criterion=self.criterion,
            state=FitState.DONE,
            cut_off=0,
            votes=votes,
            simulated_votes=simulated_votes,
            raters=4,
            method="davidson",
            version="1",
            position={"value": 3.0, "se": 4.0},
            **values,
        )
        for checkpoint, rating in zip(self.checkpoints, (1540.0, 1460.0, None), strict=True):
            Rating.objects.create(
                fit=fit,
                checkpoint=checkpoint,
                rating=rating,
                se=20.0 if rating else None,
                low=rating - 40 if rating else None,
                high=rating + 40 if rating else None,
                rank_low=1 if rating else None,
                rank_high=2 if rating else None,
                comparisons=60 if rating else 0,
                wins=30 if rating else 0,
                losses=18 if rating else 0,
                ties=9 if rating else 0,
                both_bad=3 if rating else 0,
            )
        return fit

    def run(self, checkpoint: Checkpoint, **values: Any) -> Run:
        values = {"state": RunState.DONE, "finished_at": timezone.now(), **values}
        return Run.objects.create(submission=checkpoint.submission, metrics=["fid", "lpips"], protocol={}, **values)

    def score(
        self, checkpoint: Checkpoint, metric: str, value: float | None, fingerprint: str = "a" * 64, **more: Any
    ) -> Score:
        state = ScoreState.DONE if value is not None else ScoreState.WAITING_FOR_WEIGHTS
        return Score.objects.create(
            run=self.run(checkpoint), metric=metric, state=state, value=value, fingerprint=fingerprint, n=96, **more
        )


@pytest.fixture
def scene(db: None) -> Scene:
    ada, ben, cy, vera = (
        User.objects.create_user(name, password="correct horse battery") for name in ("ada", "ben", "cy", "vera")
    )
    study = Study.objects.create(slug="photographs", name="Photographs", created_by=ada)
    criterion = Criterion.objects.create(study=study, key="quality", name="Quality", question="Which looks better?")
    for user, role in ((ada, Role.OWNER), (ben, Role.RATER), (vera, Role.VIEWER)):
        Membership.objects.create(study=study, user=user, role=role)
    checkpoints = []
    for place, name in enumerate(NAMES):
        checkpoint = Checkpoint.objects.create(study=study, name=name, latency_p50=0.5 * (3 - place))
        Submission.objects.create(checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=timezone.now())
        checkpoints.append(checkpoint)
    return Scene(study, criterion, checkpoints, ada, ben, cy, vera)
