"""What a researcher promises to deliver, checked before a byte of it travels."""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from django.conf import settings

from evalhub.problems import Refusal, TooLarge

MOST_FILES = 200_000
NAMED = 20  # so many faults are named in a sentence; all of them are in the details
BIGGEST = 2**63 - 1
LONGEST = 1000  # characters of a path or a key
SHA256 = re.compile(r"[0-9a-f]{64}")
SURROGATES = re.compile(r"[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class CheckpointFacts:
    """One contestant as its team describes it. Latencies in seconds per output, price in US dollars per output."""

    name: str
    family: str = ""
    step: int | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    price: float | None = None
    gpu: str = ""
    dtype: str = ""
    notes: str = ""

    def given(self) -> dict[str, object]:
        """Those facts beside name and step that say something."""
        facts = {name: getattr(self, name) for name in ("family", *NUMBERS, "gpu", "dtype", "notes")}
        return {name: value for name, value in facts.items() if value not in (None, "")}


@dataclass(frozen=True)
class ManifestFile:
    """One promised file: where it lies for its sender, its SHA-256 in hex, its size in bytes, and what it answers."""

    path: str
    sha256: str
    size: int
    prompt: str
    seed: int = 0


FIELDS = {"path": str, "sha256": str, "size": int, "prompt": str, "seed": int}
CALLED = {str: "a string", int: "a whole number"}

NUMBERS = ("latency_p50", "latency_p95", "price")
LENGTHS = {"name": 120, "family": 120, "gpu": 120, "dtype": 32, "notes": 10_000}


def check_facts(facts: CheckpointFacts) -> None:
    """Raises: Refusal that names each fact that does not do."""
    faults = []
    if not facts.name.strip() or facts.name != facts.name.strip():
        faults.append(f"its name is a word or more, without blanks around it, and “{facts.name}” is not")
    for field, most in LENGTHS.items():
        value = getattr(facts, field)
        if len(value) > most:
            faults.append(f"{field} has {len(value)} characters and at most {most} are taken")
        if "\0" in value or (field != "notes" and CONTROL.search(value)):
            faults.append(f"{field} contains control characters")
    if facts.step is not None and not 0 <= facts.step <= BIGGEST:
        faults.append(f"step is a count of training steps, and {facts.step} is not")
    for field in NUMBERS:
        value = getattr(facts, field)
        if value is not None and not (math.isfinite(value) and value >= 0):
            faults.append(f"{field} is a number of 0 or more, and {value} is not")
    if faults:
        raise Refusal(_listed("The checkpoint cannot be taken as described", faults), faults=faults)


def read_files(rows: Sequence[object]) -> tuple[list[ManifestFile], list[str]]:
    """The lines of a manifest as they came from JSON, and a phrase for each that is none; the first faults only."""
    files: list[ManifestFile] = []
    faults: list[str] = []
    for number, row in enumerate(rows, 1):
        fault = _misshapen(row)
        if fault:
            faults.append(f"file {number:,}: {fault}")
            if len(faults) > NAMED:
                break
        elif isinstance(row, dict):
            files.append(ManifestFile(row["path"], row["sha256"], row["size"], row["prompt"], row.get("seed", 0)))
    return files, faults


def _misshapen(row: object) -> str:
    if not isinstance(row, dict):
        return "expected an object with path, sha256, size, prompt and, if wanted, seed"
    for name, kind in FIELDS.items():
        value = row.get(name, 0 if name == "seed" else None)
        fault = "is required" if value is None else _unfit(value, kind)
        if fault:
            return f"{name} {fault}"
    return ""


def _unfit(value: object, kind: type) -> str:
    """What is wrong with one field; True, which JSON has beside 1, is no number here."""
    if type(value) is not kind:
        return f"is {CALLED[kind]}"
    if isinstance(value, int) and not -BIGGEST <= value <= BIGGEST:
        return "does not fit into 64 bits"
    if isinstance(value, str) and len(value) > LONGEST:
        return f"has {len(value):,} characters and at most {LONGEST:,} are taken"
    if isinstance(value, str) and SURROGATES.search(value):
        return "has halves of characters in it"
    return ""


def check_files(files: Sequence[ManifestFile], prompts: Collection[str]) -> None:
    """Args: prompts: the study's keys.

    Raises: Refusal that names each entry that does not do; TooLarge for too many files."""
    if not files:
        raise Refusal("The manifest lists no files; list at least one file for each prompt of the study.")
    if len(files) > MOST_FILES:
        raise TooLarge(f"The manifest lists {len(files):,} files and at most {MOST_FILES:,} are taken.")
    unknown = sorted({file.prompt for file in files} - set(prompts))
    if unknown:
        known = ", ".join(f"“{key}”" for key in list(prompts)[:3])
        raise Refusal(
            _listed(f"The study has no such prompts (its keys look like {known})", [f"“{key}”" for key in unknown])
            if prompts
            else "This study has no prompts yet; its owner has to add them first.",
            unknown_prompts=unknown,
        )
    faults = [fault for file in files for fault in _faults(file)]
    faults += _twice(files, lambda file: file.path, "path {0} is listed twice")
    faults += _twice(
        files, lambda file: (file.prompt, file.seed), "prompt “{0[0]}” with seed {0[1]} is promised by two files"
    )
    sizes: dict[str, int] = {}
    faults += [
        f"{file.path} has the hash of another file and a different size"
        for file in files
        if sizes.setdefault(file.sha256, file.size) != file.size
    ]
    if faults:
        raise Refusal(_listed("The manifest cannot be taken", faults), faults=faults[:1000])


def _faults(file: ManifestFile) -> list[str]:
    faults = []
    if not _is_safe(file.path):
        faults.append(f"“{file.path[:100]}” is not a relative path of plain names")
    if not SHA256.fullmatch(file.sha256):
        faults.append(f"{file.path}: its sha256 is 64 lower-case hex digits, and “{file.sha256[:70]}” is not")
    if file.size < 1:
        faults.append(f"{file.path} is empty")
    if file.size > settings.MAX_FILE_BYTES:
        faults.append(f"{file.path} has {file.size:,} bytes and at most {settings.MAX_FILE_BYTES:,} are taken")
    if not -BIGGEST <= file.seed <= BIGGEST:
        faults.append(f"{file.path}: its seed {file.seed} does not fit into 64 bits")
    return faults


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return len(path) <= LONGEST and "\\" not in path and not CONTROL.search(path) and not {"", ".", ".."} & set(parts)


def _twice(files: Sequence[ManifestFile], key: Callable[[ManifestFile], object], sentence: str) -> list[str]:
    counted = Counter(key(file) for file in files)
    return [sentence.format(value) for value, count in counted.items() if count > 1]


def _listed(beginning: str, faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
    return f"{beginning}: {'; '.join(faults[:NAMED])}{more}."
