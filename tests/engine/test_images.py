"""The decode policy, one kind of file at a time."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from metrics.engine.errors import UnreadableImage
from metrics.engine.images import decode_image
from tests.engine.conftest import Pixels, encoded


def decode(data: bytes, name: str = "a.png") -> Pixels:
    return decode_image(io.BytesIO(data), name=name)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_lossless_formats_give_their_pixels_back(photographs: list[Pixels]) -> None:
    picture = photographs[0]
    image = Image.fromarray(picture)
    for data in (
        saved(image, "PNG"),
        saved(image, "WEBP", lossless=True),
        saved(image, "BMP"),
        saved(image, "TIFF"),
    ):
        assert np.array_equal(decode(data), picture)


def test_a_jpeg_is_decoded_as_pillow_decodes_it(photographs: list[Pixels]) -> None:
    data = encoded(photographs[0], "JPEG")
    assert np.array_equal(decode(data), np.array(Image.open(io.BytesIO(data)).convert("RGB")))


def test_exif_rotation_is_applied(photographs: list[Pixels]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter, clockwise
    data = saved(Image.fromarray(photographs[0]), "PNG", exif=exif)
    assert np.array_equal(decode(data), np.rot90(photographs[0], -1))


def test_transparency_is_laid_over_white() -> None:
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode(saved(half, "PNG"))[0, 0].tolist() == [127, 127, 127]
    clear = Image.new("LA", (4, 4), (0, 0))
    assert decode(saved(clear, "PNG"))[0, 0].tolist() == [255, 255, 255]
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30])
    assert decode(saved(palette, "PNG", transparency=0))[0, 0].tolist() == [255, 255, 255]
    assert decode(saved(palette, "PNG"))[0, 0].tolist() == [10, 20, 30]


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    levels = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert decode(saved(Image.fromarray(levels), "PNG"))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_grey_and_cmyk_become_rgb() -> None:
    assert decode(saved(Image.new("L", (3, 2), 77), "PNG")).tolist() == [[[77] * 3] * 3] * 2
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert decode(saved(cmyk, "JPEG", quality=100))[0, 0].tolist() == [255, 0, 0]


def test_one_pixel_is_a_picture() -> None:
    assert decode(encoded(np.full((1, 1, 3), 9, np.uint8))).tolist() == [[[9, 9, 9]]]


def test_each_refusal_is_a_sentence_with_the_name(photographs: list[Pixels]) -> None:
    png = encoded(photographs[0])
    frames = [Image.new("RGB", (8, 8), (each, 0, 0)) for each in (0, 255)]
    refusals = {
        "cut.png": (png[: len(png) // 2], r"^cut\.png is damaged or incomplete \(.*\); send the file again\.$"),
        "cut.jpg": (encoded(photographs[0], "JPEG")[:900], r"^cut\.jpg is damaged or incomplete"),
        "page.png": (b"<!doctype html><p>Sign in", r"^page\.png is not a picture in a known format \(PNG, JPEG"),
        "empty.png": (b"", r"^empty\.png is not a picture"),
        "moving.webp": (
            saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
            r"^moving\.webp holds 2 frames where one still picture was expected; send a single frame\.$",
        ),
        "moving.gif": (saved(frames[0], "GIF"), r"^moving\.gif is not a picture in a known format"),
        "float.tiff": (
            saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
            r"^float\.tiff has 32-bit pixels, whose range is not known; save it with 8 or 16 bits a channel\.$",
        ),
        "bomb.png": (claimed_png(60000, 60000), r"^bomb\.png claims more than 268,435,456 pixels"),
        "long.png": (claimed_png(20000, 2), r"^long\.png is 20,000 × 2 pixels; at most 16,384 on a side"),
    }
    for name, (data, sentence) in refusals.items():
        with pytest.raises(UnreadableImage, match=sentence):
            decode(data, name)


def claimed_png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


def test_a_phones_photograph_with_a_preview_is_one_picture() -> None:
    photograph = Image.new("RGB", (32, 32), (200, 10, 10))
    data = saved(photograph, "MPO", save_all=True, append_images=[photograph.resize((8, 8))])
    assert decode(data, "phone.jpg").shape == (32, 32, 3)
