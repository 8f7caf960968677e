"""Which file answers which prompt: read from the names in a folder or an archive, or from a manifest beside them.

Three layouts are known: `<prompt key>.<ext>`, `<prompt key>/<seed>.<ext>`, and a `manifest.csv` or `manifest.jsonl`
with `path`, `prompt` and, if wanted, `seed`. Only names are looked at here; what a file is, its bytes tell the server.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".mp4", ".webm", ".mov", ".mkv", ".avi"}
MANIFESTS = ("manifest.csv", "manifest.jsonl")
UNSEEN = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class BadLayout(Exception):
    """Why files cannot be matched with prompts, in one sentence."""


@dataclass(frozen=True)
class Output:
    """One file, by its path with slashes, and what it answers."""

    path: str
    prompt: str
    seed: int = 0


@dataclass(frozen=True)
class Layout:
    """What was found: the outputs, and the files that were left out because they are no pictures by their names."""

    outputs: list[Output]
    left_out: list[str]


def find(folder: Path, manifest: str | None = None) -> Layout:
    """The outputs in a folder. BadLayout when there is no such folder, or no sense in it.

    Args: manifest: the name of the one to go by; without it a manifest.csv or manifest.jsonl, if there is one.
    """
    if not folder.is_dir():
        raise BadLayout(f"{folder} is no folder; name the folder that holds the outputs.")
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return arrange(paths, lambda name: (folder / name).read_bytes(), manifest)


def arrange(paths: Iterable[str], read: Callable[[str], bytes], manifest: str | None = None) -> Layout:
    """Match files with prompts.

    Args:
        paths: of all files, relative to the folder of the outputs.
        read: gives the bytes of a file; asked for the manifest, if there is one.
        manifest: the one to go by, if it has another name than those in MANIFESTS.
    """
    seen = [path for path in paths if not _is_hidden(path)]
    manifest = manifest or next((name for name in MANIFESTS if name in seen), None)
    if manifest is not None:
        outputs = _listed(manifest, read(manifest))
        absent = sorted({output.path for output in outputs} - set(seen))
        if not outputs:
            raise BadLayout(f"{manifest} lists no files; expected lines with path, prompt and, if wanted, seed.")
        if absent:
            raise BadLayout(f"{manifest} lists files that are not there: {_some(absent)}.")
        named = {output.path for output in outputs}
        return Layout(outputs, [path for path in seen if path not in named and path not in {manifest, *MANIFESTS}])
    pictures = [path for path in seen if _extension(path) in EXTENSIONS]
    if not pictures:
        raise BadLayout(f"There are no pictures here; expected files such as <prompt key>.png{_instead(seen)}.")
    deep = [path for path in pictures if path.count("/") > 1]
    if deep:
        raise BadLayout(
            "Files lie at most one folder deep, as <prompt key>/<seed>.png, unless a manifest.csv lists them; "
            f"these lie deeper: {_some(deep)}."
        )
    return Layout([_output(path) for path in pictures], [path for path in seen if _extension(path) not in EXTENSIONS])


def top_folder(paths: Sequence[str], keep: Iterable[str] = ()) -> str:
    """The one folder that all paths lie in, with its slash, or nothing. Those in `keep` are prompts' own folders."""
    tops = {path.partition("/")[0] for path in paths if not _is_hidden(path)}
    if len(tops) != 1 or not all("/" in path for path in paths if not _is_hidden(path)):
        return ""
    top = tops.pop()
    return "" if top in set(keep) else top + "/"


def _output(path: str) -> Output:
    folder, _, name = path.rpartition("/")
    stem = name[: -len(_extension(name))]
    if not folder:
        return Output(path, stem)
    try:
        return Output(path, folder, int(stem))
    except ValueError:
        raise BadLayout(
            f"{path} lies in a folder, which names its prompt, so its own name is a seed; “{stem}” is no whole number."
        ) from None


def _listed(name: str, content: bytes) -> list[Output]:
    try:
        text = content.decode("utf-8-sig")
        rows = _csv_rows(text) if name.endswith(".csv") else _json_rows(text)
        return [_from_row(name, number, row) for number, row in rows]
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise BadLayout(f"{name} cannot be read: {error}.") from None


def _csv_rows(text: str) -> list[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    return [(reader.line_num, dict(row)) for row in reader]


def _json_rows(text: str) -> list[tuple[int, object]]:
    return [(number, json.loads(line)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _from_row(name: str, number: int, row: object) -> Output:
    known = {"path", "prompt", "seed"}
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) and row[key] for key in ("path", "prompt")):
        raise BadLayout(f"{name}, line {number}: expected path, prompt and, if wanted, seed.")
    if set(row) - known:
        extra = _some(sorted(str(key) for key in set(row) - known))
        raise BadLayout(f"{name}, line {number}: only path, prompt and seed are known, and it has {extra}.")
    try:
        return Output(str(row["path"]), str(row["prompt"]), int(row.get("seed") or 0))
    except (TypeError, ValueError, OverflowError):
        raise BadLayout(f"{name}, line {number}: a seed is a whole number, and “{row['seed']}” is none.") from None


def _extension(path: str) -> str:
    return Path(path).suffix.lower()


def _is_hidden(path: str) -> bool:
    parts = path.split("/")
    return any((part.startswith(".") and part != "..") or part in UNSEEN for part in parts)


def _instead(paths: Sequence[str]) -> str:
    return f", found {_some(paths)}" if paths else ", found nothing"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
