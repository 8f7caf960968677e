"""Files of votes and the worker: looked at, added whole or not at all, once, whoever clicks, cancels or dies."""

import io
import os
import subprocess
import sys
import time
from datetime import timedelta
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from evalhub.problems import Conflict, Refusal, TooLarge
from evalhub.studies.models import LogEntry, User
from raters import locks, tasks
from raters.models import Comparison, Enrolment, Rater, Vote, VoteFile, VoteFileState, VoteImport
from raters.services import vote_uploads
from raters.services.cut_off import safe_cut_off
from raters.services.import_progress import Progress, progress_of
from raters.services.importing import FINDING, READING, look_at_votes, take_back
from raters.services.staging import PAIRS, VOTES
from raters.services.vote_uploads import (
    add_vote_file,
    cancel_vote_file,
    forget_vote_files,
    receive_vote_file,
    vote_files_to_resume,
    work_on_vote_file,
)
from tests.raters.conftest import Desk, at_once
from tests.systems import SOURCE

CSV = "left,right,outcome,rater,prompt\nAlpha,Beta,left,a,prompt-0\nBeta,Gamma,tie,a,prompt-1\n"
WRONG = CSV + "Alpha,Delta,left,a,prompt-0\n"


def receive(desk: Desk, text: str = CSV, name: str = "Pilot", **options: Any) -> VoteFile:
    given: dict[str, Any] = {"actor": None, **options}
    return receive_vote_file(study=desk.study, file=io.BytesIO(text.encode()), name=name, **given)


def work(vote_file: VoteFile) -> VoteFile:
    work_on_vote_file(vote_file=vote_file)
    vote_file.refresh_from_db()
    return vote_file


def nothing_came() -> bool:
    """Whether not a row of any table came of a file."""
    tables = (
        Vote,
        Comparison,
        VoteImport,
        Enrolment.objects.exclude(vote_import=None),
        Rater.objects.filter(user=None),
    )
    return not any((each if hasattr(each, "exists") else each.objects).exists() for each in tables)


