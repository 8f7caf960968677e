"""Rankings of some of the votes: what a slice may say, what it counts, and how its fit comes about."""

import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, Media, Prompt, User
from raters import locks, services, tasks
from raters.models import Fit, FitState, Vote, slice_digest
from raters.ranking import Votes, find_trust, propensity_weights, rank
from raters.services import freezing, on_demand
from tests.raters.ballots import ballot, load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, at_once
from tests.systems import SOURCE

Rung = list[tuple[Any, ...]]


@pytest.fixture
def voted(desk: Desk, rung: Rung) -> Desk:
    """Four people and two simulated raters who compared everything; half of the prompts are portraits."""
    tag(desk)
    load(desk)
    vote_on_all(desk, people(desk, 4), noisy(1))
    vote_on_all(desk, simulated_raters(desk, 2), noisy(2))
    return desk


def tag(desk: Desk) -> None:
    Prompt.objects.filter(pk__in=[prompt.pk for prompt in desk.prompts[:2]]).update(tags=["portrait", "indoors"])


def done(desk: Desk, slice: dict[str, Any], criterion: Criterion | None = None) -> Fit:
    """The slice's fit, made now."""
    fit = services.ask_for_fit(study=desk.study, criterion=criterion or desk.study.criteria.get(), slice=slice)
    services.fit_slice(fit=fit)
    fit.refresh_from_db()
    return fit


# -- what a slice may say -----------------------------------------------------------------------------------------


def test_a_slice_has_one_form(voted: Desk) -> None:
    written = {"covariates": "resolution, aspect", "model": "davidson", "tag": "portrait", "group": "", "until": None}
    assert services.normalise_slice(voted.study, written) == {"tag": "portrait", "covariates": ["aspect", "resolution"]}
    assert services.normalise_slice(voted.study, {}) == {}
    assert slice_digest({"b": 1, "a": 2}) == slice_digest({"a": 2, "b": 1}) != slice_digest({})
    title = services.slice_title({"tag": "portrait", "weighting": "trust"})
    assert title == "prompts tagged “portrait”; weighed by trust in each rater"


@pytest.mark.parametrize(
    ("slice", "sentence"),
    [
        ({"colour": "red"}, "no part “colour”"),
        ({"tag": "sunset"}, "one of indoors, portrait; got “sunset”"),
        ({"raters": "robots"}, "one of people, simulated; got “robots”"),
        ({"group": "experts"}, "The study has no group"),
        ({"since": "yesterday"}, "a date such as 2026-05-31; got “yesterday”"),
        ({"until": 5}, "a date such as"),
        ({"since": "2026-05-02", "until": "2026-05-01"}, "before it begins on 2026-05-02"),
        ({"excluded": "yes"}, "one of counted; got “yes”"),
        ({"weighting": "luck"}, "one of trust, propensity"),
        ({"model": "elo"}, "one of bradley-terry"),
        ({"covariates": ["resolution", "colour"]}, "one of aspect, duration, latency, resolution; got “colour”"),
        ({"covariates": 3}, "got “3”"),
        ({"tag": ["portrait"]}, "got “['portrait']”"),
    ],
)
def test_what_is_no_slice_is_refused_with_a_sentence(desk: Desk, slice: dict[str, Any], sentence: str) -> None:
    tag(desk)
    with pytest.raises(Refusal, match=re.escape(sentence)):
        services.ask_for_fit(study=desk.study, criterion=desk.study.criteria.get(), slice=slice)
    assert not Fit.objects.exists()


# -- what it counts -----------------------------------------------------------------------------------------------


def test_slices_count_their_votes(voted: Desk) -> None:
    assert done(voted, {"tag": "portrait"}).votes == 36
    assert done(voted, {"raters": "people"}).votes == 48
    assert (done(voted, {"raters": "simulated"}).votes, done(voted, {"raters": "simulated"}).simulated_votes) == (
        24,
        24,
    )
    enrolment = voted.study.enrolments.first()
    assert enrolment is not None
    owner = User.objects.create_user("owner")
    services.set_group(enrolment=enrolment, group="  colour  experts ", actor=owner)
    assert services.groups_of(voted.study) == ["colour experts"]
    assert done(voted, {"group": "colour experts"}).votes == 12
    services.set_exclusion(enrolment=enrolment, reason="Asleep.", actor=owner)
    assert done(voted, {"tag": "portrait"}).votes == 30
    assert done(voted, {"excluded": "counted"}).votes == 72
    assert done(voted, {"excluded": "counted", "group": "colour experts"}).votes == 12
    failed = done(voted, {"group": "colour experts"})
    assert (failed.state, failed.error) == (FitState.FAILED, "No vote falls into this slice yet; choose a wider one.")


