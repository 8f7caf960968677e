"""`manage.py delete_study SLUG`: a study taken away with all it owned."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evalhub.leaderboard.archive import delete_study
from evalhub.problems import Refusal
from evalhub.studies.models import Study


class Command(BaseCommand):
    help = "Delete a study with its files, votes, rankings and scores, for good. export_study first keeps a copy."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="The study's short name.")
        parser.add_argument("--confirm", default="", metavar="SLUG", help="The short name once more, to do it unasked.")

    def handle(self, *args: Any, slug: str, confirm: str, **options: Any) -> None:
        study = Study.objects.filter(slug=slug).first()
        if study is None:
            raise CommandError(f"There is no study “{slug}”.")
        votes = study.votes.count()
        typed = confirm or input(f"This deletes {study.name} with {votes:,} votes for good. Type its short name: ")
        try:
            counts = delete_study(study=study, actor=None, slug=typed)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from None
        self.stdout.write(f"{study.name} is deleted: {sum(counts.values()):,} rows and all its files.")
