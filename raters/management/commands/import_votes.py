"""`manage.py import_votes STUDY FILE.csv --name NAME`: votes that were cast elsewhere come in; see docs/owner.md."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evalhub.problems import Refusal
from evalhub.studies.models import Study
from raters.services.importing import Report, import_votes, look_at_votes


class Command(BaseCommand):
    help = "Import votes from a CSV file: left,right,outcome,prompt[,rater,seed,criterion], or an export's votes.csv."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--name", required=True, help="what the import is called; its raters' group is named by it")
        parser.add_argument("--criterion", default="", help="which question it answers, where the file does not say so")
        parser.add_argument("--leave-out", action="store_true", help="pass over lines that cannot be placed")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come in")

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study called “{options['study']}”; see the slugs on the page of studies.")
        asked = {name: options[name] for name in ("name", "criterion")}
        try:
            with options["file"].open("rb") as file:
                report = look_at_votes(study=study, file=file, **asked)
                self._tell(report)
                if options["dry_run"]:
                    return
                file.seek(0)
                done = import_votes(study=study, file=file, actor=None, leave_out=options["leave_out"], **asked)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from None
        except OSError as error:
            raise CommandError(f"The file {options['file']} cannot be read ({error.strerror}).") from None
        self.stdout.write(f"Imported {done.votes:,} votes of {done.raters:,} raters to {study.slug}.")

    def _tell(self, report: Report) -> None:
        self.stdout.write(report.sentence)
        for one in report.refused:
            self.stdout.write(f"{one.title}: {one.lines:,}")
            for sentence in one.sentences:
                self.stdout.write(f"  {sentence}")
