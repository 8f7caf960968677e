"""Known answers by the file: prompt, better, worse, criterion, use, explanation; as CSV or as JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from evalhub.problems import Refusal
from evalhub.sheets import FORMULAS
from evalhub.studies.models import Checkpoint, Criterion, Prompt, Sample, Study, User
from raters.models import Gold, GoldUse
from raters.services.golds import add_gold

COLUMNS = ("prompt", "better", "worse", "criterion", "use", "explanation")
NEEDED = ("prompt", "better", "worse", "use")
MOST_LINES = 2_000
MOST_BYTES = 8 * 2**20
NAMED = 5  # so many faults are named in a sentence


@transaction.atomic
def add_golds(*, study: Study, actor: User, file: UploadedFile) -> int:
    """Add the known answers of a list, all or none. Returns how many.

    Raises: Refusal in a sentence that names the file, and the lines that do not do.
    """
    name = file.name or "The list"
    added, faults = 0, []
    directory = _Directory(study)
    for number, given in _lines(name, file):
        try:
            gold = directory.resolve(given)
            with transaction.atomic():
                add_gold(study=study, actor=actor, **gold)
            added += 1
        except Refusal as refusal:
            faults.append(f"line {number}: {refusal.sentence}")
    if faults:
        more = f" And {len(faults) - NAMED:,} more." if len(faults) > NAMED else ""
        raise Refusal(f"Nothing of {name} was added. {' '.join(_capitalised(one) for one in faults[:NAMED])}{more}")
    if not added:
        raise Refusal(f"{name} names no known answer; write one to a line below the names of the columns.")
    return added


def resolve(study: Study, given: Mapping[str, str]) -> dict[str, Any]:
    """What `add_gold` takes, from one line's texts. Refusal for a name that the study does not know."""
    return _Directory(study).resolve(given)


def as_rows(study: Study) -> Iterator[dict[str, str]]:
    """The known answers in use, as `add_golds` takes them."""
    golds = study.golds.filter(retired_at=None).select_related(
        "better__checkpoint", "worse__checkpoint", "better__prompt", "criterion"
    )
    for gold in golds:
        yield row_of(gold)


def row_of(gold: Gold) -> dict[str, str]:
    return {
        "prompt": gold.better.prompt.key,
        "better": name_of(gold.better.checkpoint),
        "worse": name_of(gold.worse.checkpoint),
        "criterion": gold.criterion.key if gold.criterion else "",
        "use": gold.use,
        "explanation": gold.explanation,
    }


def name_of(checkpoint: Checkpoint) -> str:
    """As a list names it: the name, with the step behind an @ if it has one."""
    return checkpoint.name if checkpoint.step is None else f"{checkpoint.name}@{checkpoint.step}"


class _Directory:
    """The study's prompts, checkpoints and questions by the names that a list calls them by."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.prompts: dict[str, Prompt] = {prompt.key: prompt for prompt in study.prompts.all()}
        self.criteria: dict[str, Criterion] = {criterion.key: criterion for criterion in study.criteria.all()}
        self.checkpoints: dict[str, Checkpoint] = {name_of(one): one for one in study.checkpoints.all()}

    def resolve(self, given: Mapping[str, str]) -> dict[str, Any]:
        """What `add_gold` takes."""
        prompt = self._one("prompt", given["prompt"], self.prompts)
        criterion = self._one("question", given["criterion"], self.criteria) if given["criterion"] else None
        better, worse = (self._sample(prompt, given[side]) for side in ("better", "worse"))
        if given["use"] not in GoldUse.values:
            raise Refusal(f"A use is one of {', '.join(GoldUse.values)}; got “{given['use'][:40]}”.")
        return {
            "better": better,
            "worse": worse,
            "criterion": criterion,
            "use": given["use"],
            "explanation": given["explanation"],
        }

    def _sample(self, prompt: Prompt, name: str) -> Sample:
        checkpoint = self._one("checkpoint", name, self.checkpoints)
        sample = (
            Sample.objects.select_related("checkpoint__submission", "prompt")
            .filter(checkpoint=checkpoint, prompt=prompt)
            .order_by("seed", "id")
            .first()
        )
        if sample is None:
            raise Refusal(f"{checkpoint} has no output for {prompt.key}; choose another prompt or checkpoint.")
        return sample

    @staticmethod
    def _one(what: str, name: str, known: Mapping[str, Any]) -> Any:
        if name not in known:
            some = ", ".join(list(known)[:5]) + (", …" if len(known) > 5 else "")
            raise Refusal(f"The study has no {what} “{name[:80]}”; it has {some or 'none'}.")
        return known[name]


def _lines(name: str, file: UploadedFile) -> list[tuple[int, dict[str, str]]]:
    if (file.size or 0) > MOST_BYTES:
        raise Refusal(f"{name} has {file.size:,} bytes, and a list has at most {MOST_BYTES:,}; split it.")
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{name} is not UTF-8 text; save it as CSV or JSON lines in UTF-8.") from None
    try:
        lines = list(_csv(name, text) if name.lower().endswith(".csv") else _json(name, text))
    except csv.Error as error:
        raise Refusal(f"{name} cannot be read as CSV ({error}); a field in quotes may never end.") from None
    if len(lines) > MOST_LINES:
        raise Refusal(f"{name} has {len(lines):,} lines, and at most {MOST_LINES:,} are taken at once; split it.")
    return lines


def _csv(name: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    _require_columns(name, rows.fieldnames or [])
    for row in rows:
        if None in row:
            raise Refusal(f"{name}, line {rows.line_num}, has more fields than its first line names; use quotes.")
        yield rows.line_num, {column: _unquoted((row.get(column) or "").strip()) for column in COLUMNS}


def _json(name: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(isinstance(value, str | None) for value in found.values()):
            raise Refusal(f"{name}, line {number}, is no JSON object of texts; write {', '.join(COLUMNS)} into it.")
        _require_columns(f"{name}, line {number},", list(found))
        yield number, {column: (found.get(column) or "").strip() for column in COLUMNS}


def _unquoted(text: str) -> str:
    """A cell as it was before it was made harmless for spreadsheets."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text


def _require_columns(where: str, names: Any) -> None:
    lacking = [column for column in NEEDED if column not in names]
    strange = [str(column) for column in names if column not in COLUMNS]
    if lacking or strange:
        raise Refusal(
            f"{where} has {', '.join(map(str, names)) or 'nothing'}; expected {', '.join(COLUMNS)}, of which criterion "
            "and explanation may be left out."
        )


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
