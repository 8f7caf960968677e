"""What comes with an answer: reasons, a marked place, a few words, and how long she was away."""

from datetime import timedelta
from typing import Any

import pytest

from evalhub.problems import Refusal
from evalhub.studies.models import Criterion
from raters import services
from raters.models import Comparison, Remark, Vote
from raters.services import Region, region_from
from tests.raters.conftest import Desk, cast, offer


@pytest.fixture
def asking(desk: Desk) -> Desk:
    """A study that asks for all of it."""
    desk.study.reason_tags = ["artefacts", "anatomy", "text"]
    desk.study.asks_region = desk.study.asks_comment = True
    desk.study.save()
    return desk


def region(comparison: Comparison, revision: int = 1) -> tuple[Any, ...]:
    remark = Remark.objects.get(comparison=comparison, revision=revision)
    return remark.side, remark.x, remark.y, remark.width, remark.height


def test_all_of_it_is_kept(asking: Desk) -> None:
    Criterion.objects.create(study=asking.study, key="match", name="Match", question="Which fits?", position=1)
    comparison = offer(asking, asking.rater("ria"))
    services.cast_vote(
        token=comparison.token,
        rater=comparison.rater,
        answers={"quality": "left", "match": "tie"},
        milliseconds=2000,
        away_milliseconds=500,
        reasons=["text", "artefacts", "text"],
        region=Region("right", 0.25, 0.5, 0.125, 0.33333333),
        comment="  six fingers\r\nand a seventh ",
    )
    assert {tuple(vote.reasons) for vote in Vote.objects.all()} == {("artefacts", "text")}
    assert {vote.milliseconds for vote in Vote.objects.all()} == {2000}
    assert region(comparison) == ("right", 0.25, 0.5, 0.125, 0.3333)
    remark = Remark.objects.get()
    assert (remark.comment, remark.away_milliseconds) == ("six fingers\nand a seventh", 500)
    comparison.refresh_from_db()
    assert comparison.answered_at is not None
    assert comparison.shown_at is not None
    # Shown when she was away, too.
    assert comparison.answered_at - comparison.shown_at <= timedelta(milliseconds=2500)


def test_an_answer_alone_leaves_no_remark(asking: Desk) -> None:
    cast(offer(asking, asking.rater("ria")), milliseconds=900)
    assert not Remark.objects.exists()
    assert Vote.objects.get().reasons == []


def test_a_point_has_no_size(asking: Desk) -> None:
    comparison = offer(asking, asking.rater("ria"))
    cast(comparison, region=Region("left", 1, 0))
    assert region(comparison) == ("left", 1, 0, 0, 0)


def test_each_revision_has_its_own(asking: Desk) -> None:
    enrolment = asking.rater("ria")
    comparison = offer(asking, enrolment)
    cast(comparison, comment="first", reasons=["text"])
    services.undo_last(rater=enrolment.rater, study=asking.study)
    reasons, remark = services.said_before(comparison)
    assert (reasons, remark and remark.comment) == (["text"], "first")
    cast(comparison, comment="second")
    assert list(Remark.objects.order_by("revision").values_list("revision", "comment")) == [(1, "first"), (3, "second")]
    assert Vote.objects.get(revision=2).reasons == []


@pytest.mark.parametrize("away", [-1, 86_400_001])
def test_a_time_away_that_cannot_be_is_not_kept(desk: Desk, away: int) -> None:
    cast(offer(desk, desk.rater("ria")), away_milliseconds=away)
    assert not Remark.objects.exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reasons": ["blurry"]}, "“blurry” is no reason of this study, which offers artefacts, anatomy, text; reload"),
        ({"comment": "x" * 1001}, "at most 1000 characters, got 1001; make it shorter"),
        ({"comment": "a\0b"}, "A comment is a text"),
        ({"region": Region("middle", 0, 0)}, "lies on the left or the right side"),
        ({"region": Region("left", 0.9, 0, 0.2, 0.1)}, "from 0.9, 0 to 1.1"),
        ({"region": Region("left", float("nan"), 0)}, "within shares from 0 to 1"),
        ({"region": Region("left", 0.5, 0.5, -0.1, 0)}, "within shares from 0 to 1"),
        ({"region": Region("left", 0.5, 0.5, seconds=1.0)}, "Only a place on a video has a time"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(asking: Desk, given: dict[str, Any], sentence: str) -> None:
    comparison = offer(asking, asking.rater("ria"))
    with pytest.raises(Refusal) as refused:
        cast(comparison, **given)
    assert sentence in refused.value.sentence
    assert not Vote.objects.exists()
    assert not Remark.objects.exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reasons": ["text"]}, "which offers none"),
        ({"comment": "nice"}, "takes no comments"),
        ({"region": Region("left", 0, 0)}, "takes no marked places"),
    ],
)
def test_a_study_that_does_not_ask_takes_none(desk: Desk, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        cast(offer(desk, desk.rater("ria")), **given)
    assert not Vote.objects.exists()


def test_regions_are_read_as_the_browser_sends_them() -> None:
    assert region_from("") is None
    text = '{"side": "left", "x": 0.5, "y": 0, "width": 0.25, "height": 1}'
    assert region_from(text) == Region("left", 0.5, 0, 0.25, 1)
    assert region_from(text[:-1] + ', "seconds": 1.5}') == Region("left", 0.5, 0, 0.25, 1, seconds=1.5)


@pytest.mark.parametrize("text", ["left", "[]", "{}", '{"side": "left", "x": "a"}', "[" * 100_000, '"side"', "null"])
def test_other_texts_are_no_regions(text: str) -> None:
    with pytest.raises(Refusal, match="JSON object with side, x, y, width and height"):
        region_from(text)
