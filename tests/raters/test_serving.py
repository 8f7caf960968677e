"""That drawing a pair costs the same whatever others did, and that the probability it records is the one it had."""

import importlib
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scipy.stats import binomtest, chisquare

from evalhub.studies.models import Sample, Study
from raters import services
from raters.models import Comparison, Enrolment, Fit, PairCount, PresentationCopy, Reason
from raters.presentation import WHOLE
from raters.services import offers
from tests.benchmarks._filled import filled_study, new_rater, settle
from tests.raters.conftest import Desk, at_once, cast, offer

Contestants = frozenset[object]


def contestants(comparison: Comparison) -> Contestants:
    return frozenset((comparison.left_checkpoint_id, comparison.right_checkpoint_id))


def wants(desk: Desk, probabilities: list[list[float]]) -> Fit:
    """A fit that wants the first contestants of the desk to be drawn like this."""
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints[: len(probabilities)]]
    pairing = {"checkpoints": ids, "probabilities": probabilities}
    return Fit.objects.create(study=desk.study, criterion=desk.study.criteria.get(), pairing=pairing)


def counts(study: Study) -> dict[tuple[object, ...], int]:
    rows = PairCount.objects.filter(study=study).values_list("first", "second", "prompt", "comparisons")
    return {row[:3]: row[3] for row in rows}


def drawn_again(study: Study, enrolment: Enrolment) -> Comparison:
    """A draw that leaves no trace."""
    with transaction.atomic():
        comparison = services.next_comparison(study=study, rater=enrolment.rater)
        transaction.set_rollback(True)
    assert comparison is not None
    return comparison


# -- probabilities ------------------------------------------------------------------------------------------------