def test_days_are_whole_days_of_utc(desk: Desk, rung: Rung) -> None:
    load(desk)
    enrolment = people(desk, 1)[0]
    moments = [
        datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 5, 2, 0, 0, tzinfo=UTC),
        datetime(2026, 5, 2, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 5, 3, 0, 0, tzinfo=UTC),
    ]
    save(ballot(desk, enrolment, 0, 1, at, "left", created_at=moment) for at, moment in enumerate(moments))
    assert done(desk, {"since": "2026-05-02", "until": "2026-05-02"}).votes == 2
    assert done(desk, {"since": "2026-05-02"}).votes == 3
    assert done(desk, {"until": "2026-05-01"}).votes == 1


def test_all_criteria_pooled(desk: Desk, rung: Rung) -> None:
    """Every question's answers are in it, and one rater's answers to two questions are no agreement of two raters."""
    load(desk)
    other = Criterion.objects.create(study=desk.study, key="detail", name="Detail", question="Which is crisper?")
    ballots = [ballot(desk, enrolment, 0, 1, 0, "left") for enrolment in people(desk, 2)]
    save(ballots)
    again = [vote for comparison, _ in ballots for vote in [Vote.objects.get(comparison=comparison)]]
    for vote in again:
        vote.pk, vote.criterion, vote.choice = None, other, "right"
    Vote.objects.bulk_create(again)
    pooled = services.ask_for_fit(study=desk.study)
    services.fit_slice(fit=pooled)
    fit = services.fit_of(study=desk.study)
    assert fit == pooled
    assert fit is not None
    assert (fit.votes, fit.criterion, fit.is_official, fit.pairing) == (4, None, False, {})
    assert fit.agreement["units"] == 2
    assert fit.agreement["alpha"] == pytest.approx(1.0)
    assert services.fit_of(study=desk.study, criterion=other) is None


def test_bradley_terry_and_the_weights_are_those_of_the_ranking_package(desk: Desk, rung: Rung) -> None:
    """The database's columns, weighed and fitted here by hand, give the same numbers."""
    load(desk)
    random = np.random.default_rng(5)
    raters = people(desk, 5)
    careless = simulated_raters(desk, 1)
    vote_on_all(desk, raters, noisy(3), propensity=0.5)
    vote_on_all(desk, careless, lambda left, right: "left", propensity=float(random.uniform(0.05, 0.2)))
    votes, names, propensity = columns_of(desk)
    for slice, by_hand in (
        ({"model": "bradley-terry"}, rank(votes, names, model="bradley-terry")),
        ({"weighting": "trust"}, rank(find_trust(votes, names).weigh(votes), names)),
        ({"weighting": "propensity"}, rank(propensity_weights(propensity).weigh(votes), names)),
    ):
        fit = done(desk, slice)
        assert fit.state == FitState.DONE, fit.error
        frozen = {row.checkpoint.name: (row.rating, row.se) for row in fit.ratings.select_related("checkpoint")}
        assert frozen == {row.name: pytest.approx((row.rating, row.se), abs=1e-9) for row in by_hand.rows}
    assert any("as much as" in warning for warning in fit.warnings)
    own = services.refit(study=desk.study)[0]
    assert own.ratings.first() != pytest.approx(done(desk, {"weighting": "trust"}).ratings.first())


