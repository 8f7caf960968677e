"""A file of votes that were cast elsewhere, line by line: what a line says, or in a sentence why it cannot be taken."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from evalhub.problems import Refusal, TooLarge
from evalhub.sheets import FORMULAS
from evalhub.studies.models import Checkpoint, Criterion, Study
from raters.models import Choice, Control
from raters.services.voting import LONGEST_LOOK, choices_of

NEEDED = ("left", "right", "prompt")  # and the answer, called `outcome` or `choice`
MOST_LINES = 1_000_000
LARGEST_SEED = 2**63 - 1
QUOTED = 80  # characters of what came are shown


class Misfit(Exception):
    """One line that is left out: under which heading it is counted, and why, as a sentence."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind, self.sentence = kind, sentence


class Line(NamedTuple):
    """One vote as its line says it; None where it says nothing. Sides are checkpoints, the rest is still names."""

    line: int
    vote: int | None
    left_checkpoint: UUID
    right_checkpoint: UUID
    prompt: str
    criterion: int
    choice: str
    label: str | None
    left_seed: int | None
    right_seed: int | None
    left_sha256: str | None
    right_sha256: str | None
    control: str
    expected: str
    propensity: float
    milliseconds: int | None
    shown_at: datetime | None
    answered_at: datetime | None
    simulated: bool
    excluded: bool
    without_javascript: bool
    reasons: str


class Reader:
    """Reads files of votes for one study.

    Args: criterion: which question the answers are to, where the file has no column `criterion`.
    Raises: Refusal when that question is none of the study's.
    """

    def __init__(self, study: Study, criterion: str = "") -> None:
        self.study = study
        self.checkpoints = _by_name(study)
        self.criteria: dict[str, Criterion] = {one.key: one for one in study.criteria.all()}
        self.choices = {key: frozenset(choices_of(one)) for key, one in self.criteria.items()}
        if criterion and criterion not in self.criteria:
            raise Refusal(f"The study has no question “{criterion[:QUOTED]}”; it has {_some(self.criteria)}.")
        self.criterion = criterion or (next(iter(self.criteria)) if len(self.criteria) == 1 else "")
        self.tags = sorted(study.reason_tags, key=len, reverse=True)
        self.now = timezone.now()

    def lines(self, file: IO[bytes]) -> Iterator[tuple[int, Line | Misfit]]:
        """Each line's number with what it says, or why it cannot be taken.

        Raises: Refusal where the file as a whole cannot be read.
        """
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        rows = csv.reader(text)
        try:
            names = [name.strip() for name in next(rows, [])]
            places = self._places(names)
            begins = rows.line_num + 1
            for count, row in enumerate(rows):
                if count >= MOST_LINES:
                    raise TooLarge(f"The file has more than {MOST_LINES:,} votes; split it into several.")
                if any(row):
                    yield begins, self._read(begins, row, names, places)
                begins = rows.line_num + 1  # a field may hold line ends
        except UnicodeDecodeError:
            raise Refusal(
                f"The file is not UTF-8 text after line {rows.line_num:,}; save it as CSV in UTF-8."
            ) from None
        except csv.Error as error:
            raise Refusal(f"The file is no CSV table at line {rows.line_num:,} ({error}); save it anew.") from None
        finally:
            text.detach()  # the caller's file stays open

    def _places(self, names: Sequence[str]) -> dict[str, int]:
        answer = "choice" if "choice" in names and "outcome" not in names else "outcome"
        if missing := [name for name in (*NEEDED, answer) if name not in names]:
            raise Refusal(
                "The file's first line must name the columns left, right, prompt and outcome (or choice); it lacks "
                f"{' and '.join(missing)}: {', '.join(names)[:QUOTED] or 'it is empty'}."
            )
        if twice := [name for name in names if name and names.count(name) > 1]:
            raise Refusal(f"The file's first line names the column {twice[0][:QUOTED]} twice; name each once.")
        if "criterion" not in names and not self.criterion:
            raise Refusal(
                f"The study asks several questions ({_some(self.criteria)}); say which one the file answers, or add a "
                "column criterion."
            )
        return {name: place for place, name in enumerate(names)} | {"outcome": names.index(answer)}

    def _read(self, number: int, row: Sequence[str], names: Sequence[str], places: Mapping[str, int]) -> Line | Misfit:
        try:
            if len(row) != len(names):
                raise Misfit("unreadable", f"The line has {len(row):,} fields and the first line {len(names):,}.")
            cell = {name: _unquoted(row[place].strip()) for name, place in places.items()}
            if any("\0" in value for value in cell.values()):
                raise Misfit("unreadable", "The line holds a null character, which no name has.")
            return self._line(number, cell)
        except Misfit as misfit:
            return misfit

    def _line(self, number: int, cell: Mapping[str, str]) -> Line:
        left, right = (self._checkpoint(cell[side]) for side in ("left", "right"))
        if left == right:
            raise Misfit("same side", f"Both sides are {cell['left'][:QUOTED]}; a vote is about two checkpoints.")
        criterion, choice = self._answer(cell)
        control, expected = cell.get("control", ""), cell.get("expected", "")
        if control not in Control.values or (expected and (control != Control.GOLD or not _is_answer(expected))):
            raise Misfit("unreadable", f"A control is repeat or gold, or empty; got “{control[:QUOTED]}”.")
        seeds = (cell.get(f"{side}_seed") or cell.get("seed", "") for side in ("left", "right"))
        left_seed, right_seed = (_whole("seed", seed, -LARGEST_SEED, LARGEST_SEED) for seed in seeds)
        look = round(LONGEST_LOOK.total_seconds() * 1000)
        return Line(
            line=number,
            vote=_whole("vote", cell.get("vote", ""), 1, LARGEST_SEED),
            left_checkpoint=left,
            right_checkpoint=right,
            prompt=cell["prompt"],
            criterion=criterion,
            choice=choice,
            label=f"r{cell['rater']}" if cell.get("rater") else None,
            left_seed=left_seed,
            right_seed=right_seed,
            left_sha256=cell.get("left_sha256") or None,
            right_sha256=cell.get("right_sha256") or None,
            control=control,
            expected=expected,
            propensity=_share(cell.get("propensity", "")),
            milliseconds=_whole("milliseconds", cell.get("milliseconds", ""), 0, look),
            shown_at=self._time("shown_at", cell),
            answered_at=self._time("answered_at", cell),
            simulated=_truth("simulated", cell),
            excluded=_truth("excluded", cell),
            without_javascript=_truth("without_javascript", cell),
            reasons=json.dumps(self._reasons(cell.get("reasons", ""))),
        )

    def _checkpoint(self, name: str) -> UUID:
        if name not in self.checkpoints:
            some = _some(sorted({str(one) for one in self.checkpoints.values()}))
            raise Misfit("checkpoint", f"The study has no checkpoint “{name[:QUOTED]}”; it has {some}.")
        return self.checkpoints[name].pk

    def _answer(self, cell: Mapping[str, str]) -> tuple[int, str]:
        key, choice = cell.get("criterion") or self.criterion, cell["outcome"]
        if key not in self.criteria:
            raise Misfit("question", f"The study has no question “{key[:QUOTED]}”; it has {_some(self.criteria)}.")
        if choice not in self.choices[key]:
            offered = ", ".join(choices_of(self.criteria[key]))
            raise Misfit("answer", f"“{key}” is answered by one of {offered}; got “{choice[:QUOTED]}”.")
        return self.criteria[key].pk, choice

    def _time(self, name: str, cell: Mapping[str, str]) -> datetime | None:
        text = cell.get(name, "")
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise Misfit(
                "unreadable", f"{name} is a time such as 2026-05-31T12:00:00Z; got “{text[:QUOTED]}”."
            ) from None
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        if not datetime(1970, 1, 2, tzinfo=UTC) < found <= self.now:
            raise Misfit("unreadable", f"{name} is {text[:QUOTED]}, which is not in the past as it should be.")
        return found

    def _reasons(self, text: str) -> list[str]:
        """The export writes them with spaces between; one that has spaces itself is told by the study's own list."""
        found, rest = [], text
        while rest:
            tag = next((tag for tag in self.tags if f"{rest} ".startswith(f"{tag} ")), rest.partition(" ")[0])
            found.append(tag)
            rest = rest[len(tag) :].strip()
        return found


