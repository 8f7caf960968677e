"""Folders and a CSV file become subjects: what the command is given. Imports no torch.

Beside every sample lie, in folders of their own and under the same relative path (extension aside), its reference, its
source and its mask; the CSV has a line for it. Samples are pictures or videos, never both in one folder.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from metrics.engine.columns import COLUMNS, Role
from metrics.engine.errors import BadInput
from metrics.engine.images import read_size
from metrics.engine.registry import Need, check_modality, get_metric
from metrics.engine.sizes import Size, misfit
from metrics.engine.subjects import Picture, Subject

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi"})

_KINDS = {"image": ("picture", PICTURES), "video": ("video", VIDEOS)}
_COLUMN_OF = {Role.CAPTION: "caption", Role.SOURCE_CAPTION: "source_caption"}
_OPTIONS = {
    Role.REFERENCE: "--reference DIR",
    Role.SOURCE: "--sources DIR",
    Role.MASK: "--masks DIR",
    Role.CAPTION: "--captions CSV",
    Role.SOURCE_CAPTION: "--captions CSV",
}


@dataclass(frozen=True)
class Layout:
    """Where samples lie, and what they are compared with.

    Attributes:
        reference: real pictures; for metrics of pairs, one for each sample.
        sources, masks: for edited samples, what was edited and where.
        captions: a CSV with the columns `file`, `caption` and, for directional similarity, `source_caption`.
    """

    samples: Path
    reference: Path | None = None
    sources: Path | None = None
    masks: Path | None = None
    captions: Path | None = None

    def place_of(self, role: Role) -> Path | None:
        """The folder of the pictures, or the file of the texts, that play `role`."""
        folders = {Role.REFERENCE: self.reference, Role.SOURCE: self.sources, Role.MASK: self.masks}
        return self.captions if role.is_text else folders[role]


def modality_of(folder: Path) -> str:
    """What `folder` holds, by extensions: “image” or “video”.

    Raises: BadInput if there is no such folder, or pictures and videos lie in it together.
    """
    pictures, videos = (_files(folder, suffixes) for _, suffixes in _KINDS.values())
    if pictures and videos:
        raise BadInput(f"{folder} holds pictures and videos ({pictures[0].name}, {videos[0].name}); score them apart.")
    return "video" if videos else "image"


def files_in(folder: Path, modality: str = "image") -> list[Path]:
    """Every picture, or video, below `folder`, by its extension, in the order of their relative paths.

    Raises: BadInput if there is no such folder or nothing of that kind in it.
    """
    kind, suffixes = _KINDS[modality]
    found = _files(folder, suffixes)
    if not found:
        raise BadInput(f"{folder} holds no {kind} ({', '.join(sorted(suffixes))}); give a folder that does.")
    return found


def subjects_of(paths: Iterable[Path]) -> list[Subject]:
    """One subject per file, keyed by the SHA-256 of its bytes."""
    return [Subject(key=_sha256(path), open=_opener(path), name=str(path)) for path in paths]


def samples_for(metrics: Sequence[str], layout: Layout) -> list[Subject]:
    """The subjects of a folder of samples, with all that `metrics` compare them with.

    Raises: BadInput naming the first file that lacks something, or whose size does not fit a metric of pairs.
    """
    modality = modality_of(layout.samples)
    paths = files_in(layout.samples, modality)
    check_modality(metrics, modality)
    if metric := next((name for name in metrics if Need.REFERENCE_SET in get_metric(name).needs), None):
        _place(layout, Role.REFERENCE, metric)
    needed = {role: name for name in reversed(metrics) for role in get_metric(name).roles}
    partners = {
        role: _partners(paths, layout, role, metric, modality) for role, metric in needed.items() if not role.is_text
    }

    def picture(role: Role, path: Path) -> Picture | None:
        return _picture(partners[role][path]) if role in partners else None

    texts = _texts(paths, layout, {role: metric for role, metric in needed.items() if role.is_text})
    subjects = [
        Subject(
            key=_sha256(path),
            open=_opener(path),
            caption=texts[path].get(Role.CAPTION),
            reference=picture(Role.REFERENCE, path),
            source=picture(Role.SOURCE, path),
            mask=picture(Role.MASK, path),
            source_caption=texts[path].get(Role.SOURCE_CAPTION),
            name=str(path),
        )
        for path in paths
    ]
    if modality == "image":
        _check_sizes(subjects, metrics)
    return subjects


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; give the path of a folder of pictures.")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())


def _place(layout: Layout, role: Role, metric: str) -> Path:
    place = layout.place_of(role)
    if place is None:
        raise BadInput(f"{get_metric(metric).title} needs {_OPTIONS[role]}; add it.")
    return place


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _partners(paths: Sequence[Path], layout: Layout, role: Role, metric: str, modality: str) -> dict[Path, Path]:
    """For each sample the file that plays `role`."""
    folder = _place(layout, role, metric)
    by_stem: dict[str, Path] = {}
    for path in files_in(folder, modality if role is Role.REFERENCE else "image"):
        stem = _stem(path, folder)
        if stem in by_stem:
            raise BadInput(f"{by_stem[stem]} and {path} differ only in their extension; rename or remove one of them.")
        by_stem[stem] = path
    partners = {}
    for path in paths:
        stem = _stem(path, layout.samples)
        if stem not in by_stem:
            title = get_metric(metric).title
            raise BadInput(f"{path} has no {role} of the same name in {folder}; {title} needs one for each sample.")
        partners[path] = by_stem[stem]
    return partners


def _texts(paths: Sequence[Path], layout: Layout, needed: Mapping[Role, str]) -> dict[Path, dict[Role, str]]:
    """For each sample the texts that play the needed roles."""
    texts: dict[Path, dict[Role, str]] = {path: {} for path in paths}
    for role, metric in needed.items():
        file = _place(layout, role, metric)
        written = read_captions(file, _COLUMN_OF[role])
        for path in paths:
            stem = _stem(path, layout.samples)
            if stem not in written:
                name = path.relative_to(layout.samples).as_posix()
                raise BadInput(f"{path} has no {role} in {file}; add a line for “{name}”.")
            texts[path][role] = written[stem]
    return texts


def read_captions(path: Path, column: str = "caption") -> dict[str, str]:
    """A CSV's column by its column `file`, extensions aside.

    Raises: BadInput naming the file, and the line where there is one.
    """
    said = column.replace("_", " ")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"file", column} <= set(rows.fieldnames or ()):
                found = ", ".join(rows.fieldnames or ()) or "nothing"
                raise BadInput(f"{path} has the columns {found}; its first line must name “file” and “{column}”.")
            captions = {}
            for line, row in enumerate(rows, start=2):
                if not row["file"] or row[column] is None:
                    raise BadInput(f"{path}, line {line}, lacks a file or a {said}; give both.")
                captions[Path(row["file"]).with_suffix("").as_posix()] = row[column]
            return captions
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise BadInput(f"{path} cannot be read as a UTF-8 CSV of captions ({fault}); save it as one.") from None


def _check_sizes(subjects: Sequence[Subject], metrics: Sequence[str]) -> None:
    """Reads headers only, so that a sample that does not fit is told before hours of work and not after."""
    sizes: dict[str, Size | None] = {}

    def size_of(picture: Picture | None) -> Size | None:
        if picture is None:
            return None
        if picture.key not in sizes:
            with picture.open() as file:
                sizes[picture.key] = read_size(file)
        return sizes[picture.key]

    for spec in map(get_metric, metrics):
        for column in (COLUMNS[name] for name in spec.columns if len(COLUMNS[name].roles) > 1):
            for subject in subjects:
                sample, *others = (size_of(subject.picture(role)) for role in column.roles)
                for role, other in zip(column.roles[1:], others, strict=True):
                    # What cannot be read is told when it is decoded, with the reason.
                    if sample and other:
                        _require(misfit(subject.title, spec.title, sample, role, other, column.minimum_side))


def _require(misfit_sentence: str) -> None:
    if misfit_sentence:
        raise BadInput(misfit_sentence)


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