def columns_of(desk: Desk) -> tuple[Votes, list[str], list[float]]:
    """The study's votes, by the slow way."""
    rows = list(Vote.objects.order_by("id").select_related("left_checkpoint", "right_checkpoint", "comparison"))
    names = [checkpoint.name for checkpoint in desk.checkpoints]
    votes, _ = Votes.from_labels(
        left=[vote.left_checkpoint.name for vote in rows],
        right=[vote.right_checkpoint.name for vote in rows],
        outcome=[vote.choice for vote in rows],
        rater=[vote.rater_id for vote in rows],
        prompt=[vote.prompt_id for vote in rows],
        names=names,
    )
    return votes, names, [vote.comparison.propensity for vote in rows]


def test_covariates_are_told_apart_or_said_not_to_be(desk: Desk, rung: Rung) -> None:
    """Outputs of another size for some prompts: what the size is worth is estimated; latency is a contestant's own."""
    load(desk)
    larger = {desk.samples[(desk.checkpoints[at % 3].pk, prompt.pk)].media_id for at, prompt in enumerate(desk.prompts)}
    Media.objects.filter(pk__in=larger).update(width=96, height=64)
    for checkpoint in desk.checkpoints:
        checkpoint.latency_p50 = 1.0 + desk.checkpoints.index(checkpoint)
        checkpoint.save()
    vote_on_all(desk, people(desk, 6), noisy(4))
    fit = done(desk, {"covariates": "resolution,latency,duration,aspect"})
    assert set(fit.covariates) == {"resolution"}
    assert fit.covariates["resolution"]["se"] > 0
    for name in ("latency", "aspect"):
        assert any(f"The covariate {name} never varied" in warning for warning in fit.warnings)
    assert "The duration of some outputs is not known, so it was left out as a covariate." in fit.warnings


# -- how it comes about -------------------------------------------------------------------------------------------


def test_a_question_is_fitted_once_until_something_changes(voted: Desk, rung: Rung) -> None:
    criterion, slice = voted.study.criteria.get(), {"tag": "portrait"}
    rung.clear()
    fit = services.ask_for_fit(study=voted.study, criterion=criterion, slice=slice)
    assert (fit.state, fit.slice, fit.is_unfinished) == (FitState.WAITING, slice, True)
    assert services.ask_for_fit(study=voted.study, criterion=criterion, slice={"model": "davidson", **slice}) == fit
    assert rung == [("raters.fit_slice", str(fit.pk))]
    assert services.fit_of(study=voted.study, criterion=criterion, slice=slice) is None
    tasks.fit_slice(str(fit.pk))
    assert services.fit_of(study=voted.study, criterion=criterion, slice=slice) == fit
    assert services.ask_for_fit(study=voted.study, criterion=criterion, slice=slice) == fit
    enrolment = voted.study.enrolments.last()
    assert enrolment is not None
    services.set_exclusion(enrolment=enrolment, reason="Asleep.", actor=User.objects.create_user("owner"))
    second = services.ask_for_fit(study=voted.study, criterion=criterion, slice=slice)
    assert second != fit
    services.fit_slice(fit=second)
    vote_on_all(voted, people_more(voted), noisy(9))
    assert services.ask_for_fit(study=voted.study, criterion=criterion, slice=slice) not in (fit, second)
    assert services.refit(study=voted.study)[0].slice == {}


def people_more(desk: Desk) -> list[Any]:
    return [desk.rater("latecomer")]


def test_a_failed_slice_is_not_tried_again_for_nothing(desk: Desk, rung: Rung) -> None:
    load(desk)
    save([ballot(desk, people(desk, 1)[0], 0, 1, 0, "left")])
    fit = done(desk, {"raters": "simulated"})
    assert fit.state == FitState.FAILED
    assert done(desk, {"raters": "simulated"}) == fit
    vote_on_all(desk, simulated_raters(desk, 1), noisy(1))
    assert done(desk, {"raters": "simulated"}).state == FitState.DONE


def test_a_study_has_only_so_many_waiting(desk: Desk, rung: Rung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "MOST_WAITING", 1)
    services.ask_for_fit(study=desk.study, slice={"raters": "people"})
    with pytest.raises(Conflict, match="are being made already"):
        services.ask_for_fit(study=desk.study, slice={"raters": "simulated"})


