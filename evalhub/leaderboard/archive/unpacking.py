"""Making a study out of an archive: every row under a number of this site, every file checked by its hash."""

import hashlib
import json
import secrets
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import Error, connection, models, transaction

from evalhub.leaderboard.archive.belongings import FORMAT, PACKED, Belonging, schema
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Media, Membership, Role, Study, User
from raters import services as raters

AT_ONCE = 2_000
BROKEN = "The archive is damaged: {what}. Pack the study again, and send all of it."
# Numbers of votes that are no foreign keys: everything up to them counts.
UP_TO_A_VOTE = {("raters.Fit", "cut_off"), ("raters.Margin", "after_vote")}

Keys = dict[str, dict[Any, Any]]


def unpack(*, path: Path, slug: str = "", actor: User | None = None) -> Study:
    """The archive's study as a new one of this site; all of it, or nothing.

    Contestants, raters, rankings and runs keep their ids where these are free; else they get new ones, also where JSON
    names them. Comparisons get new tokens. Accounts are found again by their names.

    Args:
        slug: its short name here; that of the archive by default.
        actor: who becomes its owner, if anybody.
    Raises: Refusal for an archive that is damaged or of another version; Conflict when the short name is taken.
    """
    try:
        with tarfile.open(path) as tar:
            about = _about(tar)
            slug = slug or about["slug"]
            if Study.objects.filter(slug=slug).exists():
                raise Conflict(f"There is a study called “{slug}” already; give this one another short name.")
            return _Unpacking(tar, slug).run(actor, about)
    except (tarfile.TarError, KeyError, json.JSONDecodeError, UnicodeDecodeError, ValidationError, ValueError) as error:
        raise Refusal(BROKEN.format(what=error)) from None
    except OSError as error:
        raise Refusal(f"The archive {path} cannot be read ({error.strerror}).") from None


def _about(tar: tarfile.TarFile) -> dict[str, Any]:
    about = dict(json.load(_member(tar, "study.json")))
    if about.get("format") != FORMAT or about.get("schema") != schema():
        raise Refusal(
            f"This archive was packed by another version of EvalHub: its tables are {about.get('schema')}, this site's "
            f"are {schema()}. Unpack it with the version that packed it, and bring that one up to date."
        )
    return about


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member


class _Unpacking:
    """One archive on its way in. `keys` knows, by model, what each id of the archive is called here."""

    def __init__(self, tar: tarfile.TarFile, slug: str) -> None:
        self.tar, self.slug = tar, slug
        self.keys: Keys = {}
        self.names: dict[str, str] = {}  # ids that are texts, which JSON may name
        self.people = dict(User.objects.values_list("username", "pk"))
        self.kept: list[str] = []

    def run(self, actor: User | None, about: dict[str, Any]) -> Study:
        try:
            with transaction.atomic():
                for belonging in PACKED:
                    self._name(belonging)
                for belonging in PACKED:
                    self._write(belonging)
                study = Study.objects.get(slug=self.slug)
                self._take_files(study)
                raters.recount(study=study)
                if actor is not None:
                    Membership.objects.create(study=study, user=actor, role=Role.OWNER)
                told = {"packed_as": about["slug"], "packed_at": about["packed_at"]}
                LogEntry.write(study=study, actor=actor, verb="unpacked study", subject=study, **told)
        except BaseException as error:
            for stored in self.kept:
                default_storage.delete(stored)
            if isinstance(error, Error):
                raise Refusal(BROKEN.format(what=str(error).splitlines()[0])) from None
            raise
        return study

    def _name(self, belonging: Belonging) -> None:
        """Give every row of a table its id here."""
        key = belonging.table._meta.pk
        old = [row[key.attname] for row in self._rows(belonging)]
        if key.is_relation:  # named by what it points to
            return
        if isinstance(key, models.UUIDField):
            # All or none, and in the same order: rankings read contestants and raters by their ids.
            new: list[Any] = [UUID(one) for one in old]
            if belonging.table._default_manager.filter(pk__in=new).exists():
                new = sorted(uuid4() for _ in old)
            self.names |= {one: str(here) for one, here in zip(old, new, strict=True) if one != str(here)}
        else:
            new = _next_ids(belonging.table, len(old))
        self.keys[belonging.model] = dict(zip(old, new, strict=True))

    def _write(self, belonging: Belonging) -> None:
        read = {field.attname: self._reader(belonging, field) for field in belonging.fields}
        batch: list[models.Model] = []
        for row in self._rows(belonging):
            values = {name: read[name](value) for name, value in row.items()}
            values |= {
                name: secrets.token_urlsafe(32) if value == "new" else value
                for name, value in belonging.dropped.items()
            }
            if belonging.model == "studies.Study":
                values["slug"] = self.slug
            batch.append(belonging.table(**values))
            if len(batch) == AT_ONCE:
                belonging.table._default_manager.bulk_create(batch)
                batch = []
        belonging.table._default_manager.bulk_create(batch)

    def _reader(self, belonging: Belonging, field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
        """How a value of the archive becomes one of this site."""
        if field.related_model is User:
            return lambda value: self.people.get(value)
        if field.is_relation or field.primary_key:
            model = belonging.table if field.related_model is None else field.related_model
            assert not isinstance(model, str)  # as which a field names what is not loaded yet
            keys = self.keys.get(f"{model._meta.app_label}.{model.__name__}")
            return lambda value: None if value is None or keys is None else keys[value]
        if (belonging.model, field.attname) in UP_TO_A_VOTE:
            return self._up_to
        if isinstance(field, models.JSONField):
            return self._renamed
        return field.to_python

    def _up_to(self, value: int) -> int:
        """The vote of this site up to which everything counts, as it did up to that number there."""
        votes = self.keys["raters.Vote"]
        old = list(votes)
        place = bisect_right(old, value)
        return votes[old[place - 1]] if place else 0

    def _renamed(self, value: Any) -> Any:
        """JSON with the ids of this site."""
        if isinstance(value, dict):
            return {self.names.get(key, key): self._renamed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._renamed(one) for one in value]
        return self.names.get(value, value) if isinstance(value, str) else value

    def _rows(self, belonging: Belonging) -> Iterator[dict[str, Any]]:
        lines = iter(_member(self.tar, f"rows/{belonging.model}.jsonl"))
        names = json.loads(next(lines))
        if names != [field.attname for field in belonging.fields]:
            raise ValueError(f"the columns of {belonging.model} are others")
        for line in lines:
            yield dict(zip(names, json.loads(line), strict=True))

    def _take_files(self, study: Study) -> None:
        for media in Media.objects.filter(study=study).order_by("pk").iterator(AT_ONCE):
            name = f"media/{media.sha256}"
            if _digest(_member(self.tar, name)) != media.sha256:
                raise ValueError(f"{name} is not what its name says")
            self._keep(name, media.path)
        for copy in study.copies.filter(problem="").select_related("media").order_by("pk"):
            self._keep(f"shown/{Path(copy.path).name}", copy.path)

    def _keep(self, name: str, stored: str) -> None:
        self.kept.append(stored)
        default_storage.save(stored, File(_member(self.tar, name), name))


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(2**20):
        digest.update(piece)
    return digest.hexdigest()


def _next_ids(model: type[models.Model], count: int) -> list[int]:
    """Ids in order, that nobody else gets."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
            [model._meta.db_table, model._meta.pk.column, count],
        )
        return sorted(number for (number,) in cursor.fetchall())
