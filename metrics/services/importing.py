"""References from elsewhere: a named set of real pictures that the runs of a study compare with from then on.

The command takes a folder of the site's own machine. A program elsewhere sends each picture by itself, and then says
which of them make the set.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies.inspection import Undecodable, inspect
from evalhub.studies.models import LogEntry, Media, MediaKind, Study, User
from evalhub.studies.services.media import CutOff, Stream, keep, store_media, uploaded
from evalhub.studies.services.quotas import OverQuota, gigabytes, usage
from metrics.models import Reference, ReferenceImage

LONGEST_LICENCE = 200
MOST_IMAGES = 200_000
MOST_MISSING = 10_000  # are named at once
LEAST = 2  # a distribution of fewer has no covariance
# What people keep beside pictures; nothing is said of it.
PASSED_OVER = frozenset({".txt", ".csv", ".json", ".jsonl", ".md", ".ds_store", ".db", ""})


@dataclass
class ImportedReference:
    """What became of a folder.

    Attributes:
        reference: the set; `is_new` unless the very same was there already.
        images: in it; twice: files with the bytes of another one; bad: a sentence on each file that does not do.
    """

    reference: Reference | None = None
    is_new: bool = False
    images: int = 0
    twice: int = 0
    bad: list[str] = field(default_factory=list)


def import_references(
    *,
    study: Study,
    folder: Path,
    name: str,
    licence: str = "",
    actor: User | None = None,
    leave_out: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportedReference:
    """Keep every picture below a folder, in the order of their paths, and make a reference of them.

    Each file is checked and kept by itself, so an import that was interrupted goes on where it stopped when it is asked
    for again: what is here already is only hashed. The reference appears when all are there.

    Args:
        leave_out: whether files that are no pictures in order are passed over; else one of them keeps the reference
            from being made.
        on_progress: told files done, and of how many.
    Raises: Refusal for a folder without pictures, and for bad files; Conflict for a name that other images have.
    """
    name = _checked(name, licence)
    files = _files(folder)
    done = ImportedReference()
    media: dict[int, Media] = {}
    for place, path in enumerate(files):
        try:
            kept = store_media(study=study, path=path)
            if kept.kind != MediaKind.IMAGE:
                raise Refusal(f"{path.name} is a video, and a reference is made of pictures.")
            done.twice += kept.pk in media
            media.setdefault(kept.pk, kept)
        except Refusal as refusal:
            done.bad.append(f"{path.relative_to(folder)}: {refusal.sentence}")
        on_progress(place + 1, len(files))
    done.images = len(media)
    if done.bad and not leave_out:
        raise Refusal(
            f"{len(done.bad):,} of {len(files):,} files do not do, so no reference was made; mend them and import the "
            f"folder again, which goes on from here, or have them left out. {done.bad[0]}",
            bad=done.bad,
        )
    if len(media) < LEAST:
        raise Refusal(f"A reference needs at least {LEAST} different pictures, and {folder.name} has {len(media)}.")
    done.reference, done.is_new = _made(study, name, licence, media.values(), actor)
    return done


def receive_reference_image(*, study: Study, sha256: str, stream: Stream, length: int) -> Media:
    """Take one picture for a reference that is still to be made; one that is here already is not read.

    Args: sha256: of the whole, in hex; length: in bytes, of which the stream gives at least so many.
    Raises: Refusal for what is no picture in order, or has another hash; CutOff; OverQuota; NoRoom.
    """
    known = Media.objects.filter(study=study, sha256=sha256).first()
    if known is not None:
        return _picture(known)
    found = usage(study)
    if found.quota is not None and found.used + length > found.quota:
        raise OverQuota(
            f"With this picture the study would hold {gigabytes(found.used + length)}, and its quota is "
            f"{gigabytes(found.quota)}; send fewer, or ask an owner of the study for more.",
            quota_bytes=found.quota,
            held_bytes=found.held,
            promised_bytes=found.promised,
        )
    with uploaded(stream, length) as upload:
        if upload.size < length:
            raise CutOff("The connection broke before the whole picture had arrived; send it again.")
        if upload.sha256 != sha256:
            raise Refusal(
                f"The bytes that came have the SHA-256 {upload.sha256}, and {sha256} was said; send it again."
            )
        try:
            facts = inspect(upload.path, [MediaKind.IMAGE.value])
        except Undecodable as reason:
            raise Refusal(f"The picture {sha256} {reason}.") from None
        return keep(study=study, upload=upload, facts=facts)


def make_reference(
    *, study: Study, name: str, images: Sequence[str], licence: str = "", actor: User | None
) -> tuple[Reference, bool]:
    """Make a reference of pictures that are here, in the order given; the reference, and whether it is new.

    Args: images: SHA-256 in hex of each.
    Raises: Conflict for a name that other images have, and, with `missing` in its details, while pictures are still to
        be sent; Refusal for a list that names one twice, too few, or what is no picture.
    """
    name = _checked(name, licence)
    if len(images) < LEAST or len(set(images)) < len(images):
        raise Refusal(
            f"A reference is made of at least {LEAST} different pictures, each named once; got {len(images):,}, of "
            f"which {len(set(images)):,} differ."
        )
    here = {one.sha256: one for one in Media.objects.filter(study=study, sha256__in=images)}
    if missing := [sha256 for sha256 in images if sha256 not in here]:
        raise Conflict(
            f"{len(missing):,} of {len(images):,} pictures are not here yet; send those in `missing`, and ask again.",
            missing=missing[:MOST_MISSING],
        )
    return _made(study, name, licence, [_picture(here[sha256]) for sha256 in images], actor)


def _picture(media: Media) -> Media:
    if media.kind != MediaKind.IMAGE:
        raise Refusal(f"{media.sha256} is a video, and a reference is made of pictures.")
    return media


def _checked(name: str, licence: str) -> str:
    name = " ".join(name.split())
    longest = Reference._meta.get_field("name").max_length or 0
    if not 0 < len(name) <= longest or len(licence) > LONGEST_LICENCE or "\0" in name + licence:
        raise Refusal(
            f"A reference has a name of 1 to {longest} characters, and a licence of at most {LONGEST_LICENCE}."
        )
    return name


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise Refusal(f"There is no folder {folder}; give one that holds pictures.")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() not in PASSED_OVER)
    if not found:
        raise Refusal(f"The folder {folder} holds no pictures; give one that does.")
    return found


@transaction.atomic
def _made(study: Study, name: str, licence: str, media: Iterable[Media], actor: User | None) -> tuple[Reference, bool]:
    images = [one.pk for one in media]
    reference, is_new = Reference.objects.select_for_update().get_or_create(
        study=study, name=name, defaults={"licence": licence, "imported_at": timezone.now()}
    )
    if not is_new:
        if list(reference.images.values_list("media_id", flat=True)) != images:
            raise Conflict(
                f"The reference “{name}” has other images, and a reference never changes; choose another name."
            )
        return reference, False
    rows = [ReferenceImage(reference=reference, media_id=one, position=at) for at, one in enumerate(images)]
    ReferenceImage.objects.bulk_create(rows, batch_size=2000)
    told = {"images": len(images), "licence": licence}
    LogEntry.write(study=study, actor=actor, verb="imported references", subject=name, **told)
    return reference, True
