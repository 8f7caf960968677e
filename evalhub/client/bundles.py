"""Small files, many to a request: each alone would cost more for being asked about than for being sent."""

from collections.abc import Iterator, Mapping, Sequence

from evalhub.client.sources import Hashed

SMALL = 2 * 2**20
"""A file up to this size goes with others."""

BUNDLE = 8 * 2**20
MOST_FILES = 500
JOINED = 2**18

Bundle = Sequence[Hashed]


def bundled(files: Sequence[Hashed], here: Mapping[str, int]) -> Iterator[Bundle]:
    """Files in the order given, those that go together in one bundle; large ones, and the rest of one that came in
    part, by themselves.

    Args: here: how many bytes of each file the site has, by hash.
    """
    together: list[Hashed] = []
    size = 0
    for file in files:
        if file.size > SMALL or here[file.sha256]:
            yield [file]
            continue
        if together and (size + file.size > BUNDLE or len(together) == MOST_FILES):
            yield together
            together, size = [], 0
        together.append(file)
        size += file.size
    if together:
        yield together


def table(bundle: Bundle) -> bytes:
    """What a bundle's body begins with."""
    return "".join(f"{file.sha256} {file.size}\n" for file in bundle).encode() + b"\n"


def contents(bundle: Bundle) -> Iterator[bytes]:
    """The bytes of all files, one after the other, in pieces neither tiny nor large."""
    joined = bytearray()
    for file in bundle:
        for chunk in file.read(0, file.size):
            if not joined and len(chunk) >= JOINED:
                yield chunk
                continue
            joined += chunk
            if len(joined) >= JOINED:
                yield bytes(joined)
                joined.clear()
    if joined:
        yield bytes(joined)
