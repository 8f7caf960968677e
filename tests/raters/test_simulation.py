"""Simulated raters go the way of people, and everything of theirs says that they are none."""

import io
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image, ImageFilter

from evalhub.studies.models import LogEntry, StudyState
from raters.models import Choice, Enrolment, Fit, Rater, Vote
from raters.simulation import Temper, judge, likeness
from tests.raters.conftest import Desk, Picture, make_desk, noise, png, store

OFFERED = [Choice.LEFT, Choice.TIE, Choice.BOTH_BAD, Choice.RIGHT]
CALM = Temper(sensitivity=30, left_bias=0, tie_threshold=0.2, floor=0.4, lapses=0)


def soft(place: int) -> Image.Image:
    """A photograph's kind of picture: noise, blurred."""
    return noise(place, 99).resize((96, 64)).filter(ImageFilter.GaussianBlur(1))


def blurred_by(radius: float) -> Picture:
    return lambda place, _: soft(place).filter(ImageFilter.GaussianBlur(radius))


@pytest.fixture
def restoration(db: None) -> Desk:
    """Three contestants that come ever nearer to the references."""
    desk = make_desk(prompts=8)
    for place, prompt in enumerate(desk.prompts):
        prompt.reference = store(desk.study, png(soft(place)), "png")
        prompt.save()
    for name, radius in (("Blurred", 2.0), ("Softened", 1.0), ("Faithful", 0.2)):
        desk.contestant(name, blurred_by(radius))
    return desk


def simulate(**options: Any) -> str:
    said = io.StringIO()
    call_command("simulate_raters", **{"study": "study", "raters": 3, "votes": 60, "stdout": said, **options})
    return said.getvalue()


def test_they_vote_through_the_services_and_are_labelled(restoration: Desk) -> None:
    assert simulate() == "3 simulated raters answered 60 pairs of study.\n"
    entry = LogEntry.objects.get(verb="simulated raters")
    assert (entry.study, entry.details["votes"]) == (restoration.study, 60)
    assert Rater.objects.filter(simulated=True, user=None).count() == Rater.objects.count() == 3
    assert Vote.objects.filter(simulated=True).count() == Vote.objects.count() == 60
    assert not Vote.objects.exclude(milliseconds=None).exists()  # nobody looked
    per_rater = [Vote.objects.filter(rater=rater).count() for rater in Rater.objects.all()]
    assert per_rater == [20, 20, 20]
    fit = Fit.objects.latest("created_at")
    assert (fit.votes, fit.simulated_votes, fit.raters) == (60, 60, 3)
    names = [row.checkpoint.name for row in fit.ratings.select_related("checkpoint")]
    assert names[0] == "Faithful"
    assert names[-1] == "Blurred"


def test_they_stop_when_they_have_seen_everything(restoration: Desk) -> None:
    assert simulate(raters=2, votes=1000) == f"2 simulated raters answered {2 * 8 * 3} pairs of study.\n"
    assert Enrolment.objects.count() == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"study": "nowhere"}, "There is no study called “nowhere”"),
        ({"raters": 0}, "at least one rater and one vote, got 0 and 60"),
    ],
)
def test_a_wrong_order_is_refused_in_a_sentence(restoration: Desk, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        simulate(**options)


def test_without_references_they_cannot_judge(desk: Desk) -> None:
    with pytest.raises(CommandError, match="some prompts of “study” have none"):
        simulate()
    assert not Rater.objects.exists()


def test_a_study_that_is_not_open_is_refused(restoration: Desk) -> None:
    restoration.study.state = StudyState.PAUSED
    restoration.study.save()
    with pytest.raises(CommandError, match="takes no votes now"):
        simulate()


def test_likeness_is_read_from_pixels() -> None:
    reference = soft(1)
    near, far = (reference.filter(ImageFilter.GaussianBlur(radius)) for radius in (0.5, 3))
    assert likeness(png(reference), reference) == 1.0
    assert 1.0 > likeness(png(near), reference) > likeness(png(far), reference)


def answers(temper: Temper, left: float, right: float, count: int = 500) -> dict[str, float]:
    random = np.random.default_rng(3)
    given = [judge(temper, left, right, OFFERED, random) for _ in range(count)]
    return {choice: given.count(choice) / count for choice in OFFERED}


def test_the_rule() -> None:
    assert answers(CALM, 0.9, 0.7)["left"] > 0.98
    assert answers(CALM, 0.7, 0.9)["right"] > 0.98
    level = answers(CALM, 0.8, 0.8)
    assert level["left"] == pytest.approx(level["right"], abs=0.1)
    assert 0.02 < level["tie"] < 0.25
    assert answers(CALM, 0.3, 0.2) == {"left": 0, "tie": 0, "both_bad": 1, "right": 0}
    assert answers(Temper(30, 2.0, 0.0, 0.4, 0.0), 0.8, 0.8)["left"] > 0.8
    lapsing = answers(Temper(30, 0.0, 0.0, 0.4, 1.0), 0.9, 0.1)
    assert all(share == pytest.approx(0.25, abs=0.08) for share in lapsing.values())
