"""Files of votes that wait for a worker: received, looked at, added or cancelled; taken up again when a worker died."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal, TooLarge
from evalhub.studies.models import Study, User
from raters import locks
from raters.models import VoteFile, VoteFileState
from raters.services.import_progress import Progress, forget_progress
from raters.services.importing import digest_of, import_votes, look_at_votes, require_new_file, require_place_for
from raters.services.vote_files import Lines

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**20
MOST_OPEN = 10  # of one study
MOST_ATTEMPTS = 3
UNTIL_SWEPT = timedelta(seconds=20)  # what waits longer may have lost its ring
UNTIL_FORGOTTEN = timedelta(days=1)  # a file that was looked at, and nothing after that
NO_REPORT: Mapping[str, Any] = {}
GONE = "The file is not in the site's storage any more; choose it again."
LEFT_LYING = "It was looked at and not added for a day; choose it again."


class Cancelled(Exception):
    """Somebody has cancelled what is being done."""


def receive_vote_file(
    *,
    study: Study,
    file: IO[bytes],
    name: str,
    actor: User | None,
    criterion: str = "",
    leave_out: bool = False,
    only_look: bool = False,
) -> VoteFile:
    """Keep a file of votes, and have a worker look at it or, unless `only_look`, add it. See `import_votes`.

    The same file under the same name, while it is open, is the one that is there; it is not added twice.

    Raises: TooLarge; Conflict as of `import_votes`, and while too many files are open; Refusal for a file whose first
        line cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size > MOST_BYTES:
        raise TooLarge(
            f"The file has {size:,} bytes, and at most {MOST_BYTES:,} are taken; split it into several, or have an "
            "operator import it with manage.py import_votes."
        )
    name = require_place_for(study=study, name=name)
    with Lines(study, file, criterion):
        file.seek(0)
    digest = digest_of(file)
    require_new_file(study=study, name=name, sha256=digest)
    state = VoteFileState.LOOKING if only_look else VoteFileState.ADDING
    made = VoteFile(study=study, name=name, criterion=criterion, leave_out=leave_out, sha256=digest, size=size)
    made.state, made.asked_by = state, actor
    known = VoteFile.objects.open().filter(study=study, name=name, criterion=criterion, sha256=digest)
    if found := known.first():
        return found if only_look else _added_soon(found, actor, leave_out)
    if VoteFile.objects.open().filter(study=study).count() >= MOST_OPEN:
        raise Conflict(f"{MOST_OPEN} files of this study are not added yet; add one of them first, or cancel it.")
    default_storage.save(made.path, File(file))
    try:
        with transaction.atomic():
            made.save(force_insert=True)
            enqueue("raters.import_votes", str(made.pk))
    except IntegrityError:  # the same file came twice at the same moment
        default_storage.delete(made.path)
        return known.get()
    return made


def add_vote_file(*, vote_file: VoteFile, actor: User | None, leave_out: bool = False) -> VoteFile:
    """Have a file that was looked at added; one that is being added already stays so.

    Args: leave_out: whether lines that cannot be placed are passed over; else one of them refuses the file.
    Raises: Conflict for one that has ended, or is being looked at.
    """
    vote_file.refresh_from_db()
    if vote_file.state == VoteFileState.LOOKING:
        raise Conflict(f"“{vote_file}” is still being looked at; add it once you know what it comes to.")
    if not vote_file.is_open:
        raise Conflict(f"“{vote_file}” is not open any more ({vote_file.get_state_display().lower()}); send it again.")
    return _added_soon(vote_file, actor, leave_out)


@transaction.atomic
def _added_soon(vote_file: VoteFile, actor: User | None, leave_out: bool) -> VoteFile:
    waiting = VoteFile.objects.filter(pk=vote_file.pk, state__in=[VoteFileState.LOOKING, VoteFileState.READY])
    asked = {"leave_out": leave_out, "asked_by": actor, "asked_at": timezone.now(), "attempts": 0, "begun_at": None}
    if waiting.update(state=VoteFileState.ADDING, **asked):
        enqueue("raters.import_votes", str(vote_file.pk))
    vote_file.refresh_from_db()
    return vote_file


@transaction.atomic
def cancel_vote_file(*, vote_file: VoteFile) -> VoteFile:
    """Have nothing of a file come in. Raises: Conflict when it has ended already."""
    if not _end(vote_file, VoteFileState.CANCELLED, VoteFile.objects.open()):
        vote_file.refresh_from_db()
        raise Conflict(
            f"“{vote_file}” has ended already ({vote_file.get_state_display().lower()})"
            + ("; take its votes back instead." if vote_file.state == VoteFileState.ADDED else ".")
        )
    return vote_file


def work_on_vote_file(*, vote_file: VoteFile) -> None:
    """Look at a file, or add it, as its state says. It may be called any number of times and by many at once: it is
    done once. A worker that dies leaves it as it was; the sweep rings again, and after some attempts it is refused."""
    with locks.only_one(vote_file.study, _work(vote_file)) as alone:
        while alone and _is_to_do(vote_file):  # once it is looked at, somebody may have had it added meanwhile
            _take_up(vote_file)


