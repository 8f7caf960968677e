"""Small pictures for pages, made when first asked for and kept in storage beside the originals."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image, ImageOps

from evalhub.studies.inspection import Undecodable, poster
from evalhub.studies.models import Media, MediaKind

EDGE = 320
EDGE_OF_VIDEOS = 640  # these are shown larger, and play in their place
# A web process decodes no more than this. A larger picture's thumbnail is kept by the worker that makes it ready for
# raters; until then it gets a sign with its size.
MOST_PIXELS = 50_000_000

log = logging.getLogger(__name__)


def thumbnail(media: Media) -> tuple[bytes, str]:
    """A picture of at most 320 pixels a side, 640 of a video, and its content type.

    The original was decoded before, under limits. A video's frame is taken out of it by a decoder process under limits.
    """
    path = _path(media)
    with suppress(FileNotFoundError), default_storage.open(path) as file:
        kept = file.read()
        if _is_whole(kept):
            return kept, "image/webp"
        default_storage.delete(path)
    if is_too_large(media):
        return _sign(media), "image/svg+xml"
    try:
        small = _of_video(media) if media.kind == MediaKind.VIDEO else _of_image(media)
    except Undecodable as reason:
        log.error("No poster can be made of media %s of study %s: it %s.", media.pk, media.study_id, reason)
        return _sign(media), "image/svg+xml"
    _keep(path, small)
    return small, "image/webp"


def is_too_large(media: Media) -> bool:
    """Whether no web process decodes the picture."""
    return media.kind == MediaKind.IMAGE and media.width * media.height > MOST_PIXELS


def keep_thumbnail(media: Media, picture: Image.Image) -> None:
    """Keep the thumbnail of a picture that is too large for a web process, made from what was read of it elsewhere."""
    picture.thumbnail((EDGE, EDGE))
    _keep(_path(media), _webp(picture))


def _path(media: Media) -> str:
    return f"studies/{media.study_id}/thumbnails/{media.sha256[:2]}/{media.sha256}.webp"


def _keep(path: str, small: bytes) -> None:
    stored = default_storage.save(path, ContentFile(small))
    if stored != path:  # another request kept the same picture first
        default_storage.delete(stored)


def _is_whole(webp: bytes) -> bool:
    """Whether all is there that the header promises: another process may be writing it, or was killed while it did."""
    return len(webp) > 12 and len(webp) == int.from_bytes(webp[4:8], "little") + 8


def _of_image(media: Media) -> bytes:
    with default_storage.open(media.path) as original:
        return _shrink(Image.open(original, formats=[media.format.upper()]))


def _of_video(media: Media) -> bytes:
    with _local(media) as path:
        return poster(path, EDGE_OF_VIDEOS)


@contextmanager
def _local(media: Media) -> Iterator[Path]:
    """Where the original lies on this machine; fetched for the while from a storage elsewhere."""
    try:
        yield Path(default_storage.path(media.path))
        return
    except NotImplementedError:
        pass
    with tempfile.NamedTemporaryFile() as copy, default_storage.open(media.path) as original:
        shutil.copyfileobj(original, copy)
        copy.flush()
        yield Path(copy.name)


def _shrink(image: Image.Image) -> bytes:
    image.draft("RGB", (EDGE * 2, EDGE * 2))
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")  # sixteen bits would be clipped, not scaled
    turned = ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")
    turned.thumbnail((EDGE, EDGE))
    return _webp(turned)


def _webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=82, method=4)
    return buffer.getvalue()


def _sign(media: Media) -> bytes:
    words = f"{media.get_kind_display()} {media.width} × {media.height}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320"><rect width="320" height="320" fill="#888"/>'
        f'<text x="160" y="165" font-family="sans-serif" font-size="20" text-anchor="middle" fill="#fff">{words}</text>'
        "</svg>"
    ).encode()
