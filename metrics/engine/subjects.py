"""What is measured: a subject is one sample with what it is compared with. Folders and CSV files become subjects here
too."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from metrics.engine.columns import Role
from metrics.engine.errors import BadInput
from metrics.engine.registry import Need, get_metric

Opener = Callable[[], BinaryIO]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Picture:
    """A picture, or a video, beside a sample.

    Attributes:
        key: SHA-256 of its bytes; rows are found again under it.
        open: gives its bytes, as often as asked, and is called from decoding threads.
    """

    key: str
    open: Opener


@dataclass(frozen=True)
class Subject:
    """One sample to measure, with what its metrics compare it with.

    Attributes:
        key, open: the sample's own, as `Picture`'s.
        caption: what the sample was asked to show; in editing, what the edited picture shows.
        reference: a real picture of what the sample should be.
        source: the picture that was edited.
        mask: white where the source was to be edited, black where it was to stay; of the source's size.
        source_caption: what the source shows.
        name: what to call it in an error; the key where empty.
    """

    key: str
    open: Opener
    caption: str | None = None
    reference: Picture | None = None
    source: Picture | None = None
    mask: Picture | None = None
    source_caption: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or self.key

    def picture(self, role: Role) -> Picture | None:
        """The picture that plays `role`."""
        if role is Role.SAMPLE:
            return Picture(self.key, self.open)
        return {Role.REFERENCE: self.reference, Role.SOURCE: self.source, Role.MASK: self.mask}[role]

    def text(self, role: Role) -> str | None:
        """The text that plays `role`."""
        return self.caption if role is Role.CAPTION else self.source_caption

    def has(self, role: Role) -> bool:
        return (self.text(role) if role.is_text else self.picture(role)) is not None

    def content(self, roles: Sequence[Role]) -> str:
        """The key of a row made of `roles`: hashes of what plays them, so that equal content has one row."""
        return "|".join(self._hash(role) for role in roles)

    def _hash(self, role: Role) -> str:
        if role.is_text:
            return hashlib.sha256((self.text(role) or "").encode()).hexdigest()
        picture = self.picture(role)
        return picture.key if picture else ""


def pictures_in(folder: Path) -> list[Path]:
    """Every picture below `folder`, by its extension, in the order of their relative paths.

    Raises: BadInput if there is no such folder or no picture in it.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; give the path of a folder of pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BadInput(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}); give a folder that does.")
    return found


def subjects_of(paths: Iterable[Path]) -> list[Subject]:
    """One subject per file, keyed by the SHA-256 of its bytes."""
    return [Subject(key=_sha256(path), open=_opener(path), name=str(path)) for path in paths]


def samples_for(metrics: Sequence[str], samples: Path, reference: Path | None, captions: Path | None) -> list[Subject]:
    """The subjects of a folder of samples, with the references and captions that `metrics` need.

    A sample's reference is the file of the same relative path, extension aside; its caption is found under the same
    path.
    Raises: BadInput naming the first file without its partner.
    """
    paths = pictures_in(samples)
    needs = {need: name for name in metrics for need in get_metric(name).needs}
    partners: Mapping[Path, Path] = {}
    texts: Mapping[str, str] = {}
    if metric := needs.get(Need.PAIRED_REFERENCE):
        partners = _partners(paths, samples, _required(reference, metric, "--reference DIR"), metric)
    if metric := needs.get(Need.CAPTION):
        texts = read_captions(_required(captions, metric, "--captions CSV"))
    if metric := needs.get(Need.REFERENCE_SET):
        _required(reference, metric, "--reference DIR")
    return [
        Subject(
            key=_sha256(path),
            open=_opener(path),
            caption=_caption(path, samples, texts, captions) if captions and texts else None,
            reference=_picture(partners[path]) if partners else None,
            name=str(path),
        )
        for path in paths
    ]


def read_captions(path: Path) -> dict[str, str]:
    """A CSV with the columns `file` and `caption`.

    Raises: BadInput naming the file, and the line where there is one.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"file", "caption"} <= set(rows.fieldnames or ()):
                found = ", ".join(rows.fieldnames or ()) or "nothing"
                raise BadInput(f"{path} has the columns {found}; its first line must name “file” and “caption”.")
            captions = {}
            for line, row in enumerate(rows, start=2):
                if not row["file"] or row["caption"] is None:
                    raise BadInput(f"{path}, line {line}, lacks a file or a caption; give both.")
                captions[Path(row["file"]).with_suffix("").as_posix()] = row["caption"]
            return captions
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise BadInput(f"{path} cannot be read as a UTF-8 CSV of captions ({fault}); save it as one.") from None


def _caption(path: Path, samples: Path, texts: Mapping[str, str], captions: Path) -> str:
    stem = path.relative_to(samples).with_suffix("").as_posix()
    if stem not in texts:
        raise BadInput(f"{path} has no caption in {captions}; add a line for “{path.relative_to(samples).as_posix()}”.")
    return texts[stem]


def _partners(paths: Sequence[Path], samples: Path, reference: Path, metric: str) -> dict[Path, Path]:
    by_stem: dict[str, Path] = {}
    for path in pictures_in(reference):
        stem = path.relative_to(reference).with_suffix("").as_posix()
        if stem in by_stem:
            raise BadInput(f"{by_stem[stem]} and {path} differ only in their extension; rename or remove one of them.")
        by_stem[stem] = path
    partners = {}
    for path in paths:
        stem = path.relative_to(samples).with_suffix("").as_posix()
        if stem not in by_stem:
            title = get_metric(metric).title
            raise BadInput(
                f"{path} has no reference of the same name in {reference}; {title} needs one for each sample."
            )
        partners[path] = by_stem[stem]
    return partners


def _required(path: Path | None, metric: str, option: str) -> Path:
    if path is None:
        raise BadInput(f"{get_metric(metric).title} needs {option}; add it.")
    return path


def _picture(path: Path) -> Picture:
    return Picture(_sha256(path), _opener(path))


def _opener(path: Path) -> partial[BinaryIO]:
    return partial(open, path, "rb")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise BadInput(f"{path} cannot be read ({fault.strerror}); check its permissions.") from None
