"""A study goes into a file and comes out of it equal, row by row; and goes altogether when it is deleted."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from evalhub.leaderboard.archive import delete_study, pack, unpack
from evalhub.leaderboard.archive.belongings import APPS, LEFT_BEHIND, PACKED
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Media, Membership, Role, Study, User
from metrics.models import DuplicateSearch, NearDuplicate, Run, RunState, SampleScore, Score
from raters import services
from raters.models import (
    Fit,
    Gold,
    PairCount,
    PresentationCopy,
    Rater,
    RaterRules,
    Rating,
    Recruitment,
    Remark,
    Visit,
    Vote,
)
from raters.services.importing import import_votes
from tests.raters.ballots import load, noisy, people, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, make_desk, offer

pytestmark = pytest.mark.django_db(transaction=True)

# Of every site, and of no study.
OF_NO_STUDY = {"studies.User", "studies.IdempotencyKey", "metrics.Weights"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A study with a row in most of its tables."""
    desk = make_desk()
    owner = User.objects.create_user("owner")
    Membership.objects.create(study=desk.study, user=owner, role=Role.OWNER)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    load(desk)
    raters = people(desk, 2)
    votes = vote_on_all(desk, [*raters, *simulated_raters(desk, 2)], noisy(1))
    Remark.objects.create(comparison=votes[0].comparison, comment="Hände", side="left", x=0.1, y=0.2, width=0, height=0)
    desk.contestant("Delta")
    services.prepare_presentation(study=desk.study)
    services.skip(token=offer(desk, raters[0]).token, rater=raters[0].rater, reason="other", comment="late")
    services.set_exclusion(enrolment=raters[1], reason="Always left.", actor=owner)
    sample = desk.samples[(desk.checkpoints[0].pk, desk.prompts[0].pk)]
    other = desk.samples[(desk.checkpoints[1].pk, desk.prompts[0].pk)]
    Gold.objects.create(study=desk.study, better=sample, worse=other, use="control")
    RaterRules.objects.update_or_create(study=desk.study, defaults={"gold_every": 10, "pay_per_comparison": "0.1250"})
    recruitment = Recruitment.objects.create(study=desk.study, platform="prolific", name="p", token="t" * 43)
    Visit.objects.create(recruitment=recruitment, enrolment=raters[0], participant="somebody")
    lines = [f"Alpha,Beta,left,r{number},{desk.prompts[number].key}" for number in range(3)]
    file = io.BytesIO("\n".join(["left,right,outcome,rater,prompt", *lines]).encode())
    import_votes(study=desk.study, file=file, name="Pilot", actor=owner)
    services.refit(study=desk.study)
    run = Run.objects.create(
        submission=desk.checkpoints[0].submission,
        metrics=["lpips"],
        protocol={"dtype": "float32"},
        state=RunState.DONE,
        finished_at=timezone.now(),
    )
    score = Score.objects.create(run=run, metric="lpips", value=1 / 3, low=0.1, high=np.nextafter(0.5, 1), n=1)
    SampleScore.objects.create(score=score, sample=sample, value=1e-17)
    search = DuplicateSearch.objects.create(submission=run.submission, state="done", threshold=0.85, outputs=4)
    NearDuplicate.objects.create(search=search, sample=sample, reference=other.media, similarity=1 / 3)
    return desk


def rows_of(archive: Path) -> dict[str, list[list[Any]]]:
    """Every table of an archive: the names of its fields, and its rows."""
    with tarfile.open(archive) as tar:
        content = {
            belonging.model: (tar.extractfile(f"rows/{belonging.model}.jsonl") or _missing()).read().decode()
            for belonging in PACKED
        }
    return {model: [json.loads(line) for line in text.splitlines()] for model, text in content.items()}


def _missing() -> Any:
    raise AssertionError("a table is not in the archive")


def comparable(archive: Path) -> dict[str, list[str]]:
    """The same with every id as its place in its own table, so that two archives can be compared."""
    tables = rows_of(archive)
    places: dict[str, dict[Any, str]] = {}
    uuids: dict[str, str] = {}
    for belonging in PACKED:
        header, *rows = tables[belonging.model]
        key = header.index(belonging.table._meta.pk.attname)
        places[belonging.model] = {row[key]: f"#{place}" for place, row in enumerate(rows)}
        uuids |= {row[key]: f"{belonging.model}#{place}" for place, row in enumerate(rows) if isinstance(row[key], str)}
    found = {}
    for belonging in PACKED:
        header, *rows = tables[belonging.model]
        found[belonging.model] = [
            json.dumps([_named(belonging, name, value, places, uuids) for name, value in zip(header, row, strict=True)])
            for row in rows
        ]
    return found