@pytest.mark.django_db(transaction=True)
def test_of_two_who_ask_at_once_both_get_the_same_fit(desk: Desk, rung: Rung) -> None:
    asked = at_once(*[lambda: services.ask_for_fit(study=desk.study, slice={"raters": "people"})] * 4)
    assert len({fit.pk for fit in asked if isinstance(fit, Fit)}) == 1 == Fit.objects.count()
    assert len([name for name, *_ in rung if name == "raters.fit_slice"]) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_at_one_fit_one_does_it(voted: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = services.ask_for_fit(study=voted.study, slice={"raters": "people"})
    begun: list[int] = []
    freeze = freezing.freeze
    gate = threading.Event()

    def slowly(*arguments: Any) -> Fit:
        begun.append(1)
        assert gate.wait(10)
        return freeze(*arguments)

    monkeypatch.setattr(on_demand, "freeze", slowly)
    threading.Timer(0.5, gate.set).start()
    at_once(*[lambda: services.fit_slice(fit=Fit.objects.get(pk=fit.pk))] * 3)
    fit.refresh_from_db()
    assert (begun, fit.state, fit.attempts) == ([1], FitState.DONE, 1)


def test_what_a_dead_worker_left_is_taken_up_again_and_given_up_in_the_end(
    voted: Desk, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    fit = services.ask_for_fit(study=voted.study, slice={"raters": "people"})
    with monkeypatch.context() as patch:
        patch.setattr(on_demand, "freeze", dies)
        for _ in range(on_demand.MOST_ATTEMPTS):
            with pytest.raises(Killed):
                services.fit_slice(fit=fit)
    fit.refresh_from_db()
    assert (fit.state, fit.attempts, fit.stage) == (FitState.RUNNING, 3, "Waiting for votes under way")
    rung.clear()
    tasks.sweep()
    assert not any(name == "raters.fit_slice" for name, *_ in rung)  # it was asked for just now
    Fit.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    tasks.sweep()
    assert ("raters.fit_slice", str(fit.pk)) in rung
    tasks.fit_slice(str(fit.pk))
    fit.refresh_from_db()
    assert fit.state == FitState.FAILED
    assert "was begun 3 times and never came to an end" in fit.error
    assert services.ask_for_fit(study=voted.study, slice={"raters": "people"}) == fit
    Fit.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert services.ask_for_fit(study=voted.study, slice={"raters": "people"}) != fit


DIES = """
import sys, time
import django
django.setup()
from raters import services
from raters.models import Fit
from raters.services import on_demand

def never_ends(fit, tell):
    tell("Ranking 72 votes")
    print("begun", flush=True)
    time.sleep(600)

on_demand.freeze = never_ends
services.fit_slice(fit=Fit.objects.select_related("study").get(pk=sys.argv[1]))
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_at_its_fit_holds_nothing_back(voted: Desk, rung: Rung) -> None:
    """A process of its own dies by SIGKILL: its lock goes with its connection, and another does the fit."""
    fit = services.ask_for_fit(study=voted.study, slice={"raters": "people"})
    Fit.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    url = os.environ["DATABASE_URL"].replace("/evalhub?", f"/{connection.settings_dict['NAME']}?")
    command = [sys.executable, "-c", DIES, str(fit.pk)]
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        assert services.fits_to_resume() == []  # it is being done
        services.fit_slice(fit=fit)  # and nobody does it twice
        fit.refresh_from_db()
        assert (fit.state, fit.attempts, fit.stage) == (FitState.RUNNING, 1, "Ranking 72 votes")
        worker.kill()
    for _ in range(100):  # PostgreSQL notices in its own time
        if services.fits_to_resume():
            break
        time.sleep(0.05)
    tasks.sweep()
    assert ("raters.fit_slice", str(fit.pk)) in rung
    tasks.fit_slice(str(fit.pk))
    fit.refresh_from_db()
    assert (fit.state, fit.attempts, fit.votes) == (FitState.DONE, 2, 48)


@pytest.mark.django_db(transaction=True)
def test_the_sweep_leaves_alone_what_a_worker_is_at(desk: Desk, rung: Rung) -> None:
    fit = services.ask_for_fit(study=desk.study, slice={"raters": "people"})
    Fit.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert services.fits_to_resume() == [fit]
    with locks.only_one(desk.study, f"fit {fit.pk}"):
        assert at_once(services.fits_to_resume) == [[]]
