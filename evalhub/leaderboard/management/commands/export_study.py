"""`manage.py export_study SLUG FILE`: a whole study as one archive."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evalhub.leaderboard.archive import pack
from evalhub.problems import Refusal
from evalhub.studies.models import Study


class Command(BaseCommand):
    help = "Write a study with its files, votes, rankings and scores to a tar file that import_study reads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="The study's short name.")
        parser.add_argument("file", type=Path, help="The archive to write.")

    def handle(self, *args: Any, slug: str, file: Path, **options: Any) -> None:
        study = Study.objects.filter(slug=slug).first()
        if study is None:
            raise CommandError(f"There is no study “{slug}”.")
        try:
            counts = pack(study=study, path=file)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from None
        rows = f"{sum(counts.values()):,} rows, {counts['raters.Vote']:,} of them votes"
        self.stdout.write(f"{study.name} is in {file}: {rows}, and {counts['studies.Media']:,} files.")