def _is_to_do(vote_file: VoteFile) -> bool:
    vote_file.refresh_from_db()
    if vote_file.is_in_work and vote_file.attempts >= MOST_ATTEMPTS:
        _refuse(vote_file, _never_ended(vote_file))
    return vote_file.is_in_work


def _take_up(vote_file: VoteFile) -> None:
    vote_file.attempts, vote_file.begun_at = vote_file.attempts + 1, timezone.now()
    vote_file.save(update_fields=["attempts", "begun_at"])
    try:
        with default_storage.open(vote_file.path) as file:
            if vote_file.state == VoteFileState.LOOKING:
                _look(vote_file, file)
            else:
                _add(vote_file, file)
    except Refusal as refusal:
        _refuse(vote_file, refusal.sentence, refusal.details.get("report", {}))
    except FileNotFoundError:
        _refuse(vote_file, GONE)
    except Cancelled:
        log.info("“%s” is no longer wanted as it was; nothing of it came in.", vote_file)
    finally:
        forget_progress(vote_file)


def vote_files_to_resume() -> list[VoteFile]:
    """Files that nobody is at: the ring was lost, or the worker died."""
    old = VoteFile.objects.in_work().filter(asked_at__lte=timezone.now() - UNTIL_SWEPT).select_related("study")
    left = []
    for vote_file in old:
        with locks.only_one(vote_file.study, _work(vote_file)) as alone:
            if alone:
                left.append(vote_file)
    return left


def _work(vote_file: VoteFile) -> str:
    """What only one connection may do at a time."""
    return f"vote file {vote_file.pk}"


def forget_vote_files() -> int:
    """Cancel what was looked at and left lying, and delete the bytes of files that have ended; how many."""
    lying = VoteFile.objects.filter(state=VoteFileState.READY, asked_at__lte=timezone.now() - UNTIL_FORGOTTEN)
    for vote_file in lying:
        _end(vote_file, VoteFileState.CANCELLED, VoteFile.objects.filter(state=VoteFileState.READY), error=LEFT_LYING)
    ended = list(VoteFile.objects.filter(is_kept=True, ended_at__isnull=False))
    for vote_file in ended:
        default_storage.delete(vote_file.path)
        VoteFile.objects.filter(pk=vote_file.pk).update(is_kept=False)
    return len(ended)


def _look(vote_file: VoteFile, file: IO[bytes]) -> None:
    report = look_at_votes(
        study=vote_file.study,
        file=file,
        name=vote_file.name,
        criterion=vote_file.criterion,
        tell=_teller(vote_file),
    )
    held = VoteFile.objects.filter(pk=vote_file.pk, state=VoteFileState.LOOKING)
    held.update(state=VoteFileState.READY, report=report.told)


def _add(vote_file: VoteFile, file: IO[bytes]) -> None:
    """The votes and that they are added become true together, or neither does."""
    with transaction.atomic():
        report = import_votes(
            study=vote_file.study,
            file=file,
            name=vote_file.name,
            actor=vote_file.asked_by,
            criterion=vote_file.criterion,
            leave_out=vote_file.leave_out,
            tell=_teller(vote_file),
        )
        adding = VoteFile.objects.filter(state=VoteFileState.ADDING)
        if not _end(vote_file, VoteFileState.ADDED, adding, report=report.told):
            raise Cancelled


def _teller(vote_file: VoteFile) -> Callable[[str, int, int], None]:
    """Tells how far it is, and ends the work once it was cancelled: what others have committed is seen from here."""
    progress = Progress(vote_file)
    wanted = VoteFile.objects.filter(pk=vote_file.pk, state=vote_file.state)

    def tell(stage: str, done: int, total: int) -> None:
        progress.tell(stage, done, total)
        if not wanted.exists():
            raise Cancelled

    return tell


def _refuse(vote_file: VoteFile, sentence: str, report: Mapping[str, Any] = NO_REPORT) -> None:
    held = VoteFile.objects.filter(state=vote_file.state)
    _end(vote_file, VoteFileState.REFUSED, held, error=sentence, report=dict(report))


def _end(vote_file: VoteFile, state: VoteFileState, among: Any, **facts: Any) -> bool:
    """Whether it could be ended, being among those that may; its bytes go once that is committed."""
    ended = among.filter(pk=vote_file.pk).update(state=state, ended_at=timezone.now(), **facts)
    if ended:
        vote_file.refresh_from_db()
        transaction.on_commit(lambda: _drop(vote_file), robust=True)
    return bool(ended)


def _drop(vote_file: VoteFile) -> None:
    default_storage.delete(vote_file.path)
    VoteFile.objects.filter(pk=vote_file.pk).update(is_kept=False)


def _never_ended(vote_file: VoteFile) -> str:
    return (
        f"The file was begun {vote_file.attempts} times and never came to an end, as if its worker had been killed or "
        "had run out of memory; nothing of it was added. Split it into several, or tell whoever runs this site."
    )
