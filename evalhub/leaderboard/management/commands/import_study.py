"""`manage.py import_study FILE`: a study out of an archive that export_study wrote."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evalhub.leaderboard.archive import unpack
from evalhub.problems import Refusal
from evalhub.studies.models import User


class Command(BaseCommand):
    help = "Make a study of this site out of an archive that export_study wrote; all of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The archive.")
        parser.add_argument("--slug", default="", help="Its short name here; that of the archive by default.")
        parser.add_argument("--owner", default="", help="Name of the account that becomes its owner.")

    def handle(self, *args: Any, file: Path, slug: str, owner: str, **options: Any) -> None:
        actor = User.objects.filter(username=owner).first()
        if owner and actor is None:
            raise CommandError(f"There is no account “{owner}”.")
        try:
            study = unpack(path=file, slug=slug, actor=actor)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from None
        self.stdout.write(f"{study.name} is here as “{study.slug}”, with {study.votes.count():,} votes.")
