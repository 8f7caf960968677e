"""A small study with its cast, and pictures to submit to it."""

import hashlib
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from PIL import Image

from evalhub.studies import services
from evalhub.studies.models import Role, Study, Submission, User
from evalhub.studies.services import CheckpointFacts, ManifestFile

PROMPTS = ["cat", "dog", "tree"]


def picture(seed: int, size: tuple[int, int] = (24, 16), form: str = "PNG") -> bytes:
    """An encoded picture of noise; the same seed, the same bytes."""
    width, height = size
    pixels = random.Random(seed).randbytes(width * height * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(out, form)
    return out.getvalue()


def promised(path: str, content: bytes, prompt: str | None = None, seed: int = 0) -> ManifestFile:
    """The manifest's line for a file; its prompt is its name unless said otherwise."""
    key = path.rpartition("/")[2].partition(".")[0] if prompt is None else prompt
    return ManifestFile(path, hashlib.sha256(content).hexdigest(), len(content), key, seed)


@dataclass
class Scene:
    """Ada owns the study, Ben submits, Vera reads, Ria rates, Cy is a stranger. Three prompts, no references."""

    study: Study
    ada: User
    ben: User
    vera: User
    ria: User
    cy: User

    def outputs(self, seed: int = 0) -> dict[str, bytes]:
        """One picture per prompt, by path."""
        return {f"{key}.png": picture(seed * 100 + number) for number, key in enumerate(PROMPTS)}

    def post(self, files: Mapping[str, bytes], name: str = "plain", user: User | None = None) -> Submission:
        return services.receive_manifest(
            study=self.study,
            actor=user or self.ben,
            checkpoint=CheckpointFacts(name=name),
            files=[promised(path, content) for path, content in files.items()],
        )

    def put(self, submission: Submission, content: bytes, promised_as: bytes | None = None) -> list[tuple[str, str]]:
        """Send a file (under another one's hash, if told to); the state and problem of each entry it answers."""
        sha256 = hashlib.sha256(content if promised_as is None else promised_as).hexdigest()
        entries = services.receive_file(submission=submission, sha256=sha256, stream=io.BytesIO(content))
        return [(entry.state, entry.problem) for entry in entries]

    def submit(self, files: Mapping[str, bytes], name: str = "plain") -> Submission:
        """Manifest and every file."""
        submission = self.post(files, name)
        for content in files.values():
            self.put(submission, content)
        submission.refresh_from_db()
        return submission


def make_scene(slug: str = "faces") -> Scene:
    people = {
        name: User.objects.create_user(f"{name}-{slug}", password="correct-horse")
        for name in Scene.__annotations__
        if name != "study"
    }
    study = services.create_study(slug=slug, name="Faces", actor=people["ada"])
    for name, role in (("ben", Role.RESEARCHER), ("vera", Role.VIEWER), ("ria", Role.RATER)):
        services.add_member(study=study, user=people[name], role=role, actor=people["ada"])
    for key in PROMPTS:
        services.add_prompt(study=study, key=key, text=f"A {key}", actor=people["ada"])
    return Scene(study=study, **people)


@pytest.fixture
def scene(db: None) -> Scene:
    return make_scene()
