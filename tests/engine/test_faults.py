"""Odd and hostile files at both doors: where a researcher sends them, and where the engine decodes them.

What the site takes the engine reads, and what a file becomes there is the same in every metric; docs/metrics.md has the
table.
"""

import io
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_django import Settings

from evalhub.studies.inspection import Undecodable, inspect
from metrics.engine.errors import UnreadableImage
from metrics.engine.images import MAX_SIDE, decode_image
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, encoded, subject

RED, WHITE = [255, 0, 0], [255, 255, 255]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def truncated_png() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(Image.fromarray(noise), "PNG")
    return whole[: len(whole) // 2]


def sixteen_bit_png() -> bytes:
    return saved(Image.fromarray(np.full((40, 40), 0xABCD, np.uint16)), "PNG")


def palette_with_alpha() -> bytes:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (20, 0, 40, 40))
    return saved(image, "PNG", transparency=bytes([255, 0]))


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter, clockwise: what lies below comes to the left
    image = Image.new("RGB", (64, 40), "white")
    image.paste((255, 0, 0), (0, 20, 64, 40))
    return saved(image, "JPEG", quality=95, subsampling=0, exif=exif)


def animated_webp() -> bytes:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def claiming(width: int, height: int, content: bytes) -> bytes:
    """A PNG whose header claims a size, whatever follows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


TAKEN = {
    "16-bit.png": (sixteen_bit_png(), (40, 40), [[0xAB] * 3, [0xAB] * 3]),
    "cmyk.jpg": (saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=100), (40, 40), [RED, RED]),
    "palette.png": (palette_with_alpha(), (40, 40), [RED, WHITE]),
    "turned.jpg": (turned_jpeg(), (40, 64), [RED, WHITE]),
    "1x1.png": (saved(Image.new("RGB", (1, 1), "red"), "PNG"), (1, 1), [RED, RED]),
}
REFUSED = {
    "cut.png": (truncated_png(), "damaged or incomplete", "cut off|does not decode"),
    "moving.webp": (animated_webp(), "holds 2 frames", "holds 2 pictures"),
    "claims.png": (claiming(60_000, 60_000, bytes(64)), "claims more than 268,435,456 pixels", "60000×60000 pixels"),
    "long.png": (claiming(20_000, 2, bytes(64)), "20,000 × 2 pixels; at most 16,384", "20000×2 pixels"),
    "page.png": (b"<!doctype html><title>Sign in</title>", "not a picture in a known format", "is an HTML page"),
    "x.exr": (b"\x76\x2f\x31\x01" + bytes(200), "not a picture in a known format", "OpenEXR|no[t]? a picture"),
    "float.tiff": (saved(Image.fromarray(np.zeros((40, 40), np.float32)), "TIFF"), "32-bit pixels", "32-bit pixels"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_site_takes_has_one_meaning(name: str, tmp_path: Path) -> None:
    data, (width, height), (left, right) = TAKEN[name]
    file = tmp_path / name
    file.write_bytes(data)

    facts = inspect(file)
    assert (facts.width, facts.height) == (width, height)
    pixels = decode_image(io.BytesIO(data), name=name)
    assert pixels.shape == (height, width, 3)
    middle = pixels[height // 2]
    assert np.abs(middle[0].astype(int) - left).max() <= 2
    assert np.abs(middle[-1].astype(int) - right).max() <= 2


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_cannot_read_the_site_does_not_take(name: str, tmp_path: Path) -> None:
    data, in_engine, on_site = REFUSED[name]
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(UnreadableImage, match=in_engine) as refusal:
        decode_image(io.BytesIO(data), name=name)
    assert str(refusal.value).startswith(name)
    with pytest.raises(Undecodable, match=on_site):
        inspect(file)


def test_a_bomb_is_bounded_at_the_site_s_door(tmp_path: Path, settings: Settings) -> None:
    """A few bytes that unpack to more than the decoder may have: the largest picture taken is the most it can cost."""
    settings.DECODE_MEMORY_BYTES = 256 * 2**20
    file = tmp_path / "bomb.png"
    file.write_bytes(claiming(MAX_SIDE, MAX_SIDE, bytes(2**20)))
    with pytest.raises(Undecodable, match=r"more memory|does not decode"):
        inspect(file)


def test_the_largest_picture_passes_both_doors(tmp_path: Path) -> None:
    """About 3 s on a quiet machine: two bits of picture, 0.8 GB of pixels."""
    file = tmp_path / "largest.png"
    Image.new("1", (MAX_SIDE, MAX_SIDE), 1).save(file)
    assert file.stat().st_size < 100_000

    facts = inspect(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with file.open("rb") as opened:
        pixels = decode_image(opened, name="largest.png")

    assert (facts.width, facts.height) == (MAX_SIDE, MAX_SIDE)
    assert pixels.shape == (MAX_SIDE, MAX_SIDE, 3)
    assert pixels[-1, -1].tolist() == WHITE
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 3.2e9


def test_a_picture_too_small_for_one_metric_leaves_the_others_theirs(
    weights: Weights, clean: Protocol, photographs: list[Pixels]
) -> None:
    """LPIPS needs 32 pixels a side; FID takes a picture of one pixel."""
    dot, whole = saved(Image.new("RGB", (1, 1), "red"), "PNG"), encoded(photographs[0][:64, :64])
    block = compute_block(
        [subject(whole, whole, name="whole"), subject(dot, dot, name="dot")],
        metrics=["fid", "lpips"],
        protocol=clean,
        weights=weights,
        spare_others=True,
    )
    assert block.columns["inception"].shape == (2, 2048)
    assert "dot is 1 × 1 pixels; LPIPS needs at least 32 on each side." in block.problems["lpips_alex"]
    assert "lpips_alex" not in block.columns
