"""A folder of real pictures becomes the reference of a study's runs: each file checked, resumable, never changed."""

import hashlib
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Media, Study
from metrics import services
from metrics.models import Reference
from metrics.services.choosing import material_of
from metrics.services.importing import import_references
from tests.metrics.material import grey, make_study, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in two folders, one of them twice, beside a text."""
    root = tmp_path / "real"
    (root / "b").mkdir(parents=True)
    for level, name in enumerate(["b/2.png", "a.png", "c.png"]):
        (root / name).write_bytes(grey(50 + level).content)
    (root / "again.png").write_bytes(grey(51).content)
    (root / "LICENCE.txt").write_text("CC0")
    return root


@pytest.fixture
def study() -> Study:
    return make_study([grey(1), grey(2), None])


def test_a_folder_becomes_the_reference_of_the_runs_that_follow(study: Study, folder: Path) -> None:
    submission = submit(study, [grey(100), grey(101), grey(102)])
    assert material_of(submission).references == 2
    told: list[tuple[int, int]] = []
    done = import_references(
        study=study, folder=folder, name="Real", licence="CC0", on_progress=lambda *now: told.append(now)
    )
    assert (done.is_new, done.images, done.twice, done.bad) == (True, 3, 1, [])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    reference = services.default_reference(study=study)
    assert reference is not None
    assert reference == done.reference
    assert reference.licence == "CC0"
    # In the order of their paths: a.png, which again.png repeats, b/2.png, c.png.
    found = [image.media.sha256 for image in reference.images.select_related("media")]
    assert found == [hashlib.sha256(grey(level).content).hexdigest() for level in (51, 50, 52)]
    assert material_of(submission).references == 3
    assert LogEntry.objects.filter(study=study, verb="imported references").count() == 1


def test_a_bad_file_keeps_the_reference_from_being_made_and_nothing_is_done_twice(
    study: Study, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.png").write_bytes(grey(9).content[:-30])
    (folder / "page.html").write_text("<p>no picture</p>")
    with pytest.raises(Refusal, match=r"^2 of 6 files do not do") as refusal:
        import_references(study=study, folder=folder, name="Real")
    assert [line.partition(":")[0] for line in refusal.value.details["bad"]] == ["broken.png", "page.html"]
    assert not Reference.objects.exists()
    kept = Media.objects.filter(study=study).count()
    # Going on decodes nothing that is here already.
    monkeypatch.setattr("evalhub.studies.services.media.keep", None)
    done = import_references(study=study, folder=folder, name="Real", leave_out=True)
    assert (done.images, len(done.bad), Media.objects.filter(study=study).count()) == (3, 2, kept)
    again = import_references(study=study, folder=folder, name="Real", leave_out=True)
    assert (again.reference, again.is_new) == (done.reference, False)
    (folder / "c.png").unlink()
    with pytest.raises(Conflict, match="has other images"):
        import_references(study=study, folder=folder, name="Real", leave_out=True)


def test_what_is_no_folder_of_pictures_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="There is no folder"):
        import_references(study=study, folder=tmp_path / "none", name="Real")
    with pytest.raises(Refusal, match="holds no pictures"):
        import_references(study=study, folder=tmp_path, name="Real")
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(Refusal, match="at least 2 different pictures"):
        import_references(study=study, folder=tmp_path, name="Real")
    with pytest.raises(Refusal, match="1 to 120 characters"):
        import_references(study=study, folder=tmp_path, name=" ")


def test_the_command_shows_how_far_it_is(study: Study, folder: Path) -> None:
    out, problems = io.StringIO(), io.StringIO()
    (folder / "page.html").write_text("<p>no picture</p>")
    with pytest.raises(CommandError, match="1 of 5 files do not do"):
        call_command("import_references", study.slug, folder, "--name", "Real", stdout=out, stderr=problems)
    assert problems.getvalue().startswith("page.html: ")
    call_command("import_references", study.slug, folder, "--name", "Real", "--leave-out", stdout=out, stderr=problems)
    assert "5 of 5 files, " in out.getvalue()
    assert f"The reference “Real” of {study.slug} is made of 3 pictures; 1 files had the bytes" in out.getvalue()
    with pytest.raises(CommandError, match="no study called"):
        call_command("import_references", "nowhere", folder, "--name", "Real")
