"""Which pairs a rater is offered, and what holds when her tabs do things at once."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone
from scipy.stats import binomtest

from evalhub.problems import Conflict
from evalhub.studies.models import Membership, Sample, StudyState, User
from raters import access, services
from raters.models import Comparison, Enrolment, EnrolmentState, Fit, PresentationCopy, Reason
from tests.raters.conftest import Desk, at_once, copies_of, noise, png, store


def take(desk: Desk, enrolment: Enrolment, choice: str = "left") -> Comparison | None:
    """Answer the next pair; returns it."""
    comparison = services.next_comparison(study=desk.study, rater=enrolment.rater)
    if comparison is not None:
        services.cast_vote(
            token=comparison.token,
            rater=enrolment.rater,
            answers={"quality": choice},
            revision=services.next_revision(comparison),
        )
    return comparison


def pair_of(comparison: Comparison) -> frozenset[int]:
    return frozenset((comparison.left_id, comparison.right_id))


def test_every_pair_once_then_nothing(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    seen = []
    while (comparison := take(desk, enrolment)) is not None:
        seen.append(comparison)
    assert len(seen) == len({pair_of(comparison) for comparison in seen}) == 4 * 3
    for comparison in seen:
        assert comparison.left.prompt_id == comparison.right.prompt_id == comparison.prompt_id
        assert comparison.left.checkpoint_id == comparison.left_checkpoint_id
        assert comparison.right.checkpoint_id == comparison.right_checkpoint_id
        media = [copy.media_id for copy in copies_of(comparison)]
        assert media == [comparison.left.media_id, comparison.right.media_id]
    # Every pair of contestants was drawn on every prompt.
    drawn = Counter(frozenset((c.left_checkpoint_id, c.right_checkpoint_id)) for c in seen)
    assert sorted(drawn.values()) == [4, 4, 4]


def test_what_is_unanswered_is_offered_again_on_the_same_sides(desk: Desk) -> None:
    rater = desk.rater("ria").rater
    first = services.next_comparison(study=desk.study, rater=rater)
    again = services.next_comparison(study=desk.study, rater=rater)
    assert first is not None
    assert again is not None
    assert (again.pk, again.token, again.left_token, again.left_id) == (
        first.pk,
        first.token,
        first.left_token,
        first.left_id,
    )
    ahead = services.next_comparison(study=desk.study, rater=rater, after=first)
    assert ahead is not None
    assert ahead.pk != first.pk
    assert services.next_comparison(study=desk.study, rater=rater, after=first) == ahead
    services.cast_vote(token=first.token, rater=rater, answers={"quality": "tie"})
    assert services.next_comparison(study=desk.study, rater=rater) == ahead
    assert Comparison.objects.count() == 2


def test_an_expired_one_is_offered_again_under_new_tokens(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert first is not None
    Comparison.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert enrolment.rater.user is not None
    with pytest.raises(Http404):
        access.shown_copy(enrolment.rater.user, first.left_token)
    again = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert again is not None
    assert again.pk == first.pk
    assert (again.left_id, again.right_id) == (first.left_id, first.right_id)
    assert not {again.left_token, again.right_token} & {first.left_token, first.right_token}
    # An answer that a browser has kept since is still taken, though not for ever.
    Comparison.objects.update(expires_at=timezone.now() - Comparison.LATE)
    with pytest.raises(Http404):
        services.cast_vote(token=first.token, rater=enrolment.rater, answers={"quality": "left"})
    Comparison.objects.update(expires_at=timezone.now() - Comparison.LATE + timedelta(minutes=1))
    services.cast_vote(token=first.token, rater=enrolment.rater, answers={"quality": "left"})


def test_tokens_open_nothing_for_others_nor_after_their_time(desk: Desk) -> None:
    ria, otto = desk.rater("ria"), desk.rater("otto")
    comparison = services.next_comparison(study=desk.study, rater=ria.rater)
    assert comparison is not None
    assert ria.rater.user is not None
    assert otto.rater.user is not None
    assert access.shown_copy(ria.rater.user, comparison.left_token) == comparison.left_copy
    assert access.shown_copy(ria.rater.user, comparison.right_token) == comparison.right_copy
    for user, token in ((otto.rater.user, comparison.left_token), (ria.rater.user, comparison.token)):
        with pytest.raises(Http404):
            access.shown_copy(user, token)
    with pytest.raises(Http404):
        access.own_comparison(otto.rater, comparison.token)
    with pytest.raises(Http404):
        services.cast_vote(token=comparison.token, rater=otto.rater, answers={"quality": "left"})
    # No longer a rater: the pictures are gone with the membership.
    Membership.objects.filter(user=ria.rater.user).delete()
    with pytest.raises(Http404):
        access.shown_copy(ria.rater.user, comparison.left_token)


def test_tokens_are_random_and_long(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    while take(desk, enrolment):
        pass
    tokens = [token for row in Comparison.objects.values_list("token", "left_token", "right_token") for token in row]
    assert len(set(tokens)) == 36
    assert {len(token) for token in tokens} == {43}  # 256 bits


def test_only_prompts_with_two_copies_are_offered(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=3)
    for name in ("Alpha", "Beta"):
        desk.contestant(name)
    rater = desk.rater("ria").rater
    assert services.next_comparison(study=desk.study, rater=rater) is None
    services.prepare_presentation(study=desk.study)
    gone = desk.checkpoints[0].samples.order_by("pk")[0]
    PresentationCopy.objects.filter(media=gone.media).delete()
    offered = set()
    enrolment = Enrolment.objects.get(rater=rater)
    while (comparison := take(desk, enrolment)) is not None:
        offered.add(comparison.prompt_id)
    assert offered == {prompt.pk for prompt in desk.prompts if prompt.pk != gone.prompt_id}


def test_a_withdrawn_checkpoint_is_no_longer_offered(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    waiting = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert waiting is not None
    gone = waiting.left_checkpoint
    gone.withdrawn_at, gone.withdrawal_reason = timezone.now(), "A mistake in training."
    gone.save()
    seen = []
    while (comparison := take(desk, enrolment)) is not None:
        seen.append(comparison)
    assert len(seen) == 4
    assert all(gone.pk not in (c.left_checkpoint_id, c.right_checkpoint_id) for c in seen)


def test_several_seeds_are_compared_first_with_first(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    for number, (name, seeds) in enumerate({"Alpha": (1, 2), "Beta": (0, 7)}.items()):
        checkpoint = desk.contestant(name)
        checkpoint.samples.all().delete()
        for seed in seeds:
            media = store(desk.study, png(noise(seed, number)), "png")
            Sample.objects.create(checkpoint=checkpoint, prompt=desk.prompts[0], seed=seed, media=media)
    services.prepare_presentation(study=desk.study)
    enrolment = desk.rater("ria")
    met = set()
    while (comparison := take(desk, enrolment)) is not None:
        met.add(frozenset((comparison.left.seed, comparison.right.seed)))
    assert met == {frozenset({1, 0}), frozenset({2, 7})}


def test_prompts_are_shared_out_evenly(desk: Desk) -> None:
    for number in range(4):
        enrolment = desk.rater(f"rater{number}")
        for _ in range(3):
            take(desk, enrolment)
    # 12 answers, 3 pairs of contestants, 4 prompts: each pair once on each prompt, whoever answered.
    counts = Counter(
        (frozenset((c.left_checkpoint_id, c.right_checkpoint_id)), c.prompt_id) for c in Comparison.objects.all()
    )
    per_pair = Counter(pair for pair, _ in counts)
    for pair, prompts in per_pair.items():
        drawn = sum(count for (one, _), count in counts.items() if one == pair)
        assert prompts == min(4, drawn)


def test_before_a_fit_the_least_compared_go_first_and_the_probability_is_recorded(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first = take(desk, enrolment)
    assert first is not None
    assert first.reason == Reason.LEAST
    assert first.propensity == pytest.approx(1 / 3)
    services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert set(Comparison.objects.values_list("reason", flat=True)) == {Reason.LEAST}


def test_a_fit_says_which_pair_is_drawn(desk: Desk) -> None:
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints]
    unlikely = [[0.0, 0.05, 0.05], [0.05, 0.0, 0.9], [0.05, 0.9, 0.0]]
    Fit.objects.create(
        study=desk.study,
        criterion=desk.study.criteria.get(),
        cut_off=0,
        pairing={"checkpoints": ids, "probabilities": unlikely},
    )
    drawn: Counter[bool] = Counter()
    for number in range(40):
        comparison = services.next_comparison(study=desk.study, rater=desk.rater(f"rater{number}").rater)
        assert comparison is not None
        assert comparison.reason == Reason.INFORMATION
        pair = frozenset((comparison.left_checkpoint_id, comparison.right_checkpoint_id))
        likely = pair == {desk.checkpoints[1].pk, desk.checkpoints[2].pk}
        assert comparison.propensity == pytest.approx(0.9 if likely else 0.05)
        drawn[likely] += 1
    assert binomtest(drawn[True], 40, 0.9).pvalue > 1e-6
    # A contestant that the fit does not know is as likely as the likeliest.
    desk.contestant("Newcomer")
    services.prepare_presentation(study=desk.study)
    comparison = services.next_comparison(study=desk.study, rater=desk.rater("late").rater)
    assert comparison is not None
    # A tenth falls evenly on six pairs. Of the rest, 0.05 and 0.9 less a third of that tenth are what the fit wants.
    wanted = (0.9 - 0.1 / 3, 0.05 - 0.1 / 3)
    total = 4 * wanted[0] + 2 * wanted[1]
    assert comparison.propensity in [pytest.approx(0.1 / 6 + 0.9 * weight / total) for weight in wanted]


def test_the_probability_allows_for_what_the_rater_has_seen(desk: Desk) -> None:
    """When one pair of contestants is used up, the others' probabilities grow to 1 together."""
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints]
    Fit.objects.create(
        study=desk.study,
        criterion=desk.study.criteria.get(),
        cut_off=0,
        pairing={"checkpoints": ids, "probabilities": [[0, 0.8, 0.1], [0.8, 0, 0.1], [0.1, 0.1, 0]]},
    )
    enrolment = desk.rater("ria")
    left = {frozenset((ids[a], ids[b])): 4 for a, b in ((0, 1), (0, 2), (1, 2))}
    weights = {frozenset((ids[0], ids[1])): 0.8, frozenset((ids[0], ids[2])): 0.1, frozenset((ids[1], ids[2])): 0.1}
    for _ in range(12):
        comparison = take(desk, enrolment)
        assert comparison is not None
        pair = frozenset((str(comparison.left_checkpoint_id), str(comparison.right_checkpoint_id)))
        # A tenth falls evenly on what is left; the rest goes by what the fit wants beyond its own even tenth.
        wanted = {one: weight - 0.1 / 3 for one, weight in weights.items() if left[one]}
        share = wanted[pair] / sum(wanted.values())
        assert comparison.propensity == pytest.approx(0.1 / len(wanted) + 0.9 * share)
        left[pair] -= 1
    assert set(left.values()) == {0}


