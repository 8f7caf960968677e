"""Where the bytes of each output lie on this machine: in a file of their own, or inside a tar shard."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalhub.client.layout import BadLayout, Layout, Output, find
from evalhub.client.shards import BRACES_AND_GLOBS, expand, read_shard

CHUNK = 2**20


@dataclass(frozen=True)
class Source:
    """An output and its bytes: `size` of them in `file` from `start` on; without a size, to the file's end.

    `sha256` is there where it is known already.
    """

    output: Output
    file: Path
    start: int = 0
    size: int | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Hashed:
    """A source, ready to be promised."""

    source: Source
    sha256: str
    size: int

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """A piece of it. Raises: BadLayout when the file is shorter than it was."""
        with self.source.file.open("rb") as file:
            file.seek(self.source.start + start)
            while length:
                chunk = file.read(min(CHUNK, length))
                if not chunk:
                    raise changed(self.source)
                length -= len(chunk)
                yield chunk


@dataclass(frozen=True)
class Found:
    """What there is to submit, and the files that were left out because they are no pictures by their names."""

    sources: list[Source]
    left_out: list[str]


def gather(places: Sequence[str | Path]) -> Found:
    """What lies in a folder, a manifest's files, or tar shards.

    Args: places: one folder, one manifest.csv or manifest.jsonl, or any number of tar files and patterns of them
        (`shard-{0000..0015}.tar`, `shards/*.tar`).
    Raises: BadLayout, in a sentence.
    """
    names = [str(place) for place in places]
    if all(name.endswith(".tar") for name in names) and names:
        return _in_shards(names)
    if len(names) != 1:
        raise BadLayout("Name one folder, one manifest, or tar shards; several of another kind were named.")
    place = Path(names[0])
    if place.suffix in {".csv", ".jsonl"}:
        if not place.is_file():
            raise BadLayout(f"There is no manifest {place}.")
        return _in_folder(place.parent, find(place.parent, manifest=place.name))
    if not place.is_dir() and BRACES_AND_GLOBS.search(names[0]):
        raise BadLayout(f"{place} is no folder; a pattern names tar shards and ends in .tar.")
    return _in_folder(place, find(place))


def take_hash(source: Source) -> Hashed:
    """Read a source once. Raises: BadLayout when it is shorter than its shard says."""
    if source.sha256 and source.size is not None:
        return Hashed(source, source.sha256, source.size)
    digest, size = hashlib.sha256(), 0
    with source.file.open("rb") as file:
        file.seek(source.start)
        left = source.size
        while left is None or left > 0:
            chunk = file.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                break
            digest.update(chunk)
            size += len(chunk)
            left = None if left is None else left - len(chunk)
    if source.size not in (None, size):
        raise changed(source)
    return Hashed(source, digest.hexdigest(), size)


def changed(source: Source) -> BadLayout:
    return BadLayout(f"{source.output.path} changed while it was being submitted; submit again when it is finished.")


def _in_folder(folder: Path, layout: Layout) -> Found:
    return Found([Source(output, folder / output.path) for output in layout.outputs], layout.left_out)


def _in_shards(patterns: Sequence[str]) -> Found:
    sources: list[Source] = []
    left_out: list[str] = []
    for shard in (path for pattern in patterns for path in expand(pattern)):
        for member in read_shard(shard):
            if member.output is None:
                left_out.append(member.name)
            else:
                sources.append(Source(member.output, shard, member.start, member.size))
    if not sources:
        raise BadLayout(
            f"There are no pictures in {', '.join(patterns[:5])}; expected members such as <prompt key>.png."
        )
    return Found(sources, left_out)
