"""A file of votes that were cast elsewhere, line by line: what a line says, or in a sentence why it cannot be taken.

A line becomes the text that PostgreSQL's COPY takes. Most of what lines say they say again and again, so what was read
once is looked up; and of columns that a file does not have nothing is said at all.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import IO, Any, Self

from django.utils import timezone

from evalhub.problems import Refusal, TooLarge
from evalhub.sheets import FORMULAS
from evalhub.studies.models import Checkpoint, Criterion, Modality, Study
from raters.models import Choice, Control, Side
from raters.services.remarks import LONGEST_AWAY, LONGEST_COMMENT, LONGEST_VIDEO, PLACES
from raters.services.voting import LONGEST_LOOK, choices_of

NEEDED = ("left", "right", "prompt")  # and the answer, called `outcome` or `choice`
REGION = ("region_x", "region_y", "region_width", "region_height")
MOST_LINES = 1_000_000
LARGEST_SEED = 2**63 - 1
LONGEST_LINE = 1_000_000  # characters; a field has 131,072 at most, as the csv module has it
QUOTED = 80  # characters of what came are shown
REMEMBERED = 1_000  # different contents of a column, or of some that belong together
LONGEST_REMEMBERED = 500  # characters
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Misfit(Exception):
    """One line that is left out: under which heading it is counted, and why, as a sentence."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind, self.sentence = kind, sentence


@dataclass
class Part:
    """Columns of the file that are read together, and what of the table they become.

    Args:
        reads: names of the file's columns; one that the file does not have is read as empty.
        becomes: columns of the table; where the file has none of the others, these are left to their defaults.
        read: from what the columns say to what the table is to hold; raises Misfit.
    """

    reads: tuple[str, ...]
    becomes: tuple[str, ...]
    read: Callable[..., tuple[Any, ...]]
    pick: Callable[[Sequence[str]], Any] = field(init=False)
    known: dict[Any, str] = field(default_factory=dict)

    def cells(self, row: Sequence[str]) -> str:
        """As COPY takes them."""
        said = self.pick(row)
        found = self.known.get(said)
        if found is None:
            texts = (said,) if isinstance(said, str) else said
            found = "\t".join(map(_cell, self.read(*(_unquoted(text.strip()) for text in texts))))
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            if len(found) <= LONGEST_REMEMBERED:
                self.known[said] = found
        return found