def test_sides_are_random(bare_desk: Callable[..., Desk]) -> None:
    """400 draws of one pair: the first contestant is left in half of them, and its sides follow no pattern."""
    desk = bare_desk(prompts=40)
    first = desk.contestant("Alpha")
    desk.contestant("Beta")
    services.prepare_presentation(study=desk.study)
    for number in range(10):
        enrolment = desk.rater(f"rater{number}")
        while take(desk, enrolment):
            pass
    sides = [
        checkpoint == first.pk
        for checkpoint in Comparison.objects.order_by("pk").values_list("left_checkpoint", flat=True)
    ]
    assert len(sides) == 400
    assert binomtest(sum(sides), 400).pvalue > 1e-5
    changes = sum(one != other for one, other in itertools.pairwise(sides))
    assert binomtest(changes, 399).pvalue > 1e-5


def test_a_rater_does_her_share(desk: Desk) -> None:
    desk.study.votes_per_rater = 2
    desk.study.save()
    enrolment = desk.rater("ria")
    first = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert first is not None
    second = services.next_comparison(study=desk.study, rater=enrolment.rater, after=first)
    assert second is not None
    # Two are before her, which is her share: no third is leased ahead.
    assert services.next_comparison(study=desk.study, rater=enrolment.rater, after=second) == first
    take(desk, enrolment)
    assert services.next_comparison(study=desk.study, rater=enrolment.rater, after=second) is None
    take(desk, enrolment)
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is None
    enrolment.refresh_from_db()
    assert enrolment.state == EnrolmentState.COMPLETE
    services.undo_last(rater=enrolment.rater, study=desk.study)
    enrolment.refresh_from_db()
    assert enrolment.state == EnrolmentState.ACTIVE
    assert take(desk, enrolment) == second
    desk.study.votes_per_rater = 3
    desk.study.save()
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is not None
    # A smaller share ends it at once, whatever had been leased to her.
    desk.study.votes_per_rater = 2
    desk.study.save()
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is None
    desk.study.votes_per_rater = 3
    desk.study.save()
    assert take(desk, enrolment) is not None
    assert take(desk, enrolment) is None


