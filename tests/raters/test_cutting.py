"""Pictures above 4,096 pixels are cut into tiles under one policy."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin
from skimage import data

from raters.presentation import (
    LONGEST_WHOLE,
    TILED,
    WHOLE,
    Canvas,
    Shape,
    Unpresentable,
    large,
    policy,
    present,
    pyramid,
)
from raters.presentation.stills import GREY, fit, read
from tests.raters.conftest import png

WIDE = (4200, 70)  # more than 4,096 pixels on a side, and cut in no time
SMALL = (700, 530)  # for the policy itself, which knows no least size
Pixels = NDArray[np.uint8]


def photograph(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(data.astronaut()).resize(size, Image.Resampling.BICUBIC)


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def cut(folder: Path, content: bytes, form: str, size: tuple[int, int], policy: str = TILED) -> bytes:
    """The file of tiles that is made of a picture's file."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    with source.open("rb") as file:
        large.present(policy, file, form, size, target)
    return target.read_bytes()


def joined(content: bytes, size: tuple[int, int], level: int) -> Pixels:
    """One level, put together from its tiles; each of them is lossless WebP and nothing else."""
    file = io.BytesIO(content)
    whole = Image.new("RGB", pyramid.levels(size)[level])
    for each, column, row in pyramid.tiles(size):
        if each == level:
            number = pyramid.number(size, level, column, row)
            assert number is not None
            tile = pyramid.record_of(file, number)
            assert tile[:4] == b"RIFF"
            assert tile[8:16] == b"WEBPVP8L"
            with Image.open(io.BytesIO(tile)) as picture:
                whole.paste(picture, (column * pyramid.TILE, row * pyramid.TILE))
    return np.asarray(whole)


# -- cutting ------------------------------------------------------------------------------------------------------


def test_every_pixel_of_a_large_photograph_is_in_its_tile(tmp_path: Path) -> None:
    """6,001 × 4,500 pixels, so that the levels' sizes are odd; in bounded memory; coarser levels are means."""
    size = (6001, 4500)
    picture = photograph(size)
    path = tmp_path / "large.png"
    picture.save(path, compress_level=1)
    program = (
        "import resource, sys; from pathlib import Path; from raters.presentation import large\n"
        "source, target = map(Path, sys.argv[1:])\n"
        f"large.present({TILED!r}, source.open('rb'), 'png', {size}, target)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    # In a process between: one begins with the peak memory of the one that starts it.
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "tiles")]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak * 1024 < 350 * 2**20  # Pillow would hold 108 MB of source and as much again, beside the copy
    content = (tmp_path / "tiles").read_bytes()
    finest = len(pyramid.levels(size)) - 1
    np.testing.assert_array_equal(joined(content, size, finest), np.asarray(picture))
    for level in range(finest):
        finer = joined(content, size, level + 1).astype(int)
        even = np.pad(finer, [(0, finer.shape[0] % 2), (0, finer.shape[1] % 2), (0, 0)], mode="edge")
        means = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
        assert np.abs(joined(content, size, level) - means).max() <= 1
    overview = pyramid.record_of(io.BytesIO(content), 0)
    with Image.open(io.BytesIO(overview)) as whole:
        assert whole.size == (1501, 1125)
        np.testing.assert_array_equal(np.asarray(whole), joined(content, size, finest - 2))


def twins() -> dict[str, tuple[bytes, str]]:
    """Files whose pixels are equal, and nothing else."""
    picture = photograph(SMALL)
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "made by Alpha, seed 7")
    exif = Image.Exif()
    exif[0x010E] = "Alpha"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = Image.Exif()
    turned[0x0112] = 6
    sixteen = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    assert sixteen.max() > 255
    return {
        "text and a payload": (saved(picture, pnginfo=text) + b"trailing payload of Alpha", "png"),
        "opaque alpha": (saved(picture.convert("RGBA")), "png"),
        "WebP with EXIF and XMP": (saved(picture, "WEBP", lossless=True, exif=exif.tobytes(), xmp=b"<Alpha/>"), "webp"),
        "TIFF with a profile": (saved(picture, "TIFF", icc_profile=profile, compression="tiff_lzw"), "tiff"),
        "a broken profile": (saved(picture, icc_profile=b"not a profile" * 20), "png"),
        "turned": (saved(picture.transpose(Image.Transpose.ROTATE_90), exif=turned), "png"),
    }


def test_equal_pixels_give_equal_tiles_whatever_the_file(tmp_path: Path) -> None:
    plain = cut(tmp_path, saved(photograph(SMALL)), "png", SMALL)
    assert b"Alpha" not in plain
    for name, (content, form) in twins().items():
        assert cut(tmp_path, content, form, SMALL) == plain, name


