"""Outputs that a program makes one by one, kept in a folder until the site has them, so that a crash loses one at most.

The folder holds the files and `manifest.jsonl`, one line for each file that is whole and on disk. It is an ordinary
folder of outputs: `evalhub submit` takes it too.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evalhub.client.layout import BadLayout, Output
from evalhub.client.pictures import encoded
from evalhub.client.sources import Source

Made = tuple[str, int, Any]
"""A prompt's key, a seed, and the picture."""

Maker = Callable[[frozenset[tuple[str, int]]], Iterable[Made]]
MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class _Line:
    path: str
    prompt: str
    seed: int


class Spool:
    """A folder of outputs that grows. One program at a time has it open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[tuple[str, int], _Line] = {}
        self._made: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BadLayout(
                f"Another program is filling {self.folder}; let it finish, or name another spool."
            ) from None
        self._lines = {(line.prompt, line.seed): line for line in self._read()}
        self._manifest = (self.folder / MANIFEST).open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manifest.close()
        self._lock.close()

    @property
    def here(self) -> frozenset[tuple[str, int]]:
        """Prompt and seed of each output that is here."""
        return frozenset(self._lines)

    def fill(self, outputs: Iterable[Made] | Maker) -> None:
        """Take every output; those that are here from an earlier try are not looked at again.

        Args: outputs: they themselves, or a function that gives them and is told which are here, to leave them out.
        Raises: BadLayout for an output that is none, or one that is given twice.
        """
        for made in outputs(self.here) if callable(outputs) else outputs:
            try:
                prompt, seed, picture = made
            except (TypeError, ValueError):
                raise BadLayout(f"An output is a prompt's key, a seed and a picture; got {made!r:.100}.") from None
            self._take(prompt, seed, picture)

    def sources(self) -> list[Source]:
        """All that is here."""
        return [
            Source(Output(line.path, line.prompt, line.seed), self.folder / line.path) for line in self._lines.values()
        ]

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self, prompt: object, seed: object, picture: object) -> None:
        if not isinstance(prompt, str) or not prompt or not isinstance(seed, int) or isinstance(seed, bool):
            raise BadLayout(f"An output is a prompt's key, a seed and a picture; got {prompt!r:.100} and {seed!r:.50}.")
        if (prompt, seed) in self._made:
            raise BadLayout(f"The prompt “{prompt}” with seed {seed} was given twice; each is one output.")
        self._made.add((prompt, seed))
        if (prompt, seed) in self._lines:
            return
        content, extension = encoded(picture)
        # By what it answers: a file whose line was not written before a crash is written over.
        name = hashlib.sha256(f"{seed} {prompt}".encode()).hexdigest()[:32] + extension
        _write(self.folder / name, content)
        line = _Line(name, prompt, seed)
        self._manifest.write(json.dumps(vars(line)) + "\n")
        self._manifest.flush()
        os.fsync(self._manifest.fileno())
        self._lines[prompt, seed] = line

    def _read(self) -> list[_Line]:
        """The lines of an earlier try. The last may have been cut off by a crash, and is taken away then."""
        file = self.folder / MANIFEST
        if not file.exists():
            return []
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(file, len(whole))
        lines = [_Line(**json.loads(line)) for line in whole.splitlines()]
        return [line for line in lines if (self.folder / line.path).is_file()]


def _write(file: Path, content: bytes) -> None:
    unfinished = file.with_name(f".{file.name}.unfinished")
    with unfinished.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)