def _named(belonging: Any, name: str, value: Any, places: Any, uuids: dict[str, str]) -> Any:
    field = next(field for field in belonging.fields if field.attname == name)
    model = field.related_model if field.is_relation else (belonging.table if field.primary_key else None)
    label = model and f"{model._meta.app_label}.{model.__name__}"
    if label in places:
        return value if value is None else places[label][value]
    if (belonging.model, name) in {("raters.Fit", "cut_off"), ("raters.Margin", "after_vote")}:
        return sum(vote <= value for vote in places["raters.Vote"])
    if (belonging.model, name) == ("studies.Study", "slug"):
        return "slug"
    text = json.dumps(value, sort_keys=True)
    for one, other in uuids.items():
        text = text.replace(one, other)
    return text


def test_every_table_is_packed_or_left_behind_on_purpose() -> None:
    ours = {
        f"{model._meta.app_label}.{model.__name__}" for app in APPS for model in apps.get_app_config(app).get_models()
    }
    known = [belonging.model for belonging in (*PACKED, *LEFT_BEHIND)]
    assert len(known) == len(set(known))
    assert ours == {*known} | OF_NO_STUDY


class TestRoundTrip:
    def test_a_copy_is_equal_row_by_row(self, desk: Desk, tmp_path: Path) -> None:
        counts = pack(study=desk.study, path=tmp_path / "one.tar")
        assert all(counts[model] for model in ("raters.VoteImport", "metrics.DuplicateSearch", "metrics.NearDuplicate"))
        assert all(counts[model] for model in ("raters.Vote", "raters.Remark", "raters.Skip", "raters.Gold"))
        assert all(counts[model] for model in ("raters.Rating", "raters.Standing", "metrics.SampleScore"))
        copy = unpack(path=tmp_path / "one.tar", slug="copy")
        LogEntry.objects.filter(study=copy, verb="unpacked study").delete()
        pack(study=copy, path=tmp_path / "two.tar")
        assert comparable(tmp_path / "one.tar") == comparable(tmp_path / "two.tar")
        assert copy.pk != desk.study.pk
        for one, other in zip(Media.objects.filter(study=desk.study), Media.objects.filter(study=copy), strict=True):
            assert default_storage.open(one.path).read() == default_storage.open(other.path).read()
        assert PresentationCopy.objects.filter(study=copy).count() == desk.study.copies.count()
        for shown in PresentationCopy.objects.filter(study=copy):
            assert default_storage.exists(shown.path)

    def test_its_rankings_can_be_made_again_and_its_raters_go_on(self, desk: Desk, tmp_path: Path) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        copy = unpack(path=tmp_path / "one.tar", slug="copy")
        fit = services.fit_of(study=copy, criterion=copy.criteria.get())
        assert fit is not None
        assert not services.reproduce(fit=fit).differences
        refitted = services.refit(study=copy)[0]
        before = [rating.rating for rating in fit.ratings.order_by("checkpoint__name")]
        assert [rating.rating for rating in refitted.ratings.order_by("checkpoint__name")] == before
        counted = PairCount.objects.filter(study=copy).totals().values_list("comparisons", flat=True)
        assert sum(counted) == sum(
            PairCount.objects.filter(study=desk.study).totals().values_list("comparisons", flat=True)
        )
        newcomer = Desk(copy, list(copy.prompts.all()), list(copy.checkpoints.all())).rater("newcomer")
        assert services.next_comparison(study=copy, rater=newcomer.rater) is not None

    def test_into_an_empty_place_it_comes_back_under_its_own_ids(self, desk: Desk, tmp_path: Path) -> None:
        kept = {model: set(model.objects.values_list("pk", flat=True)) for model in (Study, Fit)}
        rated = set(Rating.objects.values_list("checkpoint", "rating"))
        pack(study=desk.study, path=tmp_path / "one.tar")
        delete_study(study=desk.study, actor=None, slug="study")
        assert not Vote.objects.exists()
        back = unpack(path=tmp_path / "one.tar", actor=User.objects.get(username="owner"))
        assert back.pk == desk.study.pk
        assert {model: set(model.objects.values_list("pk", flat=True)) for model in kept} == kept
        assert set(Rating.objects.values_list("checkpoint", "rating")) == rated
        assert back.memberships.get().role == Role.OWNER

    def test_nobody_can_be_found_by_it(self, desk: Desk, tmp_path: Path) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        content = (tmp_path / "one.tar").read_bytes()
        for secret in (b"somebody", b"person0", Vote.objects.all()[0].comparison.left_token.encode()):
            assert secret not in content
        unpack(path=tmp_path / "one.tar", slug="copy")
        assert Rater.objects.filter(enrolments__study__slug="copy", user__isnull=False).count() == 0
        assert Visit.objects.count() == 1


