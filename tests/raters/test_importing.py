"""Votes from elsewhere: each finds its samples or is refused by line, none counts twice, all can be taken back."""

import csv
import io
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, LogEntry, Sample, StudyState, User
from raters import exports, services
from raters.exports import Selection
from raters.models import Comparison, Enrolment, PairCount, Rater, Remark, Vote, VoteImport
from raters.services.closing import answers_counted
from raters.services.importing import Report, import_votes, look_at_votes, put_back, take_back
from raters.services.rules import accounts
from tests.raters.ballots import load, noisy, people, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, make_desk

HEAD = "left,right,outcome,rater,prompt"
# What an export says of rows, of people and of draws, which is otherwise in another study.
NEW_THERE = {"vote", "comparison", "revision", "rater", "group", "drawn_because"}
SAID_BY = f"{HEAD},criterion,reasons,comment,region_side,region_x,region_y,region_width,region_height,region_seconds,"
SAID_BY += "away_milliseconds,milliseconds,shown_at,answered_at,propensity,simulated,control,expected"
WHEN = "2026-05-31T12:00:00.123456+00:00,2026-05-31T12:00:05.000001+00:00"
SAYING = '"\'=A ""hand"",\nwith six"'  # as a sheet has it, where it must not run
SAID = (
    f"Alpha,Beta,left,a,prompt-0,quality,wrong text hands,{SAYING},left,0.5,0.25,0.1,0.2,1.5,300,540,{WHEN},0.125,,,",
    f"Alpha,Beta,tie,a,prompt-0,text,,{SAYING},left,0.5,0.25,0.1,0.2,1.5,300,540,{WHEN},0.125,,,",
    f"Beta,Gamma,right,a,prompt-1,quality,,,right,1,0.3333,0,0,,0,,{WHEN},1,,,",
    f"Beta,Gamma,both_bad,b,prompt-1,text,,<b>Both</b>,,,,,,,0,1,{WHEN},0.5,true,,",
    f"Gamma,Alpha,left,b,prompt-2,quality,hands,,,,,,,,7,0,{WHEN},0.3333333333333333,true,gold,right",
    f"Gamma,Alpha,left,b,prompt-3,quality,,  ,,,,,,,0,0,{WHEN},1e-09,true,,",
)


def table(*lines: str, head: str = HEAD) -> io.BytesIO:
    return io.BytesIO("\n".join((head, *lines, "")).encode())


def said_by(file: io.BytesIO) -> list[dict[str, str]]:
    """What an export says of its votes, but for what is new in another study."""
    rows = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    return [{name: value for name, value in row.items() if name not in NEW_THERE} for row in rows]


def bring(desk: Desk, file: io.BytesIO, name: str = "Pilot", **options: Any) -> Report:
    return import_votes(study=desk.study, file=file, name=name, actor=None, **options)


