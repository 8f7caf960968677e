"""A folder or a zip that a browser sent, submitted as the client submits a folder: manifest, then what is missing."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import IO, cast

from django.core.files.uploadedfile import UploadedFile

from evalhub.client.layout import BadLayout, Layout, Output, arrange, top_folder
from evalhub.problems import Refusal, TooLarge
from evalhub.studies.models import Study, Submission, User
from evalhub.studies.services.archives import looked_over
from evalhub.studies.services.manifest import CheckpointFacts, ManifestFile
from evalhub.studies.services.media import CHUNK
from evalhub.studies.services.receiving import receive_file
from evalhub.studies.services.submissions import receive_manifest

MOST_MANIFEST_BYTES = 64 * 2**20

# The files of a delivery: each path with a way to read it from its beginning, as often as wanted.
Files = Mapping[str, Callable[[], AbstractContextManager[IO[bytes]]]]


@contextmanager
def unpacked(archive: UploadedFile) -> Iterator[Files]:
    """The files in a zip. Refusal for an archive that is damaged or made to do harm."""
    with looked_over(_beginning(archive)) as opened:
        names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
        yield {name: partial(opened.open, name) for name in names}


def chosen(files: Sequence[UploadedFile], paths: Sequence[str] = ()) -> Files:
    """The files of a folder. Browsers send them without their folders; a script on the page may send the paths too."""
    if paths and len(paths) != len(files):
        raise Refusal(f"The page named {len(paths):,} files and sent {len(files):,}; send the form again.")
    names = list(paths) or [file.name or "" for file in files]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refusal(f"Several files are called {twice[0]}; send the folder as a zip, which keeps its sub-folders.")
    # Not closed in between: a temporary file is gone once it is.
    return {name: partial(_again, file) for name, file in zip(names, files, strict=True)}


def _again(file: UploadedFile) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(_beginning(file))


def _beginning(file: UploadedFile) -> IO[bytes]:
    file.seek(0)
    return cast(IO[bytes], file)


def wrapping(*, study: Study, paths: Sequence[str]) -> str:
    """The folder around all files, with its slash, or nothing; a folder that a prompt names is none."""
    return top_folder(paths, keep=study.prompts.values_list("key", flat=True))


def lay_out(*, study: Study, paths: Sequence[str], read: Callable[[str], bytes]) -> Layout:
    """Which of these files answers which prompt. A folder around all of them is looked through.

    Args:
        read: gives the bytes of a file, by its path; asked for a manifest.
    Raises: Refusal, in a sentence, when there is no sense in them.
    """
    top = wrapping(study=study, paths=paths)
    try:
        return arrange([path.removeprefix(top) for path in paths], lambda path: read(top + path))
    except BadLayout as reason:
        raise Refusal(str(reason)) from None


def deliver(*, study: Study, actor: User, checkpoint: CheckpointFacts, files: Files) -> Submission:
    """Submit files that are here already. Sent again, it goes on where it stopped; what is wrong is in its report."""

    def read(path: str) -> bytes:
        with files[path]() as file:
            content = file.read(MOST_MANIFEST_BYTES + 1)
        if len(content) > MOST_MANIFEST_BYTES:
            raise TooLarge(f"{path} has more than the {MOST_MANIFEST_BYTES:,} bytes that are taken.")
        return content

    paths = list(files)
    top = wrapping(study=study, paths=paths)
    outputs = lay_out(study=study, paths=paths, read=read).outputs
    manifest = [_promise(output, files[top + output.path]) for output in outputs]
    submission = receive_manifest(study=study, actor=actor, checkpoint=checkpoint, files=manifest)
    openers = {file.sha256: files[top + file.path] for file in manifest}
    for sha256 in set(submission.entries.outstanding().values_list("sha256", flat=True)):
        with openers[sha256]() as stream:
            receive_file(submission=submission, sha256=sha256, stream=stream)
    submission.refresh_from_db()
    return submission


def _promise(output: Output, opened: Callable[[], AbstractContextManager[IO[bytes]]]) -> ManifestFile:
    digest, size = hashlib.sha256(), 0
    with opened() as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return ManifestFile(output.path, digest.hexdigest(), size, output.prompt, output.seed)