@pytest.mark.parametrize("state", [StudyState.DRAFT, StudyState.PAUSED, StudyState.CLOSED])
def test_a_study_that_is_not_open_offers_nothing(desk: Desk, state: str) -> None:
    enrolment = desk.rater("ria")
    desk.study.state = state
    desk.study.save()
    with pytest.raises(Conflict, match="takes no votes now"):
        services.next_comparison(study=desk.study, rater=enrolment.rater)


def test_nothing_before_consent_and_beginning(desk: Desk) -> None:
    user = User.objects.create_user("new")
    enrolment = services.enrol(study=desk.study, user=user)
    assert services.enrol(study=desk.study, user=user) == enrolment
    with pytest.raises(Conflict, match="begins"):
        services.next_comparison(study=desk.study, rater=enrolment.rater)
    with pytest.raises(Conflict, match="consent"):
        services.start(enrolment=enrolment)
    with pytest.raises(Conflict, match="has changed"):
        services.consent(enrolment=enrolment, version=desk.study.consent_version + 1)
    services.consent(enrolment=enrolment, version=desk.study.consent_version)
    services.start(enrolment=enrolment)
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is not None
    # A new text has to be agreed to again, and what she had begun goes on after it.
    desk.study.consent_version += 1
    desk.study.save()
    with pytest.raises(Conflict, match="begins"):
        services.next_comparison(study=desk.study, rater=enrolment.rater)
    services.consent(enrolment=enrolment, version=desk.study.consent_version)
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is not None