class TestPlaces:
    def test_a_plain_file_becomes_votes_of_pseudonymous_raters(self, desk: Desk) -> None:
        report = bring(
            desk,
            table(
                "Alpha,Beta,left,ann@example.org,prompt-0",
                "Beta,Gamma,tie,ann@example.org,prompt-1",
                "Gamma,Alpha,both_bad,bob,prompt-0",
            ),
        )
        assert (report.lines, report.votes, report.raters, report.known, report.left_out) == (3, 3, 2, 0, 0)
        votes = Vote.objects.order_by("id").select_related("comparison", "left_checkpoint", "prompt")
        assert [(str(v.left_checkpoint), str(v.right_checkpoint), v.choice, v.prompt.key) for v in votes] == [
            ("Alpha", "Beta", "left", "prompt-0"),
            ("Beta", "Gamma", "tie", "prompt-1"),
            ("Gamma", "Alpha", "both_bad", "prompt-0"),
        ]
        for vote in votes:
            pair = vote.comparison
            assert (pair.reason, pair.left_copy_id, pair.control) == ("imported", None, "")
            assert pair.left.checkpoint_id == vote.left_checkpoint_id
            assert pair.left.prompt_id == pair.right.prompt_id == vote.prompt_id
        enrolments = Enrolment.objects.filter(study=desk.study)
        assert {one.group for one in enrolments} == {"imported: Pilot"}
        assert sorted(one.answers for one in enrolments) == [1, 2]
        assert all(one.rater.user_id is None and "ann" not in str(one.rater.pk) for one in enrolments)
        assert LogEntry.objects.filter(study=desk.study, verb="imported votes").count() == 1

    def test_every_line_without_a_place_is_named_with_why(self, desk: Desk) -> None:
        Sample.objects.filter(checkpoint=desk.checkpoints[2], prompt=desk.prompts[3]).delete()
        twin = Sample.objects.get(checkpoint=desk.checkpoints[0], prompt=desk.prompts[2])
        Sample.objects.create(checkpoint=twin.checkpoint, prompt=twin.prompt, media=twin.media, seed=7)
        file = table(
            "Alpha,Delta,left,a,prompt-0,",
            "Alpha,Alpha,left,a,prompt-0,",
            "Alpha,Beta,better,a,prompt-0,",
            "Alpha,Beta,left,a,prompt-9,",
            "Gamma,Beta,left,a,prompt-3,",
            "Alpha,Beta,left,a,prompt-2,",
            f"Alpha,Beta,left,a,prompt-0,{'0' * 64}",
            "Alpha,Beta,left",
            "Alpha,Beta,left,a,prompt-1,",
            "Beta,Alpha,left,a,prompt-1,",
            "Beta,Alpha,right,a,prompt-1,",
            head=f"{HEAD},left_sha256",
        )
        report = look_at_votes(study=desk.study, file=file, name="Pilot")
        said = {one.kind: one.sentences[0] for one in report.refused}
        assert {one.kind: one.lines for one in report.refused} == dict.fromkeys(said, 1)
        assert said == {
            "checkpoint": "Line 2: The study has no checkpoint “Delta”; it has Alpha, Beta, Gamma.",
            "same side": "Line 3: Both sides are Alpha; a vote is about two checkpoints.",
            "answer": "Line 4: “quality” is answered by one of left, tie, both_bad, right; got “better”.",
            "prompt": "Line 5: The study has no prompt “prompt-9”; a prompt is named by its key.",
            "output": "Line 6: Gamma has no output for “prompt-3”; it is not complete without one.",
            "seed": "Line 7: Alpha has several outputs for “prompt-2”; add the columns left_seed and right_seed.",
            "file": "Line 8: The output of Alpha for “prompt-0” is another file than the one that was judged.",
            "unreadable": "Line 9: The line has 3 fields and the first line 6.",
            "twice": "Line 11: The same rater has answered Beta against Alpha on “prompt-1” otherwise already; "
            "the first answer stays.",
        }
        assert (report.lines, report.votes, report.known, report.left_out) == (11, 1, 1, 9)
        assert not Vote.objects.exists()
        assert not Rater.objects.filter(user=None).exists()
        file.seek(0)
        with pytest.raises(Refusal, match=r"^Nothing was imported: 9 of 11 lines cannot be placed.*Line ") as refusal:
            bring(desk, file)
        assert sum(one["lines"] for one in refusal.value.details["report"]["refused"]) == 9
        assert not VoteImport.objects.exists()
        file.seek(0)
        assert bring(desk, file, leave_out=True).votes == Vote.objects.count() == 1

    def test_seeds_steps_and_ids_say_which_output_is_meant(self, desk: Desk) -> None:
        alpha, beta = desk.checkpoints[:2]
        type(alpha).objects.filter(pk=alpha.pk).update(step=1000)
        twin = Sample.objects.get(checkpoint=beta, prompt=desk.prompts[0])
        other = Sample.objects.create(checkpoint=beta, prompt=twin.prompt, media=twin.media, seed=7)
        bring(
            desk,
            table(
                '"Alpha @ 1,000",Beta,left,a,prompt-0,,7',
                "Alpha@1000,Beta,left,b,prompt-0,0,7",
                f"Alpha,{beta.pk},left,c,prompt-0,,7",
                head=f"{HEAD},left_seed,right_seed",
            ),
        )
        assert list(Comparison.objects.values_list("right", flat=True)) == [other.pk] * 3

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "it lacks left and right and prompt and outcome: it is empty"),
            (b"left,right,prompt\n", "it lacks outcome"),
            (b"left,left,right,outcome,prompt\n", "names the column left twice"),
            (b"left,right,outcome,prompt\n\xff\xfe\n", "is not UTF-8 text"),
            (b'left,right,outcome,prompt\n"' + b"x" * 200_000, "is no CSV table"),
            (b"left,right,outcome,prompt" + b",a" * 600_000, "more than 1,000,000 characters in one line after line 0"),
            (b'left,right,outcome,prompt\na\n"' + b'\n","' * 400_000, "more than 1,000,000 characters in one line"),
        ],
    )
    def test_a_file_that_is_none_is_refused_whole(self, desk: Desk, content: bytes, said: str) -> None:
        with pytest.raises(Refusal, match=said):
            bring(desk, io.BytesIO(content))

    @pytest.mark.parametrize("name", ["", " ", "x" * 31, "a\0b"])
    def test_a_name_is_a_name(self, desk: Desk, name: str) -> None:
        with pytest.raises(Refusal, match="1 to 30 characters"):
            bring(desk, table(), name=name)

    def test_a_draft_takes_none(self, desk: Desk) -> None:
        desk.study.state = StudyState.DRAFT
        with pytest.raises(Conflict, match="draft"):
            bring(desk, table())

    def test_of_several_questions_one_is_said(self, desk: Desk) -> None:
        Criterion.objects.create(study=desk.study, key="text", name="Text", question="Which follows it?", position=1)
        file = table("Alpha,Beta,left,a,prompt-0")
        with pytest.raises(Refusal, match="several questions"):
            bring(desk, file)
        file.seek(0)
        bring(desk, file, criterion="text")
        file = table("Beta,Alpha,left,a,prompt-0,quality", head=f"{HEAD},criterion")
        bring(desk, file)  # the other question about the same pair, with the sides the other way round
        pair = Comparison.objects.get()
        assert dict(pair.votes.values_list("criterion__key", "choice")) == {"text": "left", "quality": "right"}


