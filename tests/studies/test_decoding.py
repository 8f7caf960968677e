"""Files that are not what they seem, or that are made to do harm, in the real decoder processes."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image
from pytest_django import Settings

from evalhub.studies import inspection
from evalhub.studies.decoding.process import MOST
from evalhub.studies.inspection import Undecodable, inspect
from tests.submitting import picture


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bomb() -> bytes:
    """A small file of 16,384² grey pixels: fit by its size, and too large for 200 MiB."""
    side = 16_384
    deflated = zlib.compressobj(9)
    row = b"\0" * (side + 1)
    body = b"".join(deflated.compress(row * 64) for _ in range(side // 64)) + deflated.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def animation() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def turned() -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.png"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif", "tiff"])
def test_the_bytes_say_what_a_file_is_and_not_its_name(file: Path, form: str) -> None:
    file.write_bytes(picture(1, size=(30, 20), form=form.upper()))
    facts = inspect(file)
    assert (facts.kind, facts.format, facts.width, facts.height, facts.frames) == ("image", form, 30, 20, 1)


def test_the_size_is_the_one_that_is_shown(file: Path) -> None:
    file.write_bytes(turned())
    facts = inspect(file)
    assert (facts.width, facts.height) == (20, 40)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif", "tiff"])
@pytest.mark.parametrize("rest", [0.05, 0.5, 0.97])
def test_cut_off_pictures(file: Path, form: str, rest: float) -> None:
    content = picture(1, size=(64, 64), form=form.upper())
    file.write_bytes(content[: int(len(content) * rest)])
    with pytest.raises(Undecodable):
        inspect(file)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><title>404</title>", "is an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "is an SVG drawing"),
        (b"PK\x03\x04rest", "is a zip archive"),
        (b"GIF89a....", "is a GIF"),
        (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
        (b"\x00\x00\x00\x20ftypisom", "is an MP4 video, and this study compares images"),
        (b"\x1a\x45\xdf\xa3", "is a Matroska video"),
        (b"\x76\x2f\x31\x01\x02", "is an OpenEXR picture"),
        (b"%!PS-Adobe", "is not a picture that its first bytes would name"),
        (png(20_000, 4, b"\0" * 4), "is 20000×4 pixels; at most 16,384 on each side are taken"),
        (png(8, 8, b"\0" * 8), "does not decode as PNG"),
        (picture(1)[:40] + b"\xff" + picture(1)[41:], "does not decode as PNG"),
        (animation(), "holds 2 pictures"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(file: Path, content: bytes, phrase: str) -> None:
    file.write_bytes(content)
    with pytest.raises(Undecodable, match=f"^{phrase}"):
        inspect(file)


def test_a_bomb_meets_the_limit_of_memory(file: Path, settings: Settings) -> None:
    file.write_bytes(bomb())
    assert file.stat().st_size < 2**19
    settings.DECODE_MEMORY_BYTES = 200 * 2**20
    with pytest.raises(Undecodable, match="takes more memory to decode than the site allows"):
        inspect(file)


def test_the_time_limit_ends_a_decoder_and_the_next_file_is_served(file: Path, settings: Settings) -> None:
    os.mkfifo(file)  # opening it waits for a writer, for ever
    settings.DECODE_SECONDS = 1
    with pytest.raises(Undecodable, match="takes longer than 1 seconds to decode"):
        inspect(file)
    file.unlink()
    file.write_bytes(picture(1))
    assert inspect(file).format == "png"


def children() -> list[int]:
    """The processes in which the decoder that answers next reads files."""
    pid = inspection._resting[-1].process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_one_process_reads_many_pictures_and_none_after_one_that_did_not_do(file: Path) -> None:
    file.write_bytes(picture(1))
    inspect(file)
    (reader,) = children()
    inspect(file)
    assert children() == [reader]
    limits = Path(f"/proc/{reader}/limits").read_text()
    assert re.search(r"Max file size +0 +0 ", limits)
    assert re.search(r"Max open files +32 +32 ", limits)
    assert re.search(rf"Max address space +{settings.DECODE_MEMORY_BYTES} ", limits)
    (soft,) = re.findall(r"Max cpu time +(\d+) ", limits)
    assert int(soft) <= settings.DECODE_SECONDS + 3
    file.write_bytes(picture(1)[:200])
    with pytest.raises(Undecodable):
        inspect(file)
    assert children() == []
    file.write_bytes(picture(1))
    inspect(file)
    assert reader not in children()


def test_a_reader_is_replaced_after_so_many_files_and_once_it_has_grown(file: Path) -> None:
    file.write_bytes(picture(1, size=(8, 8)))
    inspection._resting.clear()
    readers = set()
    for _ in range(MOST + 2):
        assert inspect(file).width == 8
        readers.update(children())
    assert len(readers) == 2
    Image.new("RGB", (13_000, 13_000)).save(file, compress_level=1)
    assert inspect(file).width == 13_000
    assert children() == []


def test_a_reader_that_died_between_two_files_costs_neither(file: Path) -> None:
    file.write_bytes(picture(1))
    inspect(file)
    for reader in children():
        os.kill(reader, signal.SIGKILL)
    assert inspect(file).format == "png"


def test_each_file_has_its_own_time_and_a_reader_that_shuts_its_ears_is_killed(tmp_path: Path) -> None:
    """In a process of its own, since it forks: a reader that ignores its alarm, as hijacked code would."""
    (tmp_path / "x.png").write_bytes(picture(1))
    os.mkfifo(tmp_path / "pipe.png")
    program = """
import json, signal, sys
from PIL import Image
from evalhub.studies.decoding import process
signal.signal(signal.SIGALRM, signal.SIG_IGN)
decoder = process.Decoder()
limits = {"memory": 2**31, "side": {"image": 100}, "frames": 1, "kinds": ["image"], "seconds": {"image": 1}}
for name in ("x.png", "x.png", "pipe.png", "x.png"):
    print(decoder.answer({"path": f"{sys.argv[1]}/{name}", **limits}).decode().strip())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    first, second, third, fourth = map(json.loads, done.stdout.splitlines())
    assert first == second == fourth
    assert third == {"problem": "takes longer than 1 seconds to decode"}


def test_a_killed_decoder_is_replaced(file: Path) -> None:
    file.write_bytes(picture(1))
    inspect(file)
    for decoder in list(inspection._resting):
        decoder.process.send_signal(signal.SIGKILL)
        decoder.process.wait()
    assert inspect(file).format == "png"


def test_many_threads_at_once(tmp_path: Path) -> None:
    found: dict[int, tuple[int, int]] = {}

    def look(number: int) -> None:
        path = tmp_path / f"{number}.png"
        path.write_bytes(picture(number, size=(10 + number, 20)))
        facts = inspect(path)
        found[number] = (facts.width, facts.height)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: (10 + number, 20) for number in range(12)}


def test_a_decoder_knows_no_secrets_and_ends_with_its_parent(file: Path) -> None:
    file.write_bytes(picture(1))
    inspect(file)
    decoder = inspection._resting[-1].process
    assert b"SECRET_KEY" not in Path(f"/proc/{decoder.pid}/environ").read_bytes()
    assert decoder.stdin is not None
    inspection._resting.pop()
    decoder.stdin.close()
    try:
        assert decoder.wait(5) == 0
    except subprocess.TimeoutExpired:
        decoder.kill()
        raise
