"""`manage.py simulate_raters`: votes from a stated rule, for trying a study out. All of it is labelled simulated."""

from argparse import ArgumentParser
from functools import lru_cache
from typing import Any

import numpy as np
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError

from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Media, Study
from raters import services
from raters.models import Enrolment, PresentationCopy
from raters.presentation.stills import fit, read
from raters.simulation import Temper, judge, likeness

REFIT_EVERY = 100  # votes; later pairs are then drawn by what the earlier ones said


class Command(BaseCommand):
    help = (
        "Let simulated raters compare pairs of a study by likeness to its reference pictures. They draw pairs and vote "
        "through the same services as people; they, their votes and every ranking of them are labelled simulated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--study", required=True, help="the study's slug")
        parser.add_argument("--raters", type=int, default=12, help="how many new simulated raters (12)")
        parser.add_argument("--votes", type=int, default=600, help="comparisons to answer, shared among them (600)")
        parser.add_argument(
            "--seed", type=int, default=0, help="of their habits and answers; which pairs they see is random"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study called “{options['study']}”; see the slugs on the page of studies.")
        if options["raters"] < 1 or options["votes"] < 1:
            raise CommandError(
                f"Expected at least one rater and one vote, got {options['raters']} and {options['votes']}."
            )
        if study.prompts.filter(reference=None).exists():
            raise CommandError(
                f"Simulated raters judge by likeness to a reference, and some prompts of “{study.slug}” have none; "
                "choose a study whose prompts all have one."
            )
        asked = {name: options[name] for name in ("raters", "votes", "seed")}
        LogEntry.write(study=study, actor=None, verb="simulated raters", subject=study, **asked)
        try:
            cast = self._compare(study, options["raters"], options["votes"], np.random.default_rng(options["seed"]))
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from None
        self.stdout.write(f"{options['raters']} simulated raters answered {cast:,} pairs of {study.slug}.")

    def _compare(self, study: Study, raters: int, votes: int, random: np.random.Generator) -> int:
        services.prepare_presentation(study=study)
        people = [(services.enrol_simulated(study=study), Temper.draw(random)) for _ in range(raters)]
        cast = 0
        while people and cast < votes:
            for one in list(people)[: votes - cast]:
                if self._answer_one(study, *one, random):
                    cast += 1
                    if cast % REFIT_EVERY == 0:
                        services.refit(study=study)
                else:
                    people.remove(one)
        services.refit(study=study)
        return cast

    def _answer_one(self, study: Study, enrolment: Enrolment, temper: Temper, random: np.random.Generator) -> bool:
        comparison = services.next_comparison(study=study, rater=enrolment.rater)
        if comparison is None:
            return False
        reference = comparison.prompt.reference
        left, right = (_measured(copy, reference) for copy in (comparison.left_copy, comparison.right_copy) if copy)
        answers = {
            criterion.key: judge(temper, left, right, services.choices_of(criterion), random)
            for criterion in study.criteria.all()
        }
        services.cast_vote(token=comparison.token, rater=enrolment.rater, answers=answers)
        return True


@lru_cache(maxsize=100_000)
def _measured(copy: PresentationCopy, reference: Media) -> float:
    """SSIM of a copy to the reference on the same canvas."""
    with default_storage.open(reference.path) as file:
        truth = fit(read(file, reference.format), (copy.width, copy.height))
    with default_storage.open(copy.path) as file:
        return likeness(file.read(), truth)
