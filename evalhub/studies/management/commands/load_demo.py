"""`manage.py load_demo`: the demo studies, through the same services that a researcher's submission takes."""

import io
import json
import os
import secrets
import string
import tempfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.demo.methods import facts
from evalhub.studies.demo.packages import MaterialUnavailable
from evalhub.studies.demo.studies import STUDIES, Contestant, DemoPrompt, DemoStudy
from evalhub.studies.models import Role, Study, StudyState, Submission, User
from evalhub.studies.services import CheckpointFacts, ManifestFile

PEOPLE = ("researcher", "rater1", "rater2", "admin")


def new_password() -> str:
    """77 random bits in letters and digits, so that a double click takes all of it."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(13))


class Command(BaseCommand):
    help = (
        "Load the demo: a study of real photographs with five super-resolution methods, and one of real clips with "
        "five video codecs. Run again, it goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prompts", type=int, metavar="N", help="load the first N prompts of each study only, for a quick look"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        people = self.people()
        for demo in STUDIES:
            try:
                self.load(demo, demo.prompts()[: options["prompts"]], people)
            except (Refusal, MaterialUnavailable) as reason:
                raise CommandError(str(reason)) from reason
            self.stdout.write(f"The demo study “{demo.name}” is ready.")

    def people(self) -> dict[str, User]:
        """The demo's accounts. Each new one's password is kept for `make run` to print, before the account is made."""
        file = settings.HOME / "demo-logins.json"
        passwords = json.loads(file.read_text()) if file.exists() else {}
        known = {user.username: user for user in User.objects.filter(username__in=PEOPLE)}
        new = [name for name in PEOPLE if name not in known]
        if new:
            passwords |= {name: new_password() for name in new if name not in passwords}
            _write_private(file, json.dumps(passwords, indent=2) + "\n")
        for name in new:
            create = User.objects.create_superuser if name == "admin" else User.objects.create_user
            known[name] = create(name, password=passwords[name])
        return known

    def load(self, demo: DemoStudy, wanted: list[DemoPrompt], people: dict[str, User]) -> None:
        study = self.study(demo, people)
        self.prompts(study, demo, wanted, people["researcher"])
        for name, contestant in demo.contestants.items():
            self.contestant(study, people["researcher"], name, contestant, [prompt.key for prompt in wanted])
        if study.state == StudyState.DRAFT:
            services.publish_study(study=study, actor=people["researcher"])

    @transaction.atomic
    def study(self, demo: DemoStudy, people: dict[str, User]) -> Study:
        found = Study.objects.filter(slug=demo.slug).first()
        if found is not None:
            return found
        owner = people["researcher"]
        study = services.create_study(slug=demo.slug, name=demo.name, actor=owner, is_demo=True, **demo.fields)
        for name in ("rater1", "rater2"):
            services.add_member(study=study, user=people[name], role=Role.RATER, actor=owner)
        return study

    def prompts(self, study: Study, demo: DemoStudy, wanted: list[DemoPrompt], actor: User) -> None:
        known = set(study.prompts.values_list("key", flat=True))
        missing = [prompt for prompt in wanted if prompt.key not in known]
        with tempfile.TemporaryDirectory() as folder:
            for number, prompt in enumerate(missing, len(known) + 1):
                path = Path(folder) / f"{prompt.key}.{demo.extension}"
                path.write_bytes(prompt.reference())
                media = services.store_media(study=study, path=path)
                services.add_prompt(
                    study=study, key=prompt.key, text=prompt.caption, tags=prompt.tags, reference=media, actor=actor
                )
                self.progress("originals", number, len(wanted))

    def contestant(self, study: Study, actor: User, name: str, contestant: Contestant, keys: list[str]) -> None:
        if Submission.objects.filter(
            checkpoint__study=study, checkpoint__name=name, completed_at__isnull=False
        ).exists():
            return
        # Two at a time, here and below, keep a small machine busy: encoders and decoders hold no lock of Python's.
        with ThreadPoolExecutor(2) as pool:
            made = dict(zip(keys, pool.map(contestant.output, keys), strict=True))
        files = [
            ManifestFile(f"{key}.{contestant.extension}", sha256(content).hexdigest(), len(content), key)
            for key, (content, _) in made.items()
        ]
        submission = services.receive_manifest(
            study=study,
            actor=actor,
            checkpoint=CheckpointFacts(
                name=name, notes=contestant.description, **facts([seconds for _, seconds in made.values()])
            ),
            files=files,
        )
        missing = set(submission.entries.outstanding().values_list("sha256", flat=True))
        wanted = [(file.sha256, made[file.prompt][0]) for file in files if file.sha256 in missing]
        done = count(len(files) - len(wanted) + 1)

        def send(share: list[tuple[str, bytes]]) -> None:
            for digest, content in share:
                services.receive_file(submission=submission, sha256=digest, stream=io.BytesIO(content))
                self.progress(contestant.title, next(done), len(files))
            connection.close()  # each thread has one of its own

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(send, (wanted[0::2], wanted[1::2])))
        services.complete_submission(submission=submission)

    def progress(self, what: str, done: int, of: int) -> None:
        if done % 16 == 0 or done == of:
            self.stdout.write(f"{what}: {done} of {of}")
            self.stdout.flush()


def _write_private(file: Path, text: str) -> None:
    unfinished = file.with_name(file.name + ".unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    unfinished.replace(file)
