"""`manage.py recount`: count draws and answers anew."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evalhub.studies.models import Study
from raters import services


class Command(BaseCommand):
    help = (
        "Count from the comparisons themselves how often each pair was drawn and how much each rater answered: what "
        "draws and budgets read. Needed after rows were put in or taken out by hand; people may go on meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--study", required=True, help="the study's short name")

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study called “{options['study']}”.")
        services.recount(study=study)
        self.stdout.write(f"{study}: {services.answers_counted(study):,} answers count.")