class Lines:
    """The lines of a file of votes for one study: `with Lines(study, file) as lines`, which leaves the file open.

    Iterated, once, it gives each line's number with what it becomes in `columns`, or why it cannot be taken.

    Args: criterion: which question the answers are to, where the file has no column `criterion`.
    Raises: Refusal when that question is none of the study's, and where the file as a whole cannot be read.
    """

    def __init__(self, study: Study, file: IO[bytes], criterion: str = "") -> None:
        self.study, self.file = study, file
        self.checkpoints = _by_name(study)
        self.criteria: dict[str, Criterion] = {one.key: one for one in study.criteria.all()}
        self.choices = {key: frozenset(choices_of(one)) for key, one in self.criteria.items()}
        if criterion and criterion not in self.criteria:
            raise Refusal(f"The study has no question “{criterion[:QUOTED]}”; it has {_some(self.criteria)}.")
        self.criterion = criterion or (next(iter(self.criteria)) if len(self.criteria) == 1 else "")
        self.tags = sorted(study.reason_tags, key=len, reverse=True)
        self.now = timezone.now()

    def __enter__(self) -> Self:
        self.text = io.TextIOWrapper(self.file, "utf-8-sig", newline="")
        self.length = 0  # of the line that is being read, which may go on over several of the text's
        self.rows = csv.reader(self._bounded())
        try:
            self.names = [name.strip() for name in next(self._readable(), [])]
            self.parts = self._parts()
        except Refusal:
            self.text.detach()
            raise
        self.columns = ("line", *(column for part in self.parts for column in part.becomes))
        return self

    def __exit__(self, *_: object) -> None:
        self.text.detach()

    def __iter__(self) -> Iterator[tuple[int, str | Misfit]]:
        begins = self.rows.line_num + 1
        for count, row in enumerate(self._readable()):
            if count >= MOST_LINES:
                raise TooLarge(f"The file has more than {MOST_LINES:,} votes; split it into several.")
            if any(row):
                yield begins, self._read(row)
            begins = self.rows.line_num + 1  # a field may hold line ends

    def _bounded(self) -> Iterator[str]:
        while text := self.text.readline(LONGEST_LINE - self.length + 1):
            self.length += len(text)
            if self.length > LONGEST_LINE:
                raise Refusal(
                    f"The file has more than {LONGEST_LINE:,} characters in one line after line "
                    f"{self.rows.line_num:,}, as no table of votes has; save it anew."
                )
            yield text

    def _readable(self) -> Iterator[list[str]]:
        try:
            for row in self.rows:
                self.length = 0
                yield row
        except UnicodeDecodeError:
            raise Refusal(
                f"The file is not UTF-8 text after line {self.rows.line_num:,}; save it as CSV in UTF-8."
            ) from None
        except csv.Error as error:
            raise Refusal(f"The file is no CSV table at line {self.rows.line_num:,} ({error}); save it anew.") from None

    def _parts(self) -> list[Part]:
        """Those of which the file says anything."""
        names = self.names
        answer = "choice" if "choice" in names and "outcome" not in names else "outcome"
        if missing := [name for name in (*NEEDED, answer) if name not in names]:
            raise Refusal(
                "The file's first line must name the columns left, right, prompt and outcome (or choice); it lacks "
                f"{' and '.join(missing)}: {', '.join(names)[:QUOTED] or 'it is empty'}."
            )
        if twice := next((name for name, times in Counter(filter(None, names)).items() if times > 1), ""):
            raise Refusal(f"The file's first line names the column {twice[:QUOTED]} twice; name each once.")
        if "criterion" not in names and not self.criterion:
            raise Refusal(
                f"The study asks several questions ({_some(self.criteria)}); say which one the file answers, or add a "
                "column criterion."
            )
        look, away = (round(longest.total_seconds() * 1000) for longest in (LONGEST_LOOK, LONGEST_AWAY))
        parts = [
            Part(("left", "right"), ("left_checkpoint", "right_checkpoint"), self._sides),
            Part(("criterion", answer), ("criterion", "choice"), self._answer),
            Part(("prompt",), ("prompt",), lambda text: (text,)),
            Part(("rater",), ("label",), lambda text: (f"r{text}" if text else None,)),
            *(Part((f"{side}_seed", "seed"), (f"{side}_seed",), _seed) for side in Side.values),
            *(Part((f"{side}_sha256",), (f"{side}_sha256",), lambda text: (text or None,)) for side in Side.values),
            Part(("control", "expected"), ("control", "expected"), _control),
            Part(("vote",), ("vote",), lambda text: (_whole("vote", text, 1, LARGEST_SEED),)),
            Part(("propensity",), ("propensity",), _share),
            Part(("milliseconds",), ("milliseconds",), lambda text: (_whole("milliseconds", text, 0, look),)),
            Part(
                ("away_milliseconds",),
                ("away_milliseconds",),
                lambda text: (_whole("away_milliseconds", text, 0, away) or 0,),
            ),
            *(Part((name,), (name,), self._time(name)) for name in ("shown_at", "answered_at")),
            *(Part((name,), (name,), _truth(name)) for name in ("simulated", "excluded", "without_javascript")),
            Part(("reasons",), ("reasons",), self._reasons),
            Part(("comment",), ("comment",), _comment),
            Part(
                ("region_side", *REGION, "region_seconds"),
                ("side", "x", "y", "width", "height", "seconds"),
                self._region,
            ),
        ]
        places = {name: place for place, name in enumerate(names) if name}
        told = [part for part in parts if any(name in places for name in part.reads)]
        for part in told:
            part.pick = itemgetter(*(places.get(name, len(names)) for name in part.reads))
        return told

    def _read(self, row: list[str]) -> str | Misfit:
        try:
            if len(row) != len(self.names):
                raise Misfit("unreadable", f"The line has {len(row):,} fields and the first line {len(self.names):,}.")
            row.append("")  # what the file has no column for
            return "\t".join([part.cells(row) for part in self.parts])
        except Misfit as misfit:
            return misfit

    def _sides(self, *names: str) -> tuple[Any, ...]:
        for name in names:
            if name not in self.checkpoints:
                some = _some(sorted({str(one) for one in self.checkpoints.values()}))
                raise Misfit("checkpoint", f"The study has no checkpoint “{name[:QUOTED]}”; it has {some}.")
        left, right = (self.checkpoints[name].pk for name in names)
        if left == right:
            raise Misfit("same side", f"Both sides are {names[0][:QUOTED]}; a vote is about two checkpoints.")
        return left, right

    def _answer(self, key: str, choice: str) -> tuple[Any, ...]:
        key = key or self.criterion
        if key not in self.criteria:
            raise Misfit("question", f"The study has no question “{key[:QUOTED]}”; it has {_some(self.criteria)}.")
        if choice not in self.choices[key]:
            offered = ", ".join(choices_of(self.criteria[key]))
            raise Misfit("answer", f"“{key}” is answered by one of {offered}; got “{choice[:QUOTED]}”.")
        return self.criteria[key].pk, choice

    def _time(self, name: str) -> Callable[[str], tuple[Any, ...]]:
        def read(text: str) -> tuple[Any, ...]:
            if not text:
                return (None,)
            try:
                found = datetime.fromisoformat(text)
            except ValueError:
                raise Misfit(
                    "unreadable", f"{name} is a time such as 2026-05-31T12:00:00Z; got “{text[:QUOTED]}”."
                ) from None
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
            if not datetime(1970, 1, 2, tzinfo=UTC) < found <= self.now:
                raise Misfit("unreadable", f"{name} is {text[:QUOTED]}, which is not in the past as it should be.")
            return (found.isoformat(),)

        return read

    def _reasons(self, text: str) -> tuple[Any, ...]:
        """The export writes them with spaces between; one that has spaces itself is told by the study's own list."""
        found, rest = [], text
        while rest:
            tag = next((tag for tag in self.tags if f"{rest} ".startswith(f"{tag} ")), rest.partition(" ")[0])
            found.append(tag)
            rest = rest[len(tag) :].strip()
        if "\0" in text:
            raise Misfit("unreadable", NULL)
        return (json.dumps(found),)

    def _region(self, side: str, *said: str) -> tuple[Any, ...]:
        """A marked place, whether or not this study asks for such: it was marked."""
        if not side and not any(said):
            return ("", *[None] * 5)
        try:
            x, y, width, height = (float(text) for text in said[:4])
            seconds = float(said[4]) if said[4] else None
        except ValueError:
            x = y = width = height = -1.0
            seconds = None
        most = 1 + 10**-PLACES
        if side not in Side.values or not (0 <= x <= x + width <= most and 0 <= y <= y + height <= most):
            raise Misfit(
                "unreadable",
                "A marked place has region_side left or right, and region_x, region_y, region_width and region_height "
                f"in shares from 0 to 1 that lie on it; got “{' '.join((side, *said))[:QUOTED]}”.",
            )
        if seconds is not None and (
            self.study.modality != Modality.VIDEO or not 0 <= seconds <= LONGEST_VIDEO.total_seconds()
        ):
            raise Misfit(
                "unreadable",
                f"Only a place on a video has region_seconds, from its beginning; got “{said[4][:QUOTED]}”.",
            )
        return (side, *(min(1.0, share) for share in (x, y, width, height)), seconds)


