"""Known answers and repeats among the comparisons: how often, which, and that they count where they may."""

import random
import re
from collections import Counter
from typing import Any

import pytest
from django.test import Client

from evalhub.studies.models import Checkpoint, Study, User
from raters import services
from raters.models import Comparison, Control, PairCount, Standing, Vote
from raters.services import controls, golds
from raters.services.controls import OLD
from tests.raters.ballots import ballot, load, save
from tests.raters.conftest import Desk, cast, make_desk, offer, owner_of
from tests.raters.gold_scenes import gold, rule, wrong


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "_random", random.Random(11))


@pytest.fixture
def large(db: None) -> Desk:
    """Three contestants on thirty prompts, six of which have a known answer."""
    desk = make_desk(prompts=30)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    for prompt in range(6):
        gold(desk, "control", prompt)
    return desk


def compare(desk: Desk, name: str, pairs: int, **how: Any) -> list[Comparison]:
    ria = desk.rater(name)
    seen = []
    for _ in range(pairs):
        comparison = offer(desk, ria)
        cast(comparison, **how)
        seen.append(comparison)
    return seen


def test_they_come_about_as_often_as_the_rules_say(large: Desk, seeded: None) -> None:
    """Of 60 pairs a sixth may be known, of those six that she has not met otherwise, and a quarter repeats, 12 ± 6."""
    rule(large, gold_every=6, repeat_every=4)
    seen = compare(large, "ria", 60)
    kinds = Counter(comparison.control for comparison in seen)
    assert 1 <= kinds["gold"] <= 6
    assert 5 <= kinds["repeat"] <= 24
    assert len({comparison.gold_id for comparison in seen} - {None}) == kinds["gold"]  # each once
    originals = [comparison.original_id for comparison in seen if comparison.original_id]
    assert len(set(originals)) == len(originals)
    place = {comparison.pk: number for number, comparison in enumerate(seen)}
    for number, comparison in enumerate(seen):
        if comparison.original is not None:
            assert number - place[comparison.original.pk] > OLD
            assert (comparison.left_id, comparison.right_id) == (
                comparison.original.right_id,
                comparison.original.left_id,
            )
            assert (comparison.left_copy_id, comparison.prompt_id) == (
                comparison.original.right_copy_id,
                comparison.original.prompt_id,
            )
        assert 0 < comparison.propensity <= 1


def test_known_answers_come_at_random_places_and_on_random_sides(large: Desk, seeded: None) -> None:
    rule(large, gold_every=5)
    places, sides = [], Counter[str]()
    for number in range(8):
        seen = compare(large, f"rater{number}", 20)
        places.append(tuple(at for at, comparison in enumerate(seen) if comparison.control))
        sides.update(comparison.expected for comparison in seen if comparison.control)
    assert len(set(places)) == 8
    assert 16 <= sum(sides.values()) <= 45
    assert min(sides["left"], sides["right"]) >= sum(sides.values()) / 4


def test_no_rules_no_controls(large: Desk) -> None:
    assert {comparison.control for comparison in compare(large, "ria", 20)} == {""}


def test_a_pair_that_she_has_seen_is_no_known_answer_for_her(desk: Desk, seeded: None) -> None:
    """All twelve pairs, then the known ones would come: she has seen them all, and is told that nothing is left."""
    ria = desk.rater("ria")
    for _ in range(12):
        cast(offer(desk, ria))
    gold(desk, "control", 0)
    rule(desk, gold_every=2)
    for _ in range(10):
        assert services.next_comparison(study=desk.study, rater=ria.rater) is None


def test_whoever_is_done_gets_no_controls_by_reloading(desk: Desk, seeded: None) -> None:
    rule(desk, gold_every=4, repeat_every=4)
    ria = desk.rater("ria")
    while (comparison := services.next_comparison(study=desk.study, rater=ria.rater)) is not None:
        cast(comparison)
    count = Comparison.objects.count()
    for _ in range(30):
        assert services.next_comparison(study=desk.study, rater=ria.rater) is None
    assert Comparison.objects.count() == count


def test_controls_move_her_progress_and_nothing_of_the_study(large: Desk, seeded: None) -> None:
    """Her share and her progress take them for what they look like; rankings, budget and counts of draws do not."""
    rule(large, gold_every=4, repeat_every=4)
    Study.objects.update(votes_per_rater=30)
    large.study.refresh_from_db()
    ria = large.rater("ria")
    seen = 0
    while (comparison := services.next_comparison(study=large.study, rater=ria.rater)) is not None:
        cast(comparison)
        seen += 1
        assert services.answered_by(ria.rater, large.study) == seen
    assert seen == 30
    plain = Comparison.objects.filter(control=Control.NONE).count()
    assert plain < 30
    ria.refresh_from_db()
    assert ria.answers == services.answers_counted(large.study) == plain
    assert sum(PairCount.objects.totals().values_list("comparisons", flat=True)) == plain
    services.recount(study=large.study)
    ria.refresh_from_db()
    assert ria.answers == plain
    assert sum(PairCount.objects.totals().values_list("comparisons", flat=True)) == plain
    (fit,) = services.refit(study=large.study)
    assert fit.votes == plain == Vote.objects.filter(control="").count()