class TestAgain:
    def test_the_same_file_adds_nothing_and_a_longer_one_adds_what_is_new(self, desk: Desk) -> None:
        first = ["Alpha,Beta,left,a,prompt-0", "Alpha,Beta,right,,prompt-0", "Alpha,Beta,right,,prompt-0"]
        bring(desk, table(*first))
        before = list(Vote.objects.order_by("id").values())
        again = bring(desk, table(*first))
        assert (again.votes, again.known) == (0, 3)
        more = bring(desk, table(*first, "Beta,Gamma,tie,a,prompt-0", "Alpha,Beta,tie,,prompt-0"))
        assert (more.votes, more.known, more.left_out) == (2, 3, 0)
        assert list(Vote.objects.order_by("id").values())[:3] == before
        assert VoteImport.objects.get().votes == Vote.objects.count() == 5
        assert sum(Enrolment.objects.values_list("answers", flat=True)) == 5
        with pytest.raises(Conflict, match="was imported as “Pilot” already"):
            bring(desk, table(*first, "Beta,Gamma,tie,a,prompt-0", "Alpha,Beta,tie,,prompt-0"), name="Other")

    def test_votes_without_raters_are_dealt_to_several(self, desk: Desk) -> None:
        lines = [f"Alpha,Beta,{'left' if number % 3 else 'right'},prompt-{number % 4}" for number in range(1000)]
        report = bring(desk, table(*lines, head="left,right,outcome,prompt"))
        assert (report.votes, report.raters) == (1000, 250)  # of each pair more than there are raters to deal to
        assert max(Counter(Vote.objects.values_list("rater", flat=True)).values()) == 4

    def test_what_was_answered_here_is_not_taken_for_another(self, desk: Desk) -> None:
        load(desk)
        vote_on_all(desk, people(desk, 2), noisy(1))
        own = io.BytesIO(b"".join(exports.stream(exports.votes(desk.study, Selection()), "csv")))
        report = look_at_votes(study=desk.study, file=own, name="Own")
        assert [(one.kind, one.lines) for one in report.refused] == [("own", 24)]


