"""`manage.py quota`: what each study holds and takes; `manage.py quota STUDY 200G` sets it, `none` lifts it."""

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.models import Study
from evalhub.studies.services.quotas import gigabytes

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Command(BaseCommand):
    help = "Show what the studies use, or set one's quota."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="?", help="The study's name in its address.")
        parser.add_argument("size", nargs="?", help="Bytes, or 500M, 200G, 2T (powers of ten); none for no quota.")

    def handle(self, *arguments: Any, **options: Any) -> None:
        chosen = Study.objects.order_by("slug")
        if options["study"]:
            chosen = chosen.filter(slug=options["study"])
            if not chosen:
                raise CommandError(f"There is no study called {options['study']}.")
        if options["size"]:
            try:
                services.set_quota(study=chosen[0], quota_bytes=_bytes(options["size"]), actor=None)
            except Refusal as refusal:
                raise CommandError(refusal.sentence) from None
        for study in chosen.all():
            found = services.usage(study)
            most = "no quota" if found.quota is None else f"takes {gigabytes(found.quota)}"
            self.stdout.write(
                f"{study.slug}: holds {gigabytes(found.held)}, is promised {gigabytes(found.promised)}, {most}"
            )


def _bytes(text: str) -> int | None:
    if text.lower() == "none":
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", text, re.IGNORECASE)
    if not found:
        raise CommandError(f"A size is a number with K, M, G or T, or none; got {text}.")
    return int(float(found[1]) * UNITS[found[2].upper()])
