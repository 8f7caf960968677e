"""`manage.py reproduce_fit`: is a frozen ranking what its votes say?"""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from evalhub.problems import Refusal
from raters import services
from raters.models import Fit


class Command(BaseCommand):
    help = (
        "Make a frozen ranking again from the raw votes up to its cut-off and compare every row. Ends with status 1 if "
        "any differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("fit", help="the id in the ranking's permanent link, after fit=")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            fit = Fit.objects.filter(pk=UUID(options["fit"])).select_related("study", "criterion").first()
        except ValueError:
            fit = None
        if fit is None:
            raise CommandError(f"There is no ranking with the id “{options['fit']}”; take it from a permanent link.")
        try:
            found = services.reproduce(fit=fit)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        for sentence in found.differences:
            self.stderr.write(sentence)
        if found.differences:
            raise CommandError(found.sentence())
        self.stdout.write(f"{fit}: {found.sentence()}")
