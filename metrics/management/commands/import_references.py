"""`manage.py import_references STUDY FOLDER --name NAME`: real pictures that a study's runs compare with."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evalhub.problems import Refusal
from evalhub.studies.models import Study
from metrics.services.importing import import_references

PAUSE = 5.0  # seconds between two lines of a log
NAMED = 20


class Command(BaseCommand):
    help = (
        "Import a folder of real pictures as the reference that a study's runs compare with from now on. Interrupted, "
        "it goes on where it stopped when it is called again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("folder", type=Path)
        parser.add_argument("--name", required=True, help="what the reference is called in the study")
        parser.add_argument("--licence", default="", help="under what terms the pictures may be used")
        parser.add_argument("--leave-out", action="store_true", help="pass over files that do not do")

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study called “{options['study']}”; see the slugs on the page of studies.")
        asked = {name: options[name] for name in ("folder", "name", "licence", "leave_out")}
        try:
            done = import_references(study=study, on_progress=self._progress(), **asked)
        except Refusal as refusal:
            for line in refusal.details.get("bad", [])[:NAMED]:
                self.stderr.write(line)
            raise CommandError(refusal.sentence) from None
        for line in done.bad[:NAMED]:
            self.stderr.write(f"Left out: {line}")
        again = f"; {done.twice:,} files had the bytes of another one" if done.twice else ""
        how = "is made of" if done.is_new else "was here already, with its"
        self.stdout.write(f"The reference “{done.reference}” of {study.slug} {how} {done.images:,} pictures{again}.")

    def _progress(self) -> Any:
        """Files done, their rate and what remains: one line that changes on a terminal, now and then one in a log."""
        terminal, begun = sys.stdout.isatty(), time.monotonic()
        told = begun

        def tell(done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            if done < total and now - told < (0.2 if terminal else PAUSE):
                return
            told, rate = now, done / max(now - begun, 1e-6)
            line = f"{done:,} of {total:,} files, {rate:.0f} per second, {(total - done) / rate:.0f} s left"
            self.stdout.write(f"\r{line:70}" if terminal else line, ending="" if terminal and done < total else "\n")

        return tell