class TestBadArchives:
    def test_a_taken_name_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        with pytest.raises(Conflict, match="called “study” already"):
            unpack(path=tmp_path / "one.tar")
        with pytest.raises(Refusal, match="There is a file at"):
            pack(study=desk.study, path=tmp_path / "one.tar")

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_half_an_archive_leaves_nothing(self, desk: Desk, tmp_path: Path, share: float) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        content = (tmp_path / "one.tar").read_bytes()
        (tmp_path / "half.tar").write_bytes(content[: int(share * len(content))])
        before = stored()
        with pytest.raises(Refusal, match="damaged"):
            unpack(path=tmp_path / "half.tar", slug="copy")
        assert not Study.objects.filter(slug="copy").exists()
        assert stored() == before

    def test_a_changed_picture_is_found_out(self, desk: Desk, tmp_path: Path) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        media = Media.objects.filter(study=desk.study).order_by("pk").last()
        assert media is not None
        original = default_storage.open(media.path).read()
        content = (tmp_path / "one.tar").read_bytes()
        place = content.index(original)
        (tmp_path / "one.tar").write_bytes(content[: place + 40] + b"?" + content[place + 41 :])
        with pytest.raises(Refusal, match="is not what its name says"):
            unpack(path=tmp_path / "one.tar", slug="copy")
        assert not Study.objects.filter(slug="copy").exists()

    def test_another_versions_is_refused(self, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pack(study=desk.study, path=tmp_path / "one.tar")
        monkeypatch.setattr("evalhub.leaderboard.archive.unpacking.schema", lambda: {"studies": "0099_later"})
        with pytest.raises(Refusal, match="another version"):
            unpack(path=tmp_path / "one.tar", slug="copy")

    def test_a_lost_file_stops_the_packing(self, desk: Desk, tmp_path: Path) -> None:
        media = Media.objects.filter(study=desk.study)[0]
        default_storage.delete(media.path)
        with pytest.raises(Refusal, match="is not in the storage"):
            pack(study=desk.study, path=tmp_path / "one.tar")
        assert not list(tmp_path.iterdir())


class TestDeleting:
    def test_nothing_of_it_is_left_and_nothing_of_others_goes(self, desk: Desk) -> None:
        other = make_desk(slug="other")
        other.contestant("One")
        other.contestant("Two")
        services.prepare_presentation(study=other.study)
        vote_on_all(load(other), people_again(other), noisy(3))
        votes = Vote.objects.filter(study=other.study).count()
        before = {place.split("/")[1] for place in stored()}
        delete_study(study=desk.study, actor=None, slug="study")
        for belonging in (*PACKED, *LEFT_BEHIND):
            left = belonging.table._default_manager.all()
            if belonging.model not in {"raters.Rater", "studies.LogEntry"}:
                assert left.count() == belonging.everything(other.study).count(), belonging.model
        assert Vote.objects.count() == votes
        assert str(desk.study.pk) in before
        assert {place.split("/")[1] for place in stored()} == before - {str(desk.study.pk)}
        assert Rater.objects.filter(user=None).count() == 0
        assert Rater.objects.filter(user__isnull=False).count() == 2 + 1  # the accounts stay
        assert LogEntry.objects.get(verb="deleted study").details == {"slug": "study"}

    def test_the_wrong_name_deletes_nothing(self, desk: Desk) -> None:
        with pytest.raises(Refusal, match="type its short name"):
            delete_study(study=desk.study, actor=None, slug="studi")
        assert Vote.objects.exists()

    def test_votes_go_no_other_way(self, desk: Desk) -> None:
        with pytest.raises(IntegrityError, match="only ever added"), transaction.atomic():
            Vote.objects.filter(study=desk.study)._raw_delete("default")
        with pytest.raises(IntegrityError, match="only ever added"), deleting(desk.study):
            Vote.objects.update(choice="tie")
        other = make_desk(slug="other")
        with pytest.raises(IntegrityError, match="only ever added"), deleting(other.study):
            Vote.objects.filter(study=desk.study)._raw_delete("default")


@contextmanager
def deleting(study: Study) -> Iterator[None]:
    """A transaction that says it deletes that study."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('evalhub.deleting_study', %s, true)", [str(study.pk)])
        yield


def stored(folder: str = "studies") -> set[str]:
    """Every file of every study."""
    folders, files = default_storage.listdir(folder)
    return {f"{folder}/{name}" for name in files}.union(*(stored(f"{folder}/{name}") for name in folders))


def people_again(desk: Desk) -> list[Any]:
    return [desk.rater("another")]


def test_the_commands_do_it_all(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "study.tar"
    call_command("export_study", "study", str(archive))
    call_command("delete_study", "study", confirm="study")
    call_command("import_study", str(archive), owner="owner")
    said = capsys.readouterr().out
    assert "is deleted" in said
    assert "is here as “study”" in said
    for command in (
        ["export_study", "none", str(archive)],
        ["export_study", "study", str(archive)],
        ["import_study", str(tmp_path / "none.tar")],
        ["import_study", str(archive), "--owner", "nobody"],
        ["delete_study", "study", "--confirm", "other"],
        ["delete_study", "none", "--confirm", "none"],
    ):
        with pytest.raises(CommandError):
            call_command(*command)