NULL = "The line holds a null character, which no name has."


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


def _cell(value: Any) -> str:
    """As COPY takes it."""
    if value is None:
        return "\\N"
    text = str(value)
    if "\0" in text:
        raise Misfit("unreadable", NULL)
    return text.translate(_ESCAPED)


def _seed(own: str, of_both: str) -> tuple[Any, ...]:
    return (_whole("seed", own or of_both, -LARGEST_SEED, LARGEST_SEED),)


def _control(control: str, expected: str) -> tuple[Any, ...]:
    known = expected in Choice.values and expected != Choice.WITHDRAWN
    if control not in Control.values or (expected and (control != Control.GOLD or not known)):
        raise Misfit("unreadable", f"A control is repeat or gold, or empty; got “{control[:QUOTED]}”.")
    return control, expected


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


def _share(text: str) -> tuple[Any, ...]:
    """Without one, 1: as if no other pair could have been drawn."""
    try:
        found = float(text) if text else 1.0
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise Misfit("unreadable", f"propensity is a number above 0 and at most 1; got “{text[:QUOTED]}”.")
    return (found,)


def _truth(name: str) -> Callable[[str], tuple[Any, ...]]:
    def read(text: str) -> tuple[Any, ...]:
        if text.lower() not in {"", "true", "false", "1", "0"}:
            raise Misfit("unreadable", f"{name} is true or false; got “{text[:QUOTED]}”.")
        return (text.lower() in {"true", "1"},)

    return read


def _comment(text: str) -> tuple[Any, ...]:
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_COMMENT:
        raise Misfit("unreadable", f"A comment has at most {LONGEST_COMMENT:,} characters; got {len(text):,}.")
    return (text,)


def _unquoted(text: str) -> str:
    """A cell as it was before it was made harmless for spreadsheets."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text


def _some(names: Any) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (", …" if len(listed) > 5 else "") if listed else "none"
