"""`manage.py load_demo`: the demo study, through the same services that a researcher's submission takes."""

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
from evalhub.studies.demo.methods import METHODS, Method, facts, generate
from evalhub.studies.demo.photographs import PhotographUnavailable, prompts, reference
from evalhub.studies.models import Role, Study, StudyState, Submission, User
from evalhub.studies.services import CheckpointFacts, ManifestFile

SLUG = "demo"
NAME = "Photographs, 4× super-resolution"
PEOPLE = ("researcher", "rater1", "rater2", "admin")
DESCRIPTION = (
    "Five classical methods enlarge the same small photographs fourfold. The photographs come with installed packages; "
    "the untouched crops are the references."
)
CONSENT = """\
## Before you begin

You will see pairs of pictures and say which one looks better. Your answers, how long each took and a random number
instead of your name are kept and used to rank picture enlarging methods.

- Taking part is voluntary, and you may stop at any time.
- You may ask the study's owner to leave your answers out of every ranking.
- Nothing shown is disturbing; all pictures are photographs of landscapes, objects, people and animals.
"""
INSTRUCTIONS = """\
## What to look at

Both pictures show the same photograph, enlarged in two different ways. Say which of the two **looks better** to you.

- Look at edges, fine texture and writing: are they clear, or blurred, jagged, ringed with halos?
- If you see no difference, answer **tie**. If neither is acceptable, answer **both bad**.
- There is no right answer and no hurry; trust your eyes, and sit as you would to look at photographs.
"""


def new_password() -> str:
    """77 random bits in letters and digits, so that a double click takes all of it."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(13))


class Command(BaseCommand):
    help = (
        "Load the demo study: real photographs, five super-resolution methods. Run again, it goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--prompts", type=int, metavar="N", help="load the first N prompts only, for a quick look")

    def handle(self, *args: Any, **options: Any) -> None:
        self.wanted = prompts()[: options["prompts"]]
        try:
            people = self.people()
            study = self.study(people)
            self.prompts(study, people["researcher"])
            for name, method in METHODS.items():
                self.contestant(study, people["researcher"], name, method)
            if study.state == StudyState.DRAFT:
                services.publish_study(study=study, actor=people["researcher"])
        except (Refusal, PhotographUnavailable) as reason:
            raise CommandError(str(reason)) from reason
        self.stdout.write(f"The demo study “{NAME}” is ready.")

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

    @transaction.atomic
    def study(self, people: dict[str, User]) -> Study:
        found = Study.objects.filter(slug=SLUG).first()
        if found is not None:
            return found
        owner = people["researcher"]
        study = services.create_study(
            slug=SLUG,
            name=NAME,
            actor=owner,
            description=DESCRIPTION,
            consent=CONSENT,
            instructions=INSTRUCTIONS,
            criteria=[("quality", "Quality", "Which picture looks better?")],
            works_without_javascript=True,
            is_demo=True,
        )
        for name in ("rater1", "rater2"):
            services.add_member(study=study, user=people[name], role=Role.RATER, actor=owner)
        return study

    def prompts(self, study: Study, actor: User) -> None:
        known = set(study.prompts.values_list("key", flat=True))
        missing = [prompt for prompt in self.wanted if prompt.key not in known]
        with tempfile.TemporaryDirectory() as folder:
            for number, prompt in enumerate(missing, len(known) + 1):
                path = Path(folder) / f"{prompt.key}.png"
                reference(prompt).save(path)
                media = services.store_media(study=study, path=path)
                services.add_prompt(
                    study=study, key=prompt.key, text=prompt.caption, tags=prompt.tags, reference=media, actor=actor
                )
                self.progress("photographs", number, len(self.wanted))

    def contestant(self, study: Study, actor: User, name: str, method: Method) -> None:
        if Submission.objects.filter(
            checkpoint__study=study, checkpoint__name=name, completed_at__isnull=False
        ).exists():
            return
        outputs, seconds = {}, []
        for prompt in self.wanted:
            image, took = generate(method, prompt)
            out = io.BytesIO()
            image.save(out, "PNG", compress_level=3)
            outputs[prompt.key] = out.getvalue()
            seconds.append(took)
        files = [
            ManifestFile(f"{key}.png", sha256(content).hexdigest(), len(content), key)
            for key, content in outputs.items()
        ]
        submission = services.receive_manifest(
            study=study,
            actor=actor,
            checkpoint=CheckpointFacts(name=name, notes=method.description, **facts(seconds)),
            files=files,
        )
        missing = set(submission.entries.outstanding().values_list("sha256", flat=True))
        wanted = [(file.sha256, outputs[file.prompt]) for file in files if file.sha256 in missing]
        done = count(len(files) - len(wanted) + 1)

        def send(share: list[tuple[str, bytes]]) -> None:
            for digest, content in share:
                services.receive_file(submission=submission, sha256=digest, stream=io.BytesIO(content))
                self.progress(method.title, next(done), len(files))
            connection.close()  # each thread has one of its own

        # Each file is decoded in a process of its own; two at a time keep a small machine busy.
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