def _by_name(study: Study) -> dict[str, Checkpoint]:
    """Each checkpoint under all that it is called: name @ 1,000, name@1000, its id; its name if no other has it."""
    found: dict[str, Checkpoint] = {}
    checkpoints = list(study.checkpoints.all())
    names = [one.name for one in checkpoints]
    for one in checkpoints:
        if names.count(one.name) == 1:
            found[one.name] = one
    for one in checkpoints:
        exact = one.name if one.step is None else f"{one.name}@{one.step}"
        found |= {str(one.pk): one, exact: one, str(one): one}
    return found


def _is_answer(text: str) -> bool:
    return text in Choice.values and text != Choice.WITHDRAWN


def _whole(name: str, text: str, least: int, most: int) -> int | None:
    if not text:
        return None
    try:
        found = int(text)
    except ValueError:
        raise Misfit("unreadable", f"{name} is a whole number; got “{text[:QUOTED]}”.") from None
    if not least <= found <= most:
        raise Misfit("unreadable", f"{name} is a whole number from {least:,} to {most:,}; got {text[:QUOTED]}.")
    return found


def _share(text: str) -> float:
    """Without one, 1: as if no other pair could have been drawn."""
    try:
        found = float(text) if text else 1.0
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise Misfit("unreadable", f"propensity is a number above 0 and at most 1; got “{text[:QUOTED]}”.")
    return found


def _truth(name: str, cell: Mapping[str, str]) -> bool:
    text = cell.get(name, "").lower()
    if text not in {"", "true", "false", "1", "0"}:
        raise Misfit("unreadable", f"{name} is true or false; got “{text[:QUOTED]}”.")
    return text in {"true", "1"}


def _unquoted(text: str) -> str:
    """A cell as it was before it was made harmless for spreadsheets."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text


def _some(names: Any) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (", …" if len(listed) > 5 else "") if listed else "none"