class TestComingBack:
    def test_an_export_of_one_study_comes_into_another_and_says_the_same(self, desk: Desk) -> None:
        load(desk)
        enrolments = people(desk, 3)
        vote_on_all(desk, [*enrolments, *simulated_raters(desk, 1)], noisy(1))
        services.set_exclusion(enrolment=enrolments[0], reason="Slow.", actor=User.objects.create_user("owner"))
        other = make_desk("other")
        for name in ("Alpha", "Beta", "Gamma"):
            other.contestant(name)
        selection = Selection(simulated=True, excluded=True, controls=True)
        file = io.BytesIO(b"".join(exports.stream(exports.votes(desk.study, selection), "csv")))
        report = bring(other, file)
        assert (report.votes, report.raters, report.left_out) == (48, 4, 0)
        same = ("left_checkpoint__name", "right_checkpoint__name", "prompt__key", "choice", "simulated", "created_at")
        came, went = (
            list(Vote.objects.filter(study=study).order_by("id").values_list(*same, "comparison__propensity"))
            for study in (other.study, desk.study)
        )
        assert came == went
        again = io.BytesIO(b"".join(exports.stream(exports.votes(other.study, selection), "csv")))
        assert said_by(again) == said_by(file)
        assert other.study.enrolments.exclude(excluded_at=None).count() == 1

    def test_what_was_marked_and_said_comes_along(self, bare_desk: Callable[..., Desk]) -> None:
        """An export and that of its import into a fresh study are equal, but for what names rows and people."""
        studies = [bare_desk(slug, modality="video", reason_tags=["hands", "wrong text"]) for slug in ("one", "other")]
        for desk in studies:
            Criterion.objects.create(study=desk.study, key="text", name="Text", question="Which follows?", position=1)
            for name in ("Alpha", "Beta", "Gamma"):
                desk.contestant(name)
        here, there = studies
        bring(here, table(*SAID, head=SAID_BY))
        first = Comparison.objects.order_by("id").first()
        assert first is not None
        remark = first.remarks.get()
        assert (remark.comment, remark.side, remark.seconds, remark.away_milliseconds) == (
            '=A "hand",\nwith six',
            "left",
            1.5,
            300,
        )
        selection = Selection(simulated=True, excluded=True, controls=True)
        taken = b"".join(exports.stream(exports.votes(here.study, selection), "csv"))
        report = bring(there, io.BytesIO(taken))
        assert (report.votes, report.left_out) == (6, 0)
        again = b"".join(exports.stream(exports.votes(there.study, selection), "csv"))
        assert said_by(io.BytesIO(again)) == said_by(io.BytesIO(taken))
        assert {row["comment"] for row in said_by(io.BytesIO(again))} == {"", "<b>Both</b>", '\'=A "hand",\nwith six'}
        assert Remark.objects.filter(comparison__study=there.study).count() == 4
        assert bring(there, io.BytesIO(taken)).votes == 0

    def test_a_place_is_on_the_side_of_the_comparison(self, desk: Desk) -> None:
        """A second question's line may have the sides the other way round."""
        Criterion.objects.create(study=desk.study, key="text", name="Text", question="Which follows?", position=1)
        place = "0.5,0.25,0.1,0"
        bring(
            desk,
            table(
                "Alpha,Beta,left,a,prompt-0,quality,,,,,",
                f"Beta,Alpha,left,a,prompt-0,text,left,{place}",
                head=f"{HEAD},criterion,region_side,region_x,region_y,region_width,region_height",
            ),
        )
        remark = Remark.objects.get()
        assert (remark.side, remark.x, remark.y, remark.width, remark.height) == ("right", 0.5, 0.25, 0.1, 0)

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            ("left,0.5,0.5,0.6,0.1,,", "shares from 0 to 1 that lie on it; got “left 0.5 0.5 0.6 0.1 ”"),
            ("left,0.5,,0.1,0.1,,", "A marked place has region_side left or right"),
            (",0.5,0.5,0.1,0.1,,", "A marked place has region_side left or right"),
            ("above,0.5,0.5,0.1,0.1,,", "A marked place has region_side left or right"),
            ("left,nan,0.5,0.1,0.1,,", "A marked place has region_side left or right"),
            ("left,0.5,0.5,0.1,0.1,3,", "Only a place on a video has region_seconds"),
            (f",,,,,,{'x' * 1001}", "A comment has at most 1,000 characters; got 1,001."),
            (",,,,,,a\0b", "holds a null character"),
        ],
    )
    def test_what_is_no_place_and_no_comment_is_named(self, desk: Desk, cells: str, said: str) -> None:
        names = "region_side,region_x,region_y,region_width,region_height,region_seconds,comment"
        file = table(f"Alpha,Beta,left,a,prompt-0,{cells}", head=f"{HEAD},{names}")
        (refused,) = look_at_votes(study=desk.study, file=file, name="Pilot").refused
        assert said in refused.sentences[0]

    def test_repeats_and_known_answers_stay_controls(self, desk: Desk) -> None:
        bring(
            desk,
            table(
                "Alpha,Beta,left,a,prompt-0,,",
                "Beta,Alpha,right,a,prompt-0,repeat,",
                "Alpha,Gamma,left,a,prompt-0,gold,right",
                head=f"{HEAD},control,expected",
            ),
        )
        plain, repeat, gold = Comparison.objects.order_by("id")
        assert (plain.control, repeat.control, gold.control, gold.expected) == ("", "repeat", "gold", "right")
        assert repeat.original == plain
        assert list(Vote.objects.order_by("id").values_list("control", flat=True)) == ["", "repeat", "gold"]
        fit = services.refit(study=desk.study)[0]
        assert fit.votes == 1


