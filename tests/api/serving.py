"""A study to be spoiled, its people, and a real server on the test database, for the tests of the API's contract."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

from django.conf import settings
from django.db import connection

from evalhub import programs
from evalhub.embedded import free_port
from evalhub.studies import services
from evalhub.studies.models import Sample, Submission, User, Webhook
from metrics.models import Run
from metrics.services import start_run
from raters.models import Enrolment, Gold, Recruitment, VoteFile, VoteFileState, VoteImport
from raters.services import enrol
from raters.services.golds import add_gold
from raters.services.recruiting import open_recruitment
from tests.submitting import Scene, make_scene
from tests.workers import wait_for

# From whom nothing is to be had to whom all is, so that what one of them spoils is spoilt for the fewest.
ROLES = ("stranger", "outsider", "rater", "viewer", "researcher", "owner")
RATES = [f"API_{name}_RATE" for name in ("STRANGER", "READ", "WRITE", "FILE", "EXPORT", "COMPUTING")]


@contextmanager
def served(**environment: str) -> Iterator[str]:
    """The address of the web server as production runs it, but that its rates are lifted and passwords hashed quickly.

    Nobody does what it enqueues."""
    database, port = settings.DATABASES["default"]["NAME"], free_port()
    home, address = settings.HOME / f"web-{port}", f"127.0.0.1:{port}"
    home.mkdir()
    own = {
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/evalhub?", f"/{database}?"),
        "REDIS_URL": os.environ["REDIS_URL"].removesuffix("/0") + "/7",
        "SITE_URL": f"http://{address}",
        "EVALHUB_HOME": str(settings.HOME),
        "DJANGO_SETTINGS_MODULE": "tests.api.quick_settings",
        **dict.fromkeys([*RATES, "LOGIN_RATE"], "1000000/min"),
    }
    child = programs.web({**os.environ, **own, **environment}, home, address)
    child.start()
    try:
        wait_for(lambda: _answers(f"http://{address}/healthz"), child)
        yield f"http://{address}"
    finally:
        child.stop()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@dataclass
class Ground:
    """A study with something in every room, and how to name it in addresses."""

    scene: Scene
    complete: Submission
    incomplete: Submission
    promised: str
    run: Run
    gold: Gold
    recruitment: Recruitment
    enrolment: Enrolment
    vote_import: VoteImport
    secrets: dict[str, str] = field(default_factory=dict)

    def user(self, role: str) -> User:
        names = {"owner": "ada", "researcher": "ben", "viewer": "vera", "rater": "ria", "outsider": "cy"}
        found: User = getattr(self.scene, names[role])
        return found

    def headers(self, role: str, *, fresh: bool = False) -> dict[str, str]:
        """What somebody in this role signs with; a fresh token where the last one may be spent."""
        if role == "stranger":
            return {}
        if fresh or role not in self.secrets:
            made = committed(services.create_token, user=self.user(role), name="contract")
            self.secrets[role] = made[1]
        return {"Authorization": f"Token {self.secrets[role]}"}

    def place(self, path: str, role: str) -> dict[str, Any]:
        """Names of what there is, for an operation's path; what an earlier request took away is there again."""
        return {name: find(self, path, role) for name, find in PLACES.items() if f"{{{name}}}" in path}


def committed(verb: Callable[..., Any], **given: Any) -> Any:
    """Do it outside the transaction that a test is in, so that the server sees it."""

    def alone() -> Any:
        try:
            return verb(**given)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(alone).result()


def _submission(ground: Ground, path: str, role: str) -> str:
    unfinished = any(word in path for word in ("/files/", "/missing/", "/complete/"))
    return str((ground.incomplete if unfinished else ground.complete).pk)


def _webhook(ground: Ground, path: str, role: str) -> str:
    address = "https://hooks.example.org/contract"
    made = {"events": ["run.done"], "created_by": ground.scene.ada}
    found = committed(Webhook.objects.get_or_create, study=ground.scene.study, address=address, defaults=made)
    return str(found[0].pk)


def _token(ground: Ground, path: str, role: str) -> str:
    user = ground.user("owner" if role == "stranger" else role)
    return str(committed(services.create_token, user=user, name="spare")[0].pk)


def _vote_file(ground: Ground) -> VoteFile:
    """One that was looked at, and waits."""
    made = {"name": "elsewhere", "sha256": uuid4().hex * 2, "size": 1}
    found: VoteFile = committed(
        VoteFile.objects.get_or_create, study=ground.scene.study, state=VoteFileState.READY, defaults=made
    )[0]
    return found


PLACES: dict[str, Callable[[Ground, str, str], Any]] = {
    "slug": lambda ground, path, role: ground.scene.study.slug,
    "submission_id": _submission,
    "sha256": lambda ground, path, role: ground.promised,
    "run_id": lambda ground, path, role: str(ground.run.pk),
    "webhook_id": _webhook,
    "token_id": _token,
    "gold_id": lambda ground, path, role: ground.gold.pk,
    "recruitment_id": lambda ground, path, role: str(ground.recruitment.pk),
    "import_id": lambda ground, path, role: str(ground.vote_import.pk),
    "file_id": lambda ground, path, role: str(_vote_file(ground).pk),
    "rater_id": lambda ground, path, role: str(ground.enrolment.rater_id),
}


def make_ground(slug: str = "spoiled") -> Ground:
    scene = make_scene(slug)
    plain, flow = (scene.submit(scene.outputs(number), name) for number, name in enumerate(("plain", "flow")))
    files = scene.outputs(2)
    incomplete = scene.post(files, name="late")
    promised = incomplete.entries.order_by("id").first()
    assert promised is not None
    better, worse = (Sample.objects.get(checkpoint=each.checkpoint, prompt__key="cat") for each in (flow, plain))
    enrolment = enrol(study=scene.study, user=scene.ria)
    return Ground(
        scene=scene,
        complete=plain,
        incomplete=incomplete,
        promised=promised.sha256,
        run=start_run(submission=plain, metrics=["clip_score"], actor=scene.ben),
        gold=add_gold(study=scene.study, better=better, worse=worse, use="control", actor=scene.ada),
        recruitment=open_recruitment(study=scene.study, platform="prolific", name="autumn", actor=scene.ada),
        enrolment=enrolment,
        vote_import=VoteImport.objects.create(study=scene.study, name="elsewhere", sha256="0" * 64),
    )
