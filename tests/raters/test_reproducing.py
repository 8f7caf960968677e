"""A permanent link's promise: the frozen ranking can be made again from the raw votes."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from evalhub.problems import Refusal
from evalhub.studies.models import User
from raters import services
from raters.models import Fit
from tests.raters.ballots import load, noisy, people, simulated_raters, vote_on_all
from tests.raters.conftest import Desk

Rung = list[tuple[Any, ...]]


@pytest.fixture
def voted(desk: Desk, rung: Rung) -> Desk:
    load(desk)
    vote_on_all(desk, people(desk, 5), noisy(1), propensity=0.3)
    vote_on_all(desk, simulated_raters(desk, 2), noisy(2), propensity=0.1)
    return desk


def run(fit: object) -> str:
    out = io.StringIO()
    call_command("reproduce_fit", str(fit), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_a_fit_comes_out_the_same_whatever_happened_since(voted: Desk) -> None:
    """Votes, undos, exclusions, groups, newcomers and withdrawals after it do not matter to it."""
    criterion, owner = voted.study.criteria.get(), User.objects.create_user("owner")
    enrolments = list(voted.study.enrolments.order_by("id"))
    services.set_exclusion(enrolment=enrolments[0], reason="Asleep.", actor=owner)
    services.set_group(enrolment=enrolments[1], group="experts", actor=owner)
    services.set_group(enrolment=enrolments[2], group="experts", actor=owner)
    fits = services.refit(study=voted.study)
    today = timezone.now().date().isoformat()
    for slice in (
        {"raters": "people", "since": today},
        {"group": "experts"},
        {"weighting": "trust"},
        {"weighting": "propensity"},
        {"excluded": "counted", "model": "bradley-terry"},
        {"covariates": "resolution,latency"},
    ):
        fit = services.ask_for_fit(study=voted.study, criterion=criterion, slice=slice)
        services.fit_slice(fit=fit)
        fits.append(Fit.objects.get(pk=fit.pk))
    services.set_exclusion(enrolment=enrolments[0], reason="", actor=owner)
    services.set_exclusion(enrolment=enrolments[3], reason="Asleep too.", actor=owner)
    services.set_group(enrolment=enrolments[1], group="", actor=owner)
    services.set_group(enrolment=enrolments[4], group="experts", actor=owner)
    voted.contestant("Delta")
    vote_on_all(voted, [], noisy(3))
    person = enrolments[1]
    services.undo_last(rater=person.rater, study=voted.study)
    for fit in fits:
        found = services.reproduce(fit=fit)
        assert (found.rows, found.differences) == (3, ()), fit.slice
        assert found.largest == 0.0
        assert "3 rows are as they were frozen, to the last digit." in run(fit.pk)
    (newest,) = services.refit(study=voted.study)
    assert newest.ratings.count() == 4
    assert services.reproduce(fit=newest).differences == ()


def test_what_was_changed_is_named(voted: Desk) -> None:
    (fit,) = services.refit(study=voted.study)
    row = fit.ratings.select_related("checkpoint").get(checkpoint__name="Beta")
    assert row.rating is not None
    frozen = row.rating
    row.rating = frozen + 1
    row.save()
    found = services.reproduce(fit=fit)
    assert len(found.differences) == 1
    assert found.differences[0].startswith("Beta: rating was frozen as ")
    with pytest.raises(CommandError, match="1 of 3 rows differ"):
        run(fit.pk)
    row.rating = frozen + 1e-9
    row.save()
    found = services.reproduce(fit=fit)
    assert found.differences == ()
    assert "but for rounding" in found.sentence()
    row.delete()
    assert services.reproduce(fit=fit).differences == ("Beta was not in it.",)


def test_what_cannot_be_made_again_says_why(voted: Desk) -> None:
    (fit,) = services.refit(study=voted.study)
    with pytest.raises(CommandError, match="There is no ranking with the id “nonsense”"):
        run("nonsense")
    for values, sentence in (
        ({"version": "0"}, "version 0, but here is"),
        ({"inputs": {}}, "before rankings kept what they rest on"),
        ({"state": "waiting"}, "Only a finished ranking can be made again; this one is waiting."),
    ):
        for name, value in values.items():
            setattr(fit, name, value)
        fit.save()
        with pytest.raises(Refusal, match=sentence):
            services.reproduce(fit=fit)
        with pytest.raises(CommandError, match=sentence):
            run(fit.pk)
        fit = services.refit(study=voted.study)[0]
