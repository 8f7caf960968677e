"""A folder of real pictures, sent as the reference that a study's runs compare with."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalhub.client.connection import Connection, Problem
from evalhub.client.layout import BadLayout, Output
from evalhub.client.sending import Watcher, hash_all, side_by_side
from evalhub.client.sources import Hashed, Source

# What people keep beside pictures.
PASSED_OVER = frozenset({".txt", ".csv", ".json", ".jsonl", ".md", ".db", ""})


def send_reference(
    connection: Connection, study: str, folder: Path, name: str, licence: str, at_once: int, watcher: Watcher
) -> dict[str, Any]:
    """Send the pictures that the site lacks, and have the set made of all, in the order of their paths.

    Called again, it goes on where it stopped. Args: study: as it stands in addresses.
    Raises: BadLayout for a folder without pictures; Problem when the site refuses a picture or the set.
    """
    files = {file.sha256: file for file in hash_all(_sources(folder), at_once, watcher)}
    asked = {"name": name, "licence": licence, "images": list(files)}
    while True:
        try:
            return dict(connection.ask("POST", f"studies/{study}/references/", json=asked))
        except Problem as problem:
            missing = problem.details.get("missing")
            if problem.status != 409 or not missing:
                raise
        wanted = [files[sha256] for sha256 in missing]
        watcher.missing(len(wanted), sum(file.size for file in wanted))

        def send(file: Hashed) -> None:
            _send(connection, study, file)
            watcher.sent(file.size)

        side_by_side(send, wanted, at_once, threading.Event())


def _sources(folder: Path) -> list[Source]:
    if not folder.is_dir():
        raise BadLayout(f"There is no folder {folder}; give one that holds pictures.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() not in PASSED_OVER)
    if not paths:
        raise BadLayout(f"The folder {folder} holds no pictures; give one that does.")
    return [Source(Output(str(path.relative_to(folder)), "", 0), path) for path in paths]


def _send(connection: Connection, study: str, file: Hashed) -> None:
    def content() -> Iterator[bytes]:
        return file.read(0, file.size)

    headers = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
    path = f"studies/{study}/reference-images/{file.sha256}/"
    try:
        connection.ask("PUT", path, content=content, headers=headers)
    except Problem as problem:
        if problem.status != 422:
            raise
        told = f"{file.source.output.path} does not do. {problem}"
        raise Problem(problem.status, told, problem.details) from None
