"""Hashes of files that were read before, so that whoever goes on with a large submission does not read it all again.

A line in the user's cache says what one file, or one part of a shard, was: its place on the disk, its size and times,
and its hash. What has another place, size or time now is read again, and so is what changed shortly before it was read,
since another change at the same moment would not show. The lines are deleted once the submission is complete.
"""

import re
import threading
import time
from pathlib import Path

from evalhub.client.sources import Hashed, Source, take_hash

STEP = 2**26
"""Lines are written each time that so many bytes were read: less is read again as quickly."""

SETTLED = 2.0
"""Seconds after which another change to a file shows in its times, even where a disk counts them in whole seconds."""

# Begun by its line break and ended by its hash: one that a kill has cut short is no line, and spoils no other.
LINE = re.compile(r"([0-9]+(?: [0-9]+){6}) ([0-9a-f]{64})")


class Remembered:
    """What `file` remembers, and adds to it. May be used from several threads, and by several programs at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known = {line[1]: line[2] for line in map(LINE.fullmatch, _lines(file)) if line}
        self._lock = threading.Lock()
        self._read = 0
        self._untold: list[str] = []

    def hashed(self, source: Source) -> Hashed:
        """As `take_hash`, without reading a source that was read before and is as it was. Raises: as that does."""
        began, place = time.time_ns(), source.file.stat()
        size = place.st_size if source.size is None else source.size
        times = place.st_mtime_ns, place.st_ctime_ns
        key = " ".join(map(str, (place.st_dev, place.st_ino, place.st_size, *times, source.start, size)))
        if key in self._known:
            return Hashed(source, self._known[key], size)
        found = take_hash(source)
        if found.size == size and max(times) < began - SETTLED * 1e9:
            self._remember(f"\n{key} {found.sha256}", size)
        return found

    def forget(self) -> None:
        """Once it is of no more use."""
        self.file.unlink(missing_ok=True)

    def _remember(self, line: str, size: int) -> None:
        with self._lock:
            self._read += size
            self._untold.append(line)
            if self._read >= STEP:
                _add(self.file, "".join(self._untold))
                self._read, self._untold = 0, []


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # there are none, or nobody may read them: all is read anew
        return []


def _add(file: Path, lines: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:
            out.write(lines)
    except OSError:  # a home that is full or cannot be written costs no more than reading again
        return