def test_a_control_is_undone_like_any_other(large: Desk, seeded: None) -> None:
    rule(large, gold_every=2)
    ria = large.rater("ria")
    while (comparison := offer(large, ria)).control != Control.GOLD:
        cast(comparison)
    cast(comparison, wrong(comparison))
    assert services.undo_last(rater=ria.rater, study=large.study) == comparison
    cast(comparison, comparison.expected)
    services.refit(study=large.study)
    standing = Standing.objects.get(enrolment=ria)
    assert (standing.gold_hits, standing.gold_total) == (1, 1)


def test_a_known_answer_may_be_of_a_checkpoint_that_competes_no_more(large: Desk, seeded: None) -> None:
    Checkpoint.objects.filter(pk=large.checkpoints[0].pk).update(
        withdrawn_at="2026-01-01T00:00Z", withdrawal_reason="Bad."
    )
    rule(large, gold_every=2)
    kinds = {comparison.control: comparison for comparison in compare(large, "ria", 12)}
    assert large.checkpoints[0].pk in {kinds["gold"].left_checkpoint_id, kinds["gold"].right_checkpoint_id}


def test_practice_and_the_retired_say_nothing_of_a_rater(desk: Desk, rung: object) -> None:
    load(desk)
    ria = desk.rater("ria")
    known = [gold(desk, use, prompt) for prompt, use in enumerate(("training", "qualification", "control", "control"))]
    ballots = []
    for prompt, one in enumerate(known):
        comparison, vote = ballot(desk, ria, 0, 2, prompt, "left", control="gold", expected="right")
        comparison.gold = one
        ballots.append((comparison, vote))
    save(ballots)
    golds.retire_gold(gold=known[3], actor=owner_of(desk))
    services.refit(study=desk.study)
    standing = Standing.objects.get(enrolment=ria)
    assert (standing.gold_hits, standing.gold_total) == (0, 1)


def test_a_known_answer_on_one_question_says_nothing_about_another(desk: Desk, rung: object) -> None:
    load(desk)
    other = desk.study.criteria.create(key="detail", name="Detail", question="Which has more detail?")
    ria = desk.rater("ria")
    comparison, vote = ballot(desk, ria, 0, 2, 0, "left", control="gold", expected="right")
    comparison.gold = gold(desk, "control", 0, criterion=other)
    save([(comparison, vote)])
    Vote.objects.create(
        comparison=comparison,
        criterion=other,
        choice="right",
        control="gold",
        study=desk.study,
        prompt=comparison.prompt,
        rater=ria.rater,
        left_checkpoint=comparison.left_checkpoint,
        right_checkpoint=comparison.right_checkpoint,
    )
    services.refit(study=desk.study)
    shares = {one.criterion.key: one.gold_share for one in Standing.objects.select_related("criterion")}
    assert shares == {"detail": 1.0}  # on quality there is nothing to say of her


def test_which_known_answer_may_itself_be_wrong(desk: Desk) -> None:
    """Four find all but one, and two find none: that one is suspect, the others are not, whatever the two say."""
    load(desk)
    known = [gold(desk, "control", prompt) for prompt in range(4)]
    ballots = []
    for number in range(6):
        rater = desk.rater(f"rater{number}")
        for prompt, one in enumerate(known):
            finds = number < 4 and prompt != 3
            comparison, vote = ballot(
                desk, rater, 2, 0, prompt, "left" if finds else "right", control="gold", expected="left"
            )
            comparison.gold = one
            ballots.append((comparison, vote))
    save(ballots)
    found = golds.found_by_raters(desk.study)
    assert [found[one.pk].is_suspect for one in known] == [False, False, False, True]
    assert (found[known[3].pk].asked, found[known[3].pk].missed) == (6, 6)
    assert (found[known[3].pk].trusted, found[known[3].pk].trusted_missed) == (4, 4)
    assert found[known[0].pk].missed == 2


def test_page_and_network_do_not_tell_a_control_from_any_other_pair(desk: Desk, client: Client) -> None:
    """What the first pair's page, what is fetched ahead and what comes with the pictures differ in tokens alone."""

    def heads(answer: Any) -> str:
        """All but the time and what follows from the pixels."""
        said = answer.headers.items()
        return str(sorted(one for one in said if one[0] not in {"Content-Length", "Date", "Expires", "Last-Modified"}))

    def seen_by(name: str) -> tuple[str, list[str]]:
        desk.rater(name)
        client.force_login(User.objects.get(username=name))
        page = client.get("/rate/study/").text
        comparison = Comparison.objects.get(rater__user__username=name)
        answer = client.post("/rate/study/ahead/", {"count": 1, "held": comparison.token})
        text = page + heads(answer)
        for tokens in Comparison.objects.values_list("token", "left_token", "right_token", "prompt__text"):
            for secret in tokens:
                text = text.replace(secret, "")
        text = re.sub(r'[\w-]{64}|data-desk="\w+"|content="\w{16}"', "", text)
        pictures = [client.get(f"/shown/{side}") for side in (comparison.left_token, comparison.right_token)]
        return text, [heads(one) for one in pictures]

    plain = seen_by("ria")
    gold(desk, "control", 0)
    rule(desk, gold_every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "_random", Always())
        known = seen_by("otto")
    first, second = Comparison.objects.filter(rater__user__username="otto").order_by("id")[:2]
    assert (first.control, second.control) == ("gold", "")  # it is the only known answer
    assert known[1][0] == known[1][1] == plain[1][0]
    assert known[0] == plain[0]


class Always(random.Random):
    """A toss that always falls for a control."""

    def random(self) -> float:
        return 0.0
