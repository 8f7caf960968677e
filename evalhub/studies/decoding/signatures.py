"""What a file is by its first bytes. Whoever sends one chooses among these formats only: no other decoder is tried."""

from evalhub.studies.decoding.unfit import Unfit

IMAGES = {
    "png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "avif": lambda head: head[4:8] == b"ftyp" and (b"avif" in head[8:64] or b"avis" in head[8:64]),
    "tiff": lambda head: head[:4] in (b"II*\x00", b"MM\x00*"),
}
VIDEOS = {
    "mov": lambda head: head[4:12] == b"ftypqt  " or head[4:8] in (b"moov", b"mdat", b"wide"),
    "mp4": lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"heic", b"heix", b"mif1"),
    "webm": lambda head: head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64],
    "mkv": lambda head: head.startswith(b"\x1aE\xdf\xa3"),
    "avi": lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ",
}
STRANGERS = {
    "a Git LFS pointer instead of the file (run `git lfs pull`)": lambda head: head.startswith(
        b"version https://git-lfs"
    ),
    "a GIF": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    "a BMP": lambda head: head.startswith(b"BM"),
    "a zip archive": lambda head: head.startswith(b"PK\x03\x04"),
    "a gzip archive": lambda head: head.startswith(b"\x1f\x8b"),
    "a PDF": lambda head: head.startswith(b"%PDF"),
    "a HEIC picture": lambda head: head[4:8] == b"ftyp",
    "a NumPy array": lambda head: head.startswith(b"\x93NUMPY"),
    "an OpenEXR picture": lambda head: head.startswith(b"\x76\x2f\x31\x01"),
    "an SVG drawing": lambda head: b"<svg" in head.lower(),
    "an HTML page": lambda head: b"<html" in head.lower() or b"<!doctype html" in head.lower(),
    "an XML file": lambda head: head.lstrip().startswith(b"<?xml"),
}
KINDS = {"image": IMAGES, "video": VIDEOS}
CALLED = {"mov": "a QuickTime video", "mp4": "an MP4 video", "webm": "a WebM video", "mkv": "a Matroska video"}
CALLED |= {"avi": "an AVI video", "avif": "an AVIF picture"}
TAKEN = {
    "image": "PNG, JPEG, WebP, AVIF and TIFF are taken",
    "video": "MP4, QuickTime, WebM, Matroska and AVI are taken",
}


def sniff(head: bytes, kinds: list[str]) -> tuple[str, str]:
    """The kind and format that the first bytes announce.

    Args: kinds: which of "image" and "video" are taken here.
    Raises: Unfit when it is neither, or not of a kind that is taken.
    """
    taken = "; ".join(TAKEN[kind] for kind in kinds)
    if not head:
        raise Unfit("is empty")
    for kind, signatures in KINDS.items():
        for form, matches in signatures.items():
            if matches(head):
                if kind in kinds:
                    return kind, form
                name = CALLED.get(form, f"a {form.upper()} picture")
                raise Unfit(f"is {name}, and this study compares {kinds[0]}s: {taken}")
    for name, matches in STRANGERS.items():
        if matches(head):
            raise Unfit(f"is {name}: {taken}")
    thing = "picture" if kinds == ["image"] else "video" if kinds == ["video"] else "picture or video"
    raise Unfit(f"is not a {thing} that its first bytes would name: {taken}")