class TestOnItsWay:
    def test_a_file_is_looked_at_and_then_added_once(self, desk: Desk) -> None:
        owner = User.objects.create_user("olga")
        received = receive(desk, WRONG, only_look=True, actor=owner)
        assert (received.state, received.size) == (VoteFileState.LOOKING, len(WRONG))
        assert default_storage.exists(received.path)
        looked = work(received)
        assert (looked.state, looked.report["votes"], looked.report["left_out"]) == (VoteFileState.READY, 2, 1)
        assert looked.report["refused"][0]["named"][0].startswith("Line 4: The study has no checkpoint “Delta”")
        assert nothing_came()
        asked = add_vote_file(vote_file=looked, actor=owner, leave_out=True)
        assert add_vote_file(vote_file=looked, actor=owner, leave_out=True) == asked  # a second click
        added = work(asked)
        assert (added.state, added.report["votes"], Vote.objects.count()) == (VoteFileState.ADDED, 2, 2)
        assert added.ended_at is not None
        work(added)  # a ring too many
        assert Vote.objects.count() == 2
        assert LogEntry.objects.get(study=desk.study, verb="imported votes").actor == owner
        with pytest.raises(Conflict, match="take its votes back instead"):
            cancel_vote_file(vote_file=added)
        with pytest.raises(Conflict, match="not open any more"):
            add_vote_file(vote_file=added, actor=owner)

    def test_one_with_lines_without_a_place_is_refused_whole(self, desk: Desk) -> None:
        refused = work(receive(desk, WRONG))
        assert refused.state == VoteFileState.REFUSED
        assert refused.error.startswith("Nothing was imported: 1 of 3 lines cannot be placed.")
        assert refused.report["refused"][0]["lines"] == 1
        assert nothing_came()

    @pytest.mark.parametrize(
        ("text", "options", "said"),
        [
            ("nothing", {}, "must name the columns"),
            (CSV, {"name": ""}, "1 to 30 characters"),
            (CSV, {"criterion": "taste"}, "has no question “taste”"),
        ],
    )
    def test_what_can_be_seen_at_once_is_refused_at_once(
        self, desk: Desk, text: str, options: dict[str, str], said: str
    ) -> None:
        with pytest.raises(Refusal, match=said):
            receive(desk, text, **options)
        assert not VoteFile.objects.exists()

    def test_limits(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vote_uploads, "MOST_OPEN", 1)
        kept = receive(desk, only_look=True)
        with pytest.raises(Conflict, match="1 files of this study are not added yet"):
            receive(desk, WRONG)
        cancel_vote_file(vote_file=kept)
        receive(desk, WRONG)
        monkeypatch.setattr(vote_uploads, "MOST_BYTES", 10)
        with pytest.raises(TooLarge, match="at most 10 are taken"):
            receive(desk)

    def test_no_file_comes_to_an_import_that_was_taken_back(self, desk: Desk) -> None:
        work(receive(desk))
        take_back(vote_import=VoteImport.objects.get(), reason="Wrong.", actor=None)
        with pytest.raises(Conflict, match="put it back first"):
            receive(desk, WRONG)

    def test_the_very_file_under_another_name_is_refused_at_once(self, desk: Desk) -> None:
        work(receive(desk))
        with pytest.raises(Conflict, match="was imported as “Pilot” already"):
            receive(desk, name="Other")
        with pytest.raises(Conflict, match="was imported as “Pilot” already"):
            look_at_votes(study=desk.study, file=io.BytesIO(CSV.encode()), name="Other")

    def test_its_bytes_go_when_it_ends(self, desk: Desk, django_capture_on_commit_callbacks: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            done = work(receive(desk))
        assert not default_storage.exists(done.path)
        left = receive(desk, WRONG, only_look=True)
        cancel_vote_file(vote_file=left)  # whoever did so died before the file was deleted
        assert default_storage.exists(left.path)
        lying = work(receive(desk, f"{CSV}Gamma,Alpha,tie,b,prompt-0\n", name="Other", only_look=True))
        VoteFile.objects.filter(pk=lying.pk).update(asked_at=timezone.now() - timedelta(days=2))
        assert forget_vote_files() >= 2
        assert not default_storage.exists(left.path)
        assert not default_storage.exists(lying.path)
        lying.refresh_from_db()
        assert (lying.state, lying.is_kept) == (VoteFileState.CANCELLED, False)
        assert "not added for a day" in lying.error

    def test_a_file_that_is_gone_says_so(self, desk: Desk) -> None:
        received = receive(desk)
        default_storage.delete(received.path)
        assert work(received).error.startswith("The file is not in the site's storage any more")


class TestProgress:
    def test_it_is_told_as_it_goes_and_forgotten(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = [f"Alpha,Beta,left,r{number},prompt-{number % 4}" for number in range(40)]
        received = receive(desk, "\n".join([CSV.strip(), *lines, ""]))
        heard = []
        tell = Progress.tell

        def told(self: Progress, stage: str, done: int, total: int) -> None:
            tell(self, stage, done, total)
            far = progress_of(received)
            assert far is not None
            heard.append((far.stage, far.done, far.total, round(far.share, 2)))
            assert far.left.startswith("about ")

        monkeypatch.setattr(Progress, "tell", told)
        assert work(received).state == VoteFileState.ADDED
        assert [stage for stage, *_ in heard] == [READING, FINDING, PAIRS, VOTES]
        assert heard[0][1:3] == (42, 42)
        shares = [share for *_, share in heard]
        assert shares == sorted(shares)
        assert shares[-1] == 0.99
        assert progress_of(received) is None

    def test_a_redis_that_is_away_holds_nothing_up(self, desk: Desk) -> None:
        received = receive(desk)
        with (
            patch.object(cache, "set", side_effect=ConnectionError),
            patch.object(cache, "delete", side_effect=ConnectionError),
        ):
            assert work(received).state == VoteFileState.ADDED


class TestCancelling:
    @pytest.mark.parametrize("stage", [READING, FINDING, PAIRS, VOTES])
    def test_nothing_is_left_whenever_it_comes(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
        received = receive(desk)

        def told(self: Progress, now: str, done: int, total: int) -> None:
            if now == stage:
                cancel_vote_file(vote_file=VoteFile.objects.get(pk=received.pk))

        monkeypatch.setattr(Progress, "tell", told)
        work_on_vote_file(vote_file=received)
        assert nothing_came()

    @pytest.mark.django_db(transaction=True)
    def test_it_is_heard_from_another_connection(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        received = receive(desk)

        def told(self: Progress, now: str, done: int, total: int) -> None:
            if now == VOTES:
                at_once(lambda: cancel_vote_file(vote_file=VoteFile.objects.get(pk=received.pk)))

        monkeypatch.setattr(Progress, "tell", told)
        assert work(received).state == VoteFileState.CANCELLED
        assert nothing_came()
        assert not default_storage.exists(received.path)


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])


DIES = """
import sys, time
import django
django.setup()
from raters.models import VoteFile
from raters.services import import_progress, vote_uploads

def tell(self, stage, done, total):
    if stage == "Adding the votes":
        print("begun", flush=True)
        time.sleep(600)

import_progress.Progress.tell = tell
vote_uploads.work_on_vote_file(vote_file=VoteFile.objects.select_related("study").get(pk=sys.argv[1]))
"""


@pytest.mark.django_db(transaction=True)
class TestTogether:
    def test_two_tabs_and_two_workers_add_it_once(self, desk: Desk) -> None:
        files = at_once(lambda: receive(desk), lambda: receive(desk), lambda: receive(desk))
        (only,) = VoteFile.objects.all()
        assert {one.pk for one in files if isinstance(one, VoteFile)} == {only.pk}
        assert default_storage.listdir(f"studies/{desk.study.pk}/imports")[1] == [f"{only.pk}.csv"]
        at_once(lambda: work_on_vote_file(vote_file=VoteFile.objects.get()), lambda: tasks.import_votes(str(only.pk)))
        assert Vote.objects.count() == 2
        only.refresh_from_db()
        assert (only.state, only.attempts) == (VoteFileState.ADDED, 1)

    def test_a_worker_killed_in_the_middle_leaves_nothing_and_the_file_is_taken_up_again(
        self, desk: Desk, rung: list[tuple[object, ...]]
    ) -> None:
        received = receive(desk)
        VoteFile.objects.update(asked_at=timezone.now() - timedelta(minutes=1))
        url = os.environ["DATABASE_URL"].replace("/evalhub?", f"/{connection.settings_dict['NAME']}?")
        command, environment = [sys.executable, "-c", DIES, str(received.pk)], {**os.environ, "PYTHONPATH": str(SOURCE)}
        with subprocess.Popen(
            command, env=environment | {"DATABASE_URL": url}, stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "begun\n"
            assert vote_files_to_resume() == []  # it is being done
            work_on_vote_file(vote_file=received)  # and nobody does it twice
            worker.kill()
        for _ in range(200):  # PostgreSQL notices in its own time
            if vote_files_to_resume():
                break
            time.sleep(0.05)
        assert nothing_came()
        tasks.sweep()
        assert ("raters.import_votes", str(received.pk)) in rung
        tasks.import_votes(str(received.pk))
        received.refresh_from_db()
        assert (received.state, received.attempts, Vote.objects.count()) == (VoteFileState.ADDED, 2, 2)

    def test_a_ranking_that_waits_for_it_holds_up_nobody_who_votes(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        received, rankings, voted = receive(desk), list[Thread](), list[bool]()

        def cut_off() -> None:
            safe_cut_off(desk.study)
            connection.close()

        def vote() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '5s'")
                locks.share_votes(desk.study)
                voted.append(True)

        def told(self: Progress, now: str, done: int, total: int) -> None:
            if now == VOTES:
                rankings.append(Thread(target=cut_off))
                rankings[0].start()
                while not waiting_for_a_lock():
                    time.sleep(0.01)
                at_once(vote)
                assert rankings[0].is_alive()

        monkeypatch.setattr(Progress, "tell", told)
        assert work(received).state == VoteFileState.ADDED
        rankings[0].join(10)
        assert not rankings[0].is_alive()
        assert voted == [True]

    def test_one_that_always_kills_its_worker_is_given_up(self, desk: Desk) -> None:
        received = receive(desk)
        VoteFile.objects.update(attempts=3)
        given_up = work(received)
        assert given_up.state == VoteFileState.REFUSED
        assert "was begun 3 times and never came to an end" in given_up.error