def test_recorded_probabilities_are_those_of_the_draws(desk: Desk) -> None:
    """A fit's wishes, a newcomer that it does not know, one withdrawn, a rater who has seen all of one pair: 400 draws
    from that state fall as often on each pair as the draws themselves say."""
    wants(desk, [[0, 0.6, 0.1], [0.6, 0, 0.3], [0.1, 0.3, 0]])
    for name in ("Newcomer", "Gone"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    others = desk.study.checkpoints.exclude(pk__in=[checkpoint.pk for checkpoint in desk.checkpoints[:2]])
    others.update(withdrawn_at=timezone.now(), withdrawal_reason="A mistake in training.")
    enrolment = desk.rater("ria")
    for _ in desk.prompts:
        cast(offer(desk, enrolment))
    (exhausted,) = {contestants(comparison) for comparison in Comparison.objects.all()}
    gone = desk.checkpoints[4]
    others.exclude(pk=gone.pk).update(withdrawn_at=None, withdrawal_reason="")
    said: dict[Contestants, float] = {}
    fell: Counter[Contestants] = Counter()
    for _ in range(400):
        comparison = drawn_again(desk.study, enrolment)
        fell[contestants(comparison)] += 1
        assert said.setdefault(contestants(comparison), comparison.propensity) == pytest.approx(comparison.propensity)
    assert exhausted not in fell
    assert not any(gone.pk in pair for pair in fell)
    assert len(said) == 5  # of the six pairs of four contestants
    assert sum(said.values()) == pytest.approx(1)
    # Nothing that she can be shown has less than its tenth of an even share.
    assert min(said.values()) >= 0.1 / len(said)
    expected = {pair: 400 * propensity for pair, propensity in said.items()}
    assert chisquare([fell[pair] for pair in expected], list(expected.values())).pvalue > 1e-5


def test_inverse_propensities_undo_the_uneven_draws(desk: Desk) -> None:
    """Over raters who see ever more of the study, each pair's draws weigh, by 1 / propensity, as much as the number of
    draws in which it could have come: what the inverse-propensity fit rests on."""
    wants(desk, [[0, 0.7, 0.2], [0.7, 0, 0.1], [0.2, 0.1, 0]])
    pairs = [frozenset(pair) for pair in combinations([checkpoint.pk for checkpoint in desk.checkpoints], 2)]
    weighed: dict[Contestants, float] = defaultdict(float)
    chance: dict[Contestants, int] = defaultdict(int)
    spread: dict[Contestants, float] = defaultdict(float)
    for number in range(25):
        enrolment = desk.rater(f"rater{number}")
        own: Counter[Contestants] = Counter()
        for _ in range(9):
            could = [pair for pair in pairs if own[pair] < len(desk.prompts)]
            comparison = offer(desk, enrolment)
            cast(comparison)
            pair = contestants(comparison)
            for one in could:
                chance[one] += 1
            own[pair] += 1
            weighed[pair] += 1 / comparison.propensity
            spread[pair] += (1 - comparison.propensity) / comparison.propensity**2
    for pair in pairs:
        assert abs(weighed[pair] - chance[pair]) < 4.5 * spread[pair] ** 0.5


def test_before_a_fit_links_come_first(bare_desk: Callable[..., Desk]) -> None:
    """Two pairs are compared and nothing joins them: what does is wanted, and the rest has its even tenth."""
    desk = bare_desk(prompts=3)
    for name in ("Alpha", "Beta", "Gamma", "Delta"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    ids = [checkpoint.pk for checkpoint in desk.checkpoints]
    groups = [sorted(ids[:2]), sorted(ids[2:])]
    for first, second in groups:
        PairCount.objects.create(study=desk.study, first_id=first, second_id=second, comparisons=9)
    enrolment = desk.rater("ria")
    links = 0
    for _ in range(60):
        comparison = drawn_again(desk.study, enrolment)
        assert comparison.reason == Reason.LEAST
        joins = contestants(comparison) not in [frozenset(group) for group in groups]
        assert comparison.propensity == pytest.approx(0.1 / 6 + (0.9 / 4 if joins else 0))
        links += joins
    assert binomtest(links, 60, 0.9 + 0.4 / 6).pvalue > 1e-5


def test_several_questions_are_heard_alike(desk: Desk) -> None:
    """What each question's newest fit wants counts the same; an older fit does not count."""
    study = desk.study
    second = study.criteria.create(key="detail", name="Detail", question="Which has more detail?", position=1)
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints]
    only = {
        (0, 1): [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
        (0, 2): [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        (1, 2): [[0, 0, 0], [0, 0, 1], [0, 1, 0]],
    }
    for criterion, pair in ((study.criteria.first(), (1, 2)), (study.criteria.first(), (0, 1)), (second, (0, 2))):
        pairing = {"checkpoints": ids, "probabilities": only[pair]}
        Fit.objects.create(study=study, criterion=criterion, pairing=pairing)
    # A slice is nobody's ranking of the study.
    Fit.objects.create(
        study=study, criterion=second, slice_digest="0" * 64, pairing={"checkpoints": ids, "probabilities": only[1, 2]}
    )
    seen: dict[Contestants, float] = {}
    enrolment = desk.rater("ria")
    for _ in range(60):
        comparison = drawn_again(study, enrolment)
        assert comparison.reason == Reason.INFORMATION
        seen[contestants(comparison)] = comparison.propensity
    chances = [
        seen.get(frozenset({desk.checkpoints[a].pk, desk.checkpoints[b].pk})) for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert chances[:2] == [pytest.approx(0.1 / 3 + 0.45)] * 2
    assert chances[2] in (None, pytest.approx(0.1 / 3))


# -- what a draw reads ---------------------------------------------------------------------------------------------


def test_a_draw_reads_nothing_that_grows_with_others_votes(bare_desk: Callable[..., Desk]) -> None:
    """The same statements at 40 and at 4,000 votes, before a fit and after; none reads votes or others' comparisons."""
    asked: dict[tuple[int, bool], list[str]] = {}
    for votes in (40, 4_000):
        study = filled_study(f"filled-{votes}", votes, contestants=4, prompts=20, raters=40)
        for fitted in (False, True):
            if fitted:
                services.refit(study=study)
            warm, rater = new_rater(study), new_rater(study)
            services.next_comparison(study=study, rater=warm.rater)
            with CaptureQueriesContext(connection) as captured:
                assert services.next_comparison(study=study, rater=rater.rater) is not None
            asked[votes, fitted] = [query["sql"] for query in captured]
    for fitted in (False, True):
        few, many = asked[40, fitted], asked[4_000, fitted]
        assert len(few) == len(many) <= 16
        for statement in many:
            assert "raters_vote" not in statement
            assert "raters_comparison" not in statement or "rater_id" in statement


@pytest.mark.django_db(transaction=True)
def test_what_she_has_seen_is_read_from_an_index_alone() -> None:
    """5,000 own comparisons: one index-only scan, and columns of numbers after that."""
    study = filled_study("veterans", 25_000, contestants=20, prompts=40, raters=5)
    settle()
    veteran = study.enrolments.first()
    assert veteran is not None
    own = Comparison.objects.filter(study=study, rater=veteran.rater).order_by().values_list("left", "right")
    plan = own.explain(analyze=True)
    assert "Index Only Scan using comparison_own" in plan
    found = re.search(r"Heap Fetches: (\d+)", plan)
    assert found is not None
    assert int(found[1]) < 500, plan
    table = offers.offers_of(study)
    seen = table.seen(list(own))
    assert len(seen.rows) == 5_000
    assert int((table.common - _left(table, seen)).sum()) == 2 * 5_000
    drawn = services.next_comparison(study=study, rater=veteran.rater)
    assert drawn is not None
    assert frozenset((drawn.left_id, drawn.right_id)) not in {frozenset(pair) for pair in own.exclude(pk=drawn.pk)}


def _left(table: offers.Offers, seen: offers.Seen) -> Any:
    """(K, K) rows that are left, counted one by one."""
    k = len(table.checkpoints)
    left = np.zeros((k, k), dtype=int)
    for first, second in combinations(range(k), 2):
        left[first, second] = left[second, first] = len(table.rows(first, second, seen))
    assert ((left > 0) == table.allowed(seen)).all()
    return left


# -- counts --------------------------------------------------------------------------------------------------------


def test_counts_follow_draws_and_answers(desk: Desk) -> None:
    ria, otto = desk.rater("ria"), desk.rater("otto")
    for enrolment, answers in ((ria, 5), (otto, 3)):
        for _ in range(answers):
            cast(offer(desk, enrolment))
    services.undo_last(rater=ria.rater, study=desk.study)
    offer(desk, otto)
    kept = counts(desk.study)
    assert sum(count for (*_, prompt), count in kept.items() if prompt is None) == 9  # an undone one is kept, too
    assert sum(count for (*_, prompt), count in kept.items() if prompt is not None) == 9
    assert sorted(Enrolment.objects.values_list("answers", flat=True)) == [3, 4]
    assert services.answers_counted(desk.study) == 7
    # Lost or spoilt, they are counted anew from the comparisons.
    PairCount.objects.filter(study=desk.study)[0].delete()
    PairCount.objects.filter(study=desk.study).update(comparisons=77)
    Enrolment.objects.update(answers=77)
    services.recount(study=desk.study)
    assert counts(desk.study) == kept
    assert sorted(Enrolment.objects.values_list("answers", flat=True)) == [3, 4]


def test_the_migration_counts_what_was_there(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    for _ in range(6):
        cast(offer(desk, enrolment))
    kept = counts(desk.study)
    PairCount.objects.all().delete()
    Enrolment.objects.update(answers=0)
    migration = importlib.import_module("raters.migrations.0004_counts_of_draws_and_answers")
    with connection.cursor() as cursor:
        cursor.execute(migration.COUNT_PAIRS)
        cursor.execute(migration.COUNT_ANSWERS)
    assert counts(desk.study) == kept
    assert Enrolment.objects.get(pk=enrolment.pk).answers == 6


@pytest.mark.django_db(transaction=True)
def test_thirty_raters_at_once_on_one_pair(bare_desk: Callable[..., Desk]) -> None:
    """Two contestants and two prompts: everybody adds to the same rows. Nobody waits for ever, nothing is lost, and a
    recount in the middle of it miscounts nothing."""
    desk = bare_desk(prompts=2)
    desk.contestant("Alpha")
    desk.contestant("Beta")
    services.prepare_presentation(study=desk.study)
    people = [desk.rater(f"rater{number}") for number in range(30)]
    at_once(
        *[lambda one=one: [cast(offer(desk, one)) for _ in range(2)] for one in people],
        *[lambda: services.recount(study=desk.study)] * 3,
    )
    kept = counts(desk.study)
    assert kept[*sorted(checkpoint.pk for checkpoint in desk.checkpoints), None] == 60
    assert sorted(count for (*_, prompt), count in kept.items() if prompt is not None) == [30, 30]
    assert set(Enrolment.objects.values_list("answers", flat=True)) == {2}


# -- offers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How often the offers were read; each reading takes a moment, as it does in a large study."""
    read: list[float] = []
    load = offers._load

    def slow(*arguments: Any) -> offers.Offers:
        read.append(0)
        threading.Event().wait(0.3)
        return load(*arguments)

    monkeypatch.setattr(offers, "_load", slow)
    return read


def test_copies_being_made_do_not_have_everything_read_again(desk: Desk, loads: list[float]) -> None:
    """A copy more for every request: the offers are read once; and again once a study's time for that has come."""
    enrolment = desk.rater("ria")
    cast(offer(desk, enrolment))
    media = list(Sample.objects.values_list("media", flat=True))
    for number, one in enumerate(media[:8]):
        PresentationCopy.objects.create(
            study=desk.study, media_id=one, width=480 + number, height=320, policy=WHOLE, size=1
        )
        cast(offer(desk, enrolment))
    assert len(loads) == 1
    held = offers._shelves[desk.study.pk]
    offers._shelves[desk.study.pk] = offers._Shelf(held.state, held.offers, held.read_at - 3_600, held.seconds)
    offer(desk, enrolment)
    assert len(loads) == 2


def test_old_offers_never_show_what_is_withdrawn(desk: Desk, loads: list[float]) -> None:
    ria = desk.rater("ria")
    offer(desk, ria)
    gone = desk.checkpoints[0]
    gone.withdrawn_at, gone.withdrawal_reason = timezone.now(), "A mistake in training."
    gone.save()
    for number in range(6):
        assert gone.pk not in contestants(offer(desk, desk.rater(f"rater{number}")))
    assert len(loads) == 1


@pytest.mark.django_db(transaction=True)
def test_one_of_many_reads_the_offers(desk: Desk, loads: list[float]) -> None:
    """The first time all wait for the one that reads; later all but that one go on with what was there."""
    people = [desk.rater(f"rater{number}") for number in range(6)]
    first = at_once(*[lambda one=one: offer(desk, one) for one in people])
    assert len(loads) == 1
    assert all(isinstance(comparison, Comparison) for comparison in first)
    held = offers._shelves[desk.study.pk]
    offers._shelves[desk.study.pk] = offers._Shelf((None, ()), held.offers, held.read_at - 3_600, held.seconds)
    for comparison in Comparison.objects.all():
        cast(comparison)
    at_once(*[lambda one=one: offer(desk, one) for one in people])
    assert len(loads) == 2


def test_sides_stay_even_under_a_fit(desk: Desk) -> None:
    wants(desk, [[0, 0.9, 0.05], [0.9, 0, 0.05], [0.05, 0.05, 0]])
    enrolment = desk.rater("ria")
    first = desk.checkpoints[0].pk
    sides = Counter(
        comparison.left_checkpoint_id == first
        for comparison in (drawn_again(desk.study, enrolment) for _ in range(150))
        if first in contestants(comparison)
    )
    assert binomtest(sides[True], sides.total()).pvalue > 1e-5


def test_the_command_counts_anew(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    enrolment = desk.rater("ria")
    for _ in range(3):
        cast(offer(desk, enrolment))
    Enrolment.objects.update(answers=77)
    call_command("recount", study="study")
    assert capsys.readouterr().out == "Which is sharper: 3 answers count.\n"
    with pytest.raises(CommandError, match="There is no study called “other”"):
        call_command("recount", study="other")
