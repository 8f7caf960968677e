"""Zip archives that anybody may have made: looked over before a byte is unpacked, and never unpacked to a folder."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from django.conf import settings

from evalhub.problems import Refusal, TooLarge

MOST_ENTRIES = 20_000
# What zipfile may read at once, above all the table of contents: 20,000 entries of 400 bytes.
MOST_READ = 8 * 2**20
# Pictures hardly shrink in a zip; only zeros shrink a thousandfold.
MOST_RATIO = 100
SMALL = 64 * 2**20


class _Wary:
    """The file of an archive, which does not give more at once than the contents of a sane archive take."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > MOST_READ:
            raise _too_many()
        return self.file.read(size)


@contextmanager
def looked_over(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """An archive that holds nothing but plain files of a sane number and size.

    Raises: Refusal or TooLarge, in a sentence, for anything else; also when its bytes turn out damaged later.
    """
    try:
        archive = zipfile.ZipFile(cast(IO[bytes], _Wary(file)))  # it reads, seeks and tells, which is all that is asked
    except (zipfile.BadZipFile, struct.error, ValueError, OverflowError, NotImplementedError, OSError) as error:
        raise _damaged(error) from error
    with archive:
        _look_over(archive)
        try:
            yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise _damaged(error) from error


def _look_over(archive: zipfile.ZipFile) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(archive.infolist()) > MOST_ENTRIES:
        raise _too_many()
    for entry in entries:
        _look_at(entry)
    packed, unpacked = sum(entry.compress_size for entry in entries), sum(entry.file_size for entry in entries)
    if unpacked > SMALL and unpacked > MOST_RATIO * packed:
        raise TooLarge(
            f"The zip of {packed:,} bytes would unpack to {unpacked:,}, which no pictures do; send them as they are."
        )


def _look_at(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if name.startswith("/") or "\\" in name or ":" in name.partition("/")[0] or ".." in name.split("/"):
        raise Refusal(f"The zip names “{name[:200]}”, which leads out of its folder; make it from the folder itself.")
    if entry.flag_bits & 0x1:
        raise Refusal(f"The zip is encrypted (“{name[:200]}”); make one without a password.")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise Refusal(f"The zip holds “{name[:200]}”, which is a link or a device and no file; put in the file itself.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refusal(
            f"The zip packs “{name[:200]}” in an uncommon way; make one with the usual compression (deflate)."
        )
    if entry.file_size > settings.MAX_FILE_BYTES:
        raise TooLarge(
            f"“{name[:200]}” in the zip has {entry.file_size:,} bytes; at most {settings.MAX_FILE_BYTES:,} are taken."
        )


def _damaged(error: Exception) -> Refusal:
    return Refusal(f"The zip cannot be read ({error}); make it anew, or choose the folder itself.")


def _too_many() -> TooLarge:
    return TooLarge(
        f"The zip lists more than the {MOST_ENTRIES:,} files that are taken; use `evalhub submit` for them."
    )
