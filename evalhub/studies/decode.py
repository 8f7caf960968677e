"""Look into untrusted files, each in a process of its own with little time and memory.

Run as `python -I -S decode.py PACKAGES`, the folder of Pillow. Each line read is a JSON question (`path`, and the
limits `seconds`, `memory` in bytes, `side` in pixels), each line written its answer: what the file is, or
`{"problem": …}`, a phrase that follows the file's name in a sentence. This process never opens a file: it imports
Pillow once and forks for each question, which costs a seventh of a new interpreter; it has one thread, so forking is
safe. It ends when its input ends, that is, with whoever asks.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

# Pillow knows many formats; whoever sends a file chooses among these only.
SIGNATURES = {
    "png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "avif": lambda head: head[4:8] == b"ftyp" and (b"avif" in head[8:64] or b"avis" in head[8:64]),
    "tiff": lambda head: head[:4] in (b"II*\x00", b"MM\x00*"),
}
VIDEOS = {
    "an MP4 or QuickTime video": lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"heic", b"heix", b"mif1"),
    "a WebM or Matroska video": lambda head: head.startswith(b"\x1aE\xdf\xa3"),
    "an AVI video": lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ",
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
    "an SVG drawing": lambda head: b"<svg" in head.lower(),
    "an HTML page": lambda head: b"<html" in head.lower() or b"<!doctype html" in head.lower(),
    "an XML file": lambda head: head.lstrip().startswith(b"<?xml"),
}
TAKEN = "PNG, JPEG, WebP, AVIF and TIFF are taken"
ORIENTATION = 0x0112


class Unfit(Exception):
    """Why a file is not taken: a phrase that follows its name."""


def sniff(head: bytes) -> str:
    """The format that the first bytes announce; Unfit when it is not one that is taken."""
    for name, matches in SIGNATURES.items():
        if matches(head):
            return name
    if not head:
        raise Unfit("is empty")
    for name, matches in VIDEOS.items():
        if matches(head):
            raise Unfit(f"is {name}, and this study compares images: {TAKEN}")
    for name, matches in STRANGERS.items():
        if matches(head):
            raise Unfit(f"is {name}: {TAKEN}")
    raise Unfit(f"is not a picture that its first bytes would name: {TAKEN}")


def read_image(path: str, form: str, side: int) -> dict[str, object]:
    """Decode every pixel of a still picture.

    Returns: its kind, format and its size as shown, that is after the turn that EXIF may ask for.
    Raises: Unfit when it is larger than `side` on a side, moves, or does not decode to its end.
    """
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = None  # `side` is the limit, checked before a pixel is decoded
    try:
        if form == "png":  # whose decoder stops at the last pixel; this reads on to the end, checksums included
            with Image.open(path, formats=["PNG"]) as image:
                image.verify()
        with Image.open(path, formats=[form.upper()]) as image:
            width, height = image.size
            if max(width, height) > side:
                raise Unfit(f"is {width}×{height} pixels; at most {side:,} on each side are taken")
            # A JPEG with a second picture inside (MPO) is shown as its first.
            pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if pictures > 1:
                raise Unfit(f"holds {pictures} pictures (an animation or pages); send one still picture")
            image.load()
            if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
    except MemoryError:
        raise Unfit("takes more memory to decode than the site allows") from None
    except (Unfit, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - decoders meet hostile bytes with errors of every kind
        raise Unfit(f"does not decode as {form.upper()} ({_reason(error)})") from None
    return {"kind": "image", "format": form, "width": width, "height": height, "frames": 1}


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "it is cut off"
    if "cannot identify image file" in text:
        return "its beginning is damaged or the rest is missing"
    return text[:200] or type(error).__name__


def limit(seconds: int, memory: int) -> None:
    """Bind this process: processor time, address space, no file written, no core dumped, few files open."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for name, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 32)):
        resource.setrlimit(name, (most, most))


def examine(path: str, seconds: int, memory: int, side: int) -> dict[str, object]:
    """The answer about one file, under limits that bind this process from now on."""
    limit(seconds, memory)
    signal.alarm(2 * seconds)
    try:
        with open(path, "rb") as file:
            form = sniff(file.read(512))
        return read_image(path, form, side)
    except Unfit as reason:
        return {"problem": str(reason)}


def answer(question: dict[str, Any]) -> bytes:
    """One line about one file, by a process made for it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(examine(**question)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        line = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return line
    if -code in (signal.SIGXCPU, signal.SIGALRM):
        return json.dumps({"problem": f"takes longer than {question['seconds']} seconds to decode"}).encode()
    return json.dumps({"problem": "makes the decoder fail; it is damaged, or made to do harm"}).encode()


def main(packages: str) -> None:
    sys.path.append(packages)
    from PIL import AvifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    for question in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(json.loads(question)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