def test_the_rules_are_those_of_whole_pictures(tmp_path: Path) -> None:
    """Transparency, depth, grey, CMYK, other profiles, other sizes: the same picture as Pillow's way makes, but for the
    rounding of another implementation."""
    picture = photograph(SMALL)
    alpha = Image.linear_gradient("L").resize(SMALL)
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = other.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    grey = np.asarray(picture.convert("L"))
    files = {
        "transparent": (saved(Image.merge("RGBA", (*picture.split(), alpha))), "png", 1),
        "16 bits": (saved(Image.fromarray(grey.astype(np.uint16) * 257)), "png", 0),
        "grey": (saved(picture.convert("LA")), "png", 0),
        "palette": (saved(picture.convert("P"), transparency=3), "png", 0),
        "another profile": (saved(picture, icc_profile=other), "png", 2),
        "JPEG": (saved(picture, "JPEG", quality=95), "jpeg", 3),
        "smaller": (saved(picture.resize((350, 265))), "png", 30),
        "another shape": (saved(picture.resize((300, 530))), "png", 1),
    }
    for name, (content, form, most) in files.items():
        ours = joined(cut(tmp_path, content, form, SMALL), SMALL, 1).astype(int)
        theirs = np.asarray(fit(read(io.BytesIO(content), form), SMALL)).astype(int)
        assert np.abs(ours - theirs).max() <= most, name
        assert np.abs(ours - theirs).mean() < 1, name
    hidden = saved(Image.merge("RGBA", (*picture.split(), Image.new("L", SMALL, 0))))
    assert (joined(cut(tmp_path, hidden, "png", SMALL), SMALL, 1) == GREY).all()


def test_a_large_file_on_a_small_canvas_is_one_file_as_ever(tmp_path: Path) -> None:
    """Read by libvips as it streams by, encoded like any other."""
    picture = photograph((5000, 300))
    path = tmp_path / "large.png"
    path.write_bytes(png(picture))
    with path.open("rb") as file:
        present(WHOLE, file, "png", Shape(*picture.size), Canvas(1000, 60), tmp_path / "copy")
    with Image.open(tmp_path / "copy") as copy:
        assert copy.size == (1000, 60)
        expected = np.asarray(picture.resize((1000, 60), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(np.asarray(copy).astype(int) - expected).mean() < 1


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (png(photograph(SMALL))[:60_000], "png"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "png"),
        (b"P6 2 2 255 123456789012", "tiff"),
        (saved(photograph(SMALL), "JPEG"), "webp"),
    ],
    ids=["cut off", "SVG", "PPM", "of another format"],
)
def test_only_what_the_door_has_seen_is_read(tmp_path: Path, content: bytes, form: str) -> None:
    with pytest.raises(Unpresentable, match="does not decode now"):
        cut(tmp_path, content, form, SMALL)


def test_tiles_are_numbered_as_they_lie() -> None:
    size = (4097, 1100)
    assert pyramid.levels(size) == [(257, 69), (513, 138), (1025, 275), (2049, 550), (4097, 1100)]
    numbers = [pyramid.number(size, *tile) for tile in pyramid.tiles(size)]
    assert numbers == list(range(1, len(numbers) + 1))
    finest = len(pyramid.levels(size)) - 1
    assert pyramid.number(size, finest, 8, 2) == len(numbers)
    for level, column, row in ((finest + 1, 0, 0), (finest, 9, 0), (finest, 0, 3), (0, 1, 0)):
        assert pyramid.number(size, level, column, row) is None


def test_one_policy_for_a_canvas() -> None:
    assert policy("image", Canvas(LONGEST_WHOLE, LONGEST_WHOLE)) == WHOLE
    assert policy("image", Canvas(LONGEST_WHOLE + 1, 10)) == TILED
    assert policy("image", Canvas(10, LONGEST_WHOLE + 1)) == TILED


# -- serving ------------------------------------------------------------------------------------------------------


def test_the_program_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a file that somebody sent sees neither the site's settings nor its files' names."""
    environments: list[dict[str, str]] = []
    jobs: list[dict[str, object]] = []
    original = subprocess.run

    def noted(command: list[str], *, env: dict[str, str], **options: Any) -> object:
        environments.append(env)
        jobs.append(json.loads(command[-1]))
        return original(command, env=env, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    cut(tmp_path, png(photograph(SMALL)), "png", SMALL)
    assert [set(environment) for environment in environments] == [
        {"VIPS_BLOCK_UNTRUSTED", "VIPS_CONCURRENCY", "TMPDIR"}
    ]
    assert [set(job) for job in jobs] == [{"policy", "form", "width", "height", "path", "memory", "seconds"}]