class TestCounting:
    def test_they_rank_until_they_are_taken_back_and_again_when_put_back(self, desk: Desk) -> None:
        load(desk)
        vote_on_all(desk, people(desk, 1), noisy(1))
        bring(desk, table(*(f"Gamma,Alpha,left,r{n},prompt-{n % 4}" for n in range(8))))
        (known,) = VoteImport.objects.all()
        assert services.refit(study=desk.study)[0].votes == 20
        owner = User.objects.create_user("owner")
        with pytest.raises(Refusal, match="takes a reason"):
            take_back(vote_import=known, reason=" ", actor=owner)
        take_back(vote_import=known, reason="Wrong prompts.", actor=owner)
        assert services.refit(study=desk.study)[0].votes == 12
        with pytest.raises(Conflict, match="taken back already"):
            take_back(vote_import=known, reason="Again.", actor=owner)
        with pytest.raises(Conflict, match="put it back first"):
            bring(desk, table("Gamma,Alpha,left,z,prompt-0"))
        put_back(vote_import=known, actor=owner)
        assert services.refit(study=desk.study)[0].votes == 20
        with pytest.raises(Conflict, match="not taken back"):
            put_back(vote_import=known, actor=owner)
        verbs = LogEntry.objects.filter(study=desk.study).order_by("id").values_list("verb", flat=True)
        assert list(verbs) == ["imported votes", "took import back", "put import back"]

    def test_exports_can_leave_them_out(self, desk: Desk) -> None:
        load(desk)
        vote_on_all(desk, people(desk, 1), noisy(1))
        bring(desk, table("Gamma,Alpha,left,a,prompt-0"))
        counts = [len(list(exports.votes(desk.study, Selection(cast_here=only)).rows())) for only in (False, True)]
        assert counts == [13, 12]
        said = "1 of these votes were cast elsewhere"
        assert said in exports.card(desk.study, Selection())
        assert said not in exports.card(desk.study, Selection(cast_here=True))

    def test_nobody_is_paid_for_them_and_no_budget_is_spent_on_them(self, desk: Desk) -> None:
        bring(desk, table("Gamma,Alpha,left,a,prompt-0"))
        assert accounts(desk.study) == []
        assert answers_counted(desk.study) == 0
        assert PairCount.objects.totals().get().comparisons == 1

    def test_a_ship_test_counts_no_vote_that_came_by_a_file(self, desk: Desk) -> None:
        load(desk)
        owner = User.objects.create_user("owner")
        services.register_margin(
            study=desk.study,
            criterion=desk.study.criteria.get(),
            candidate=desk.checkpoints[2],
            baseline=desk.checkpoints[0],
            margin=50,
            actor=owner,
        )
        bring(desk, table(*(f"Gamma,Alpha,left,r{n},prompt-{n % 4}" for n in range(40))))
        fit = services.refit(study=desk.study)[0]
        assert (fit.votes, fit.verdicts.get().votes) == (40, 0)


def test_memory_does_not_grow_with_the_file(desk: Desk) -> None:
    def lines(count: int) -> Iterator[bytes]:
        yield f"{HEAD}\n".encode()
        for number in range(count):
            yield f"Alpha,Beta,left,r{number},prompt-{number % 4}\n".encode()

    peaks = []
    for count in (1_000, 4_000):
        file = io.BytesIO(b"".join(lines(count)))
        with transaction.atomic():
            tracemalloc.start()
            assert bring(desk, file, name=f"of {count}").votes == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