# -- at the same moment -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_tabs_get_the_same_pair(desk: Desk) -> None:
    rater = desk.rater("ria").rater
    for _ in range(5):
        offered = at_once(*[lambda: services.next_comparison(study=desk.study, rater=rater)] * 4)
        assert len({comparison.pk for comparison in offered if isinstance(comparison, Comparison)}) == 1
        assert len(offered) == 4
        (comparison,) = {one for one in offered if isinstance(one, Comparison)}
        services.cast_vote(token=comparison.token, rater=rater, answers={"quality": "left"})


@pytest.mark.django_db(transaction=True)
def test_many_raters_at_once_get_one_each(desk: Desk) -> None:
    people = [desk.rater(f"rater{number}") for number in range(6)]
    at_once(*[lambda one=one: [take(desk, one) for _ in range(12)] for one in people])
    for one in people:
        own = Comparison.objects.filter(rater=one.rater)
        assert own.count() == len({pair_of(comparison) for comparison in own}) == 12
        assert own.filter(votes__isnull=False).count() == 12


def test_the_database_keeps_a_rater_from_seeing_a_pair_twice(desk: Desk) -> None:
    comparison = services.next_comparison(study=desk.study, rater=desk.rater("ria").rater)
    assert comparison is not None
    twin = Comparison.objects.get(pk=comparison.pk)
    twin.pk = None
    twin.left, twin.right = twin.right, twin.left
    twin.left_checkpoint, twin.right_checkpoint = twin.right_checkpoint, twin.left_checkpoint
    twin.token, twin.left_token, twin.right_token = "a" * 43, "b" * 43, "c" * 43
    with pytest.raises(IntegrityError, match="comparison_pair_once_per_rater"), transaction.atomic():
        twin.save(force_insert=True)
    twin.control = "repeat"
    twin.save(force_insert=True)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"right": "left"}, "comparison_sides_differ"),
        ({"right_checkpoint": "left_checkpoint"}, "comparison_checkpoints_differ"),
        ({"propensity": 0.0}, "comparison_propensity"),
        ({"propensity": 1.5}, "comparison_propensity"),
        ({"reason": "whim"}, "comparison_reason_known"),
    ],
)
def test_the_database_says_what_a_comparison_is(desk: Desk, change: dict[str, object], constraint: str) -> None:
    comparison = services.next_comparison(study=desk.study, rater=desk.rater("ria").rater)
    assert comparison is not None
    for name, value in change.items():
        setattr(comparison, name, getattr(comparison, value) if isinstance(value, str) and value != "whim" else value)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        comparison.save()
