"""Nothing of a file but its pixels survives into what raters see."""

import io
import itertools
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from raters import services
from raters.models import PresentationCopy
from raters.presentation import Unpresentable
from raters.presentation.stills import GREY, LONGEST_EDGE, canvas, encode, fit, present, read
from tests.raters.conftest import Desk, copies_of, noise, store

PIXELS = np.random.default_rng(7).integers(0, 255, (37, 53, 3), dtype=np.uint8)
SIZE = (53, 37)


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)


def shown(content: bytes, form: str = "png", size: tuple[int, int] = SIZE) -> bytes:
    return present(io.BytesIO(content), form, size)


def with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "made by Alpha, seed 7")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Alpha</x:xmpmeta>")
    return saved(Image.fromarray(PIXELS), pnginfo=text, exif=Image.Exif())


def with_c2pa() -> bytes:
    content = saved(Image.fromarray(PIXELS))
    body = b"caBX" + b"jumb c2pa made by Alpha"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return content[:33] + chunk + content[33:] + b"trailing payload of Alpha"


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "Alpha"
    return saved(
        Image.fromarray(PIXELS), "WEBP", lossless=True, exif=exif.tobytes(), xmp=b"<x:xmpmeta>Alpha</x:xmpmeta>"
    )


def opaque_alpha() -> bytes:
    return saved(Image.fromarray(PIXELS).convert("RGBA"), compress_level=0)


def with_srgb_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(Image.fromarray(PIXELS), "TIFF", icc_profile=profile, compression="tiff_lzw")


TWINS: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (with_text, "png"),
    "C2PA and trailing data": (with_c2pa, "png"),
    "EXIF and XMP": (with_exif, "webp"),
    "opaque alpha": (opaque_alpha, "png"),
    "sRGB profile": (with_srgb_profile, "tiff"),
}


@pytest.mark.parametrize("name", TWINS)
def test_equal_pixels_give_equal_bytes_whatever_the_file(name: str) -> None:
    plain = shown(saved(Image.fromarray(PIXELS)))
    make, form = TWINS[name]
    assert shown(make(), form) == plain
    np.testing.assert_array_equal(pixels(plain), PIXELS)


def test_a_copy_holds_nothing_but_pixels() -> None:
    content = shown(with_text())
    assert b"Alpha" not in content
    # One RIFF with one chunk: lossless pixels. No EXIF, XMP, ICC or alpha chunk.
    assert content[:4] == b"RIFF"
    assert content[8:16] == b"WEBPVP8L"
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.info.keys() <= {"loop", "background", "timestamp", "duration"}


def test_what_is_hidden_under_full_transparency_is_not_shown() -> None:
    cells = np.dstack([PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)])
    hidden = saved(Image.fromarray(cells))
    assert (pixels(shown(hidden)) == GREY).all()
    half = cells.copy()
    half[..., 3] = 128
    expected = (PIXELS * (128 / 255) + np.array(GREY) * (127 / 255)).round()
    np.testing.assert_allclose(pixels(shown(saved(Image.fromarray(half)))), expected, atol=1)


def test_palettes_with_a_transparent_colour() -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((3, 1), 1)
    result = pixels(shown(saved(picture, transparency=0), size=(4, 2)))
    assert tuple(result[0, 0]) == GREY
    assert tuple(result[1, 3]) == (0, 0, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_exif_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(PIXELS), exif=exif)
    with Image.open(io.BytesIO(content)) as picture:
        expected = ImageOps.exif_transpose(picture)
    np.testing.assert_array_equal(pixels(shown(content, size=expected.size)), np.asarray(expected))


def test_a_wide_gamut_profile_is_converted_to_srgb() -> None:
    # Adobe RGB's green primary is far outside sRGB; its mid grey with gamma 2.2 is close to sRGB's.
    adobe = _matrix_profile()
    swatches = Image.new("RGB", (2, 1), (200, 100, 60))
    converted = pixels(shown(saved(swatches, icc_profile=adobe), size=(2, 1)))
    plain = pixels(shown(saved(swatches), size=(2, 1)))
    assert np.abs(converted.astype(int) - plain.astype(int)).max() > 5


