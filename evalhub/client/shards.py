"""WebDataset tar shards, read where they lie: nothing is unpacked.

A sample is the members that share a name up to the first dot of their last part, its key: a picture (or a video), and
if wanted a JSON file with its `prompt` (a key of the study) and its `seed`. Without the JSON the key names them as a
folder would: `<prompt key>`, or `<prompt key>/<seed>`.
"""

import glob
import itertools
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evalhub.client.layout import EXTENSIONS, BadLayout, Output

BRACES_AND_GLOBS = re.compile(r"[{*?\[]")
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")
MOST_SHARDS = 100_000
MOST_JSON = 2**20
BESIDE = {".txt", ".cls", ".json"}  # what often lies beside a picture and says nothing here


@dataclass(frozen=True)
class Member:
    """A file in a shard: where its bytes are, and what it answers; nothing if it is no picture by its name."""

    name: str
    start: int
    size: int
    output: Output | None


@dataclass
class _Sample:
    pictures: list[tarfile.TarInfo] = field(default_factory=list)
    says: dict[str, object] = field(default_factory=dict)


def expand(pattern: str) -> list[Path]:
    """The files that a pattern names, in order: `{0000..0015}` counts, `{a,b}` lists, `*`, `?` and `[…]` match.

    Raises: BadLayout when one that is named is not there, or nothing matches.
    """
    found: list[Path] = []
    for name in _spelled_out(pattern):
        if any(mark in name for mark in "*?["):
            matching = sorted(glob.glob(name, recursive=True))
            if not matching:
                raise BadLayout(f"No file matches {name}.")
            found += map(Path, matching)
        elif Path(name).is_file():
            found.append(Path(name))
        else:
            raise BadLayout(f"There is no shard {name}.")
    return list(dict.fromkeys(found))


def read_shard(shard: Path) -> Iterator[Member]:
    """The files in a shard, a picture with what it answers. Its table is read once from beginning to end.

    Raises: BadLayout for a file that is no plain tar, or names that make no sense.
    """
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for info in archive:
                if not info.isfile() or info.issparse():
                    continue
                key, named = split(info.name)
                kind = Path("x." + named).suffix
                if kind in EXTENSIONS:
                    samples.setdefault(key, _Sample()).pictures.append(info)
                elif named == "json":
                    samples.setdefault(key, _Sample()).says = _json(shard, archive, info)
                elif kind not in BESIDE:
                    yield Member(f"{shard.name}/{info.name}", info.offset_data, info.size, None)
    except (tarfile.TarError, EOFError) as error:
        raise BadLayout(
            f"{shard} cannot be read as a tar file ({error}); compressed ones are unpacked first, since a file in them "
            "has no place of its own."
        ) from None
    for key, sample in samples.items():
        for info in sample.pictures:
            yield Member(info.name, info.offset_data, info.size, _output(shard, key, info.name, sample))


def split(name: str) -> tuple[str, str]:
    """The key and what WebDataset calls the field, which begins after the first dot of the last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, named = last.partition(".")
    return folder + slash + stem, named.lower()


def _output(shard: Path, key: str, name: str, sample: _Sample) -> Output:
    path = f"{shard.name}/{name.removeprefix('./')}"
    if len(sample.pictures) > 1:
        raise BadLayout(f"{shard} has several pictures of the sample {key}; each output is a sample of its own.")
    prompt, seed = sample.says.get("prompt"), sample.says.get("seed", 0)
    if prompt is not None:
        if not isinstance(prompt, str) or type(seed) is not int:
            raise BadLayout(f"The JSON of {key} in {shard} has a prompt, which is a key, and a seed, a whole number.")
        return Output(path, prompt, seed)
    folder, _, last = key.removeprefix("./").rpartition("/")
    if not folder:
        return Output(path, last, seed if type(seed) is int else 0)
    try:
        return Output(path, folder, int(last))
    except ValueError:
        raise BadLayout(
            f"{name} in {shard} lies in a folder, which names its prompt, so its own name is a seed; “{last}” is no "
            "whole number. A JSON file beside it may say prompt and seed instead."
        ) from None


def _json(shard: Path, archive: tarfile.TarFile, info: tarfile.TarInfo) -> dict[str, object]:
    file = archive.extractfile(info)
    if file is None or info.size > MOST_JSON:
        raise BadLayout(f"{info.name} in {shard} is larger than the {MOST_JSON:,} bytes that are read.")
    try:
        says = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise BadLayout(f"{info.name} in {shard} cannot be read as JSON: {error}.") from None
    return says if isinstance(says, dict) else {}


def _spelled_out(pattern: str) -> list[str]:
    parts = BRACES.split(pattern)  # text, choice, text, choice, … text
    choices = [[part] if number % 2 == 0 else _choices(part) for number, part in enumerate(parts)]
    count = 1
    for each in choices:
        count *= len(each)
        if count > MOST_SHARDS:
            raise BadLayout(f"{pattern} names more than the {MOST_SHARDS:,} shards that are read.")
    return ["".join(each) for each in itertools.product(*choices)]


def _choices(inner: str) -> list[str]:
    counted = RANGE.fullmatch(inner)
    if not counted:
        return inner.split(",")
    first, last = counted.groups()
    if abs(int(last) - int(first)) >= MOST_SHARDS:
        raise BadLayout(f"{{{inner}}} names more than the {MOST_SHARDS:,} shards that are read.")
    padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    return [f"{number:0{width}}" for number in range(int(first), int(last) + step, step)]