def _matrix_profile() -> bytes:
    """sRGB's own profile with the red and the green primary exchanged: valid, and far from sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 200])
def test_a_broken_profile_is_passed_over(profile: bytes) -> None:
    assert shown(saved(Image.fromarray(PIXELS), icc_profile=profile)) == shown(saved(Image.fromarray(PIXELS)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_modes(mode: str) -> None:
    grey = Image.fromarray(PIXELS).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        expected = grey
    else:
        picture = Image.fromarray(PIXELS).convert(mode)
        expected = picture.convert("RGB")
    form = "tiff" if mode == "CMYK" else "png"
    np.testing.assert_array_equal(pixels(shown(saved(picture, form), form)), np.asarray(expected.convert("RGB")))


def test_every_picture_of_a_prompt_gets_one_canvas() -> None:
    assert canvas([(512, 512), (1024, 768), (640, 640)], 4096) == (1024, 768)
    assert canvas([(8192, 4096)], 4096) == (4096, 2048)
    assert canvas([(16384, 16384)], 99999) == (LONGEST_EDGE, LONGEST_EDGE)
    assert canvas([(5000, 1)], 100) == (100, 1)
    for size in itertools.product((30, 100, 101, 300), (30, 100, 101, 300)):
        picture = fit(Image.new("RGB", size, (255, 0, 0)), (120, 90))
        assert picture.size == (120, 90)


def test_a_different_aspect_is_put_on_grey_and_keeps_its_shape() -> None:
    result = np.asarray(fit(Image.new("RGB", (50, 100), (255, 0, 0)), (100, 100)))
    assert (result[:, :25] == GREY).all()
    assert (result[:, 75:] == GREY).all()
    assert (result[:, 26:74] == (255, 0, 0)).all()


def test_bands_leave_no_seams() -> None:
    tall = np.random.default_rng(1).integers(0, 255, (1000, 5, 4), dtype=np.uint8)
    whole = Image.fromarray(tall)
    alpha = whole.getchannel("A").point([level if level < 250 else 255 for level in range(256)])
    expected = Image.composite(whole.convert("RGB"), Image.new("RGB", whole.size, GREY), alpha)
    np.testing.assert_array_equal(pixels(shown(saved(whole), size=(5, 1000))), np.asarray(expected))


def test_a_damaged_file_is_refused_in_a_sentence() -> None:
    with pytest.raises(Unpresentable, match="does not decode now"):
        shown(saved(Image.fromarray(PIXELS))[:200])
    with pytest.raises(Unpresentable, match="does not decode now"):
        shown(b"GIF89a" + bytes(50), "png")


def test_reading_is_bounded(tmp_path: Path) -> None:
    """A 6,000 × 6,000 picture takes the room of its decoded pixels, as much again without alpha, and a little."""
    path = tmp_path / "large.png"
    Image.new("RGBA", (6000, 6000), (10, 20, 30, 40)).save(path, compress_level=1)
    program = (
        "import resource, sys\n"
        "from raters.presentation.stills import present\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "present(open(sys.argv[1], 'rb'), 'png', (500, 500))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    # Pillow keeps RGB in four bytes a pixel too.
    assert int(done.stdout) * 1024 < 6000 * 6000 * 8 + 60 * 2**20


# -- copies in the database and in storage ------------------------------------------------------------------------


def test_copies_of_a_prompt_have_equal_dimensions(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=2)
    desk.contestant("Small", lambda place, _: noise(place, 0).resize((24, 16)))
    desk.contestant("Large", lambda place, _: noise(place, 1).resize((96, 64)))
    assert services.prepare_presentation(study=desk.study) == 4
    copies = PresentationCopy.objects.filter(study=desk.study)
    assert {(copy.width, copy.height) for copy in copies} == {(96, 64)}
    for copy in copies:
        with default_storage.open(copy.path) as file:
            content = file.read()
        assert len(content) == copy.size
        assert pixels(content).shape == (64, 96, 3)
    assert services.prepare_presentation(study=desk.study) == 0


def test_the_study_bounds_the_canvas(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1, presentation_edge=40)
    desk.contestant("Large", lambda place, _: noise(place, 1).resize((96, 64)))
    services.prepare_presentation(study=desk.study)
    assert [(copy.width, copy.height) for copy in PresentationCopy.objects.all()] == [(40, 27)]


def test_a_larger_newcomer_makes_all_of_its_prompts_copies_anew(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    desk.contestant("One")
    desk.contestant("Two")
    services.prepare_presentation(study=desk.study)
    rater = desk.rater("ria").rater
    desk.contestant("Large", lambda place, _: noise(place, 2).resize((96, 64)))
    assert services.studies_to_prepare() == [desk.study]
    # Until its copies are there, the others go on at the size they have.
    comparison = services.next_comparison(study=desk.study, rater=rater)
    assert comparison is not None
    assert [copy.width for copy in copies_of(comparison)] == [48, 48]
    assert services.prepare_presentation(study=desk.study) == 3
    assert services.studies_to_prepare() == []
    services.cast_vote(token=comparison.token, rater=rater, answers={"quality": "tie"})
    comparison = services.next_comparison(study=desk.study, rater=rater)
    assert comparison is not None
    assert [copy.width for copy in copies_of(comparison)] == [96, 96]


def test_a_file_that_no_longer_decodes_is_said_once_and_never_offered(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    good = desk.contestant("Good")
    bad = desk.contestant("Bad")
    path = bad.samples.get().media.path
    default_storage.delete(path)
    default_storage.save(path, ContentFile(b"\x89PNG\r\n\x1a\n and nothing more"))
    assert services.prepare_presentation(study=desk.study) == 1
    problem = PresentationCopy.objects.get(media=bad.samples.get().media)
    assert "does not decode now" in problem.problem
    assert PresentationCopy.objects.ready().get().media == good.samples.get().media
    assert services.studies_to_prepare() == []
    assert services.next_comparison(study=desk.study, rater=desk.rater("ria").rater) is None


def test_what_a_killed_process_left_is_replaced(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    checkpoint = desk.contestant("One")
    media = checkpoint.samples.get().media
    left = PresentationCopy(study=desk.study, media=media, width=48, height=32, policy="webp-1")
    default_storage.save(left.path, ContentFile(b"half a file"))
    services.prepare_presentation(study=desk.study)
    with default_storage.open(PresentationCopy.objects.get().path) as file:
        content = file.read()
    with default_storage.open(media.path) as file:
        assert content == encode(read(file, "png"))


def test_twins_share_one_address_but_not_across_studies(bare_desk: Callable[..., Desk]) -> None:
    one, other = bare_desk(slug="one", prompts=1), bare_desk(slug="other", prompts=1)
    content = saved(Image.fromarray(PIXELS))
    assert store(one.study, content, "png").path != store(other.study, content, "png").path
