"""The same pixels in files that have nothing else in common: what generators, editors and cameras leave in them,
written by hand where no library writes it."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image, ImageCms, PngImagePlugin

Write = Callable[[Image.Image, str], bytes]

EXIF = {"description": 0x010E, "orientation": 0x0112, "software": 0x0131}


# -- pictures -----------------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(png: bytes, chunks: bytes) -> bytes:
    """A PNG with more chunks, right behind its header."""
    return png[:33] + chunks + png[33:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def c2pa(name: str) -> bytes:
    """A manifest as C2PA stores one: JUMBF superboxes down to a claim that names its generator (ISO 19566-5)."""

    def described(uuid: bytes, label: str) -> bytes:
        return box(
            b"jumd", uuid + b"\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71" + b"\x03" + label.encode() + b"\0"
        )

    claim = b"\xa2\x6fclaim_generator" + bytes([0x60 + len(name)]) + name.encode() + b"\x66format\x69image/png"
    store = box(b"jumb", described(b"c2cl", "c2pa.claim") + box(b"cbor", claim))
    manifest = box(b"jumb", described(b"c2ma", f"urn:c2pa:{name}") + store)
    return box(b"jumb", described(b"c2pa", "c2pa") + manifest)


def xmp(name: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="{name}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def exif(name: str, orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[EXIF["description"]], tags[EXIF["software"]] = f"made by {name}", name
    tags[EXIF["orientation"]] = orientation
    return tags


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png_of_a_generator(picture: Image.Image, name: str) -> bytes:
    """Text, compressed text, XMP, a C2PA manifest, a gamma and colours of its own, and something behind the end."""
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", f"a cat, Model: {name}, Seed: 7")
    text.add_text("Software", name, zip=True)
    text.add_itxt("XML:com.adobe.xmp", xmp(name).decode())
    plain = saved(picture, "PNG", pnginfo=text, exif=exif(name), compress_level=9)
    gamma = png_chunk(b"gAMA", struct.pack(">I", 45455)) + png_chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    return with_chunks(plain, gamma + png_chunk(b"caBX", c2pa(name))) + b"PK\x03\x04" + name.encode()


def png_of_16_bits(picture: Image.Image, name: str) -> bytes:
    """The levels in the upper bytes, a message in the lower ones, which no screen shows."""
    levels = np.asarray(picture.convert("RGB"))
    message = np.frombuffer(name.encode().ljust(16, b"."), np.uint8)
    wide = np.empty((*levels.shape, 2), np.uint8)
    wide[..., 0], wide[..., 1] = levels, np.resize(message, levels.shape) % 128
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 16, 2, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_of_a_palette(picture: Image.Image, name: str) -> bytes:
    """One number a pixel; the palette in an order of its own."""
    levels = np.asarray(picture.convert("RGB"))
    listed, numbers = np.unique(levels.reshape(-1, 3), axis=0, return_inverse=True)
    indexed = Image.fromarray((len(listed) - 1 - numbers).astype(np.uint8).reshape(levels.shape[:2])).convert("P")
    indexed.putpalette(listed[::-1].astype(np.uint8).tobytes())
    return saved(indexed, "PNG", exif=exif(name))


def png_with_a_message_in_its_alpha(picture: Image.Image, name: str) -> bytes:
    """“Stealth” data: an opaque picture's alpha, a level less wherever the message has a one."""
    bits = np.unpackbits(np.frombuffer(f"stealth_pnginfo {name}".encode(), np.uint8))
    alpha = 255 - np.resize(bits, (picture.height, picture.width)).astype(np.uint8)
    levels = np.dstack([np.asarray(picture.convert("RGB")), alpha])
    return saved(Image.fromarray(levels), "PNG")


def png_lying_on_its_side(picture: Image.Image, name: str) -> bytes:
    return saved(picture.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(name, orientation=6))


def png_with_an_odd_profile(picture: Image.Image, name: str) -> bytes:
    """sRGB under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    content = profile.tobytes().replace(b"sRGB", name[:4].encode().ljust(4))
    return saved(picture, "PNG", icc_profile=content)


def png_with_a_broken_profile(picture: Image.Image, name: str) -> bytes:
    return saved(picture, "PNG", icc_profile=b"\0\0\0\x80" + name.encode() * 20)


def plain_png(picture: Image.Image, name: str) -> bytes:
    return saved(picture.convert("RGB"), "PNG", compress_level=0)


def tiff(picture: Image.Image, name: str) -> bytes:
    return saved(picture, "TIFF", exif=exif(name), compression="tiff_deflate", dpi=(300, 300))


def webp(picture: Image.Image, name: str) -> bytes:
    return saved(picture, "WEBP", lossless=True, exif=exif(name), xmp=xmp(name)) + name.encode()


def jpeg(picture: Image.Image, name: str) -> bytes:
    """EXIF, XMP, a comment, a C2PA manifest in APP11 (ISO 18477-3), and something behind the end."""
    whole = saved(picture, "JPEG", quality=60, exif=exif(name), xmp=xmp(name), comment=f"by {name}")
    manifest = b"JP\x00\x01\x00\x00\x00\x01" + c2pa(name)
    segment = b"\xff\xeb" + struct.pack(">H", 2 + len(manifest)) + manifest
    return whole[:2] + segment + whole[2:] + name.encode()


def jpeg_s_pixels(picture: Image.Image, name: str) -> bytes:
    """What `jpeg` decodes to, as a PNG."""
    with Image.open(io.BytesIO(jpeg(picture, name))) as decoded:
        return png_of_a_generator(decoded.convert("RGB"), name)


# Each pair shows the same pixels, whoever's name is in the files.
PAIRS: tuple[tuple[Write, Write], ...] = (
    (png_of_a_generator, tiff),
    (png_of_16_bits, webp),
    (jpeg, jpeg_s_pixels),
    (png_of_a_palette, png_with_a_message_in_its_alpha),
    (png_lying_on_its_side, png_with_an_odd_profile),
    (png_with_a_broken_profile, plain_png),
)


# -- videos -------------------------------------------------------------------------------------------------------


def encoded(
    path: Path,
    frames: Sequence[np.ndarray],
    rate: Fraction,
    codec: str,
    *,
    start: int = 0,
    silence: str = "",
    title: str = "",
    **options: str,
) -> Path:
    """A video that loses nothing of its frames ((height, width, 3) levels, as 4:2:0).

    Args: start: ticks that its first frame is late; silence: the codec of a sound track; title: of the file.
    """
    options_of_file = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options_of_file) as container:
        container.metadata.update({"title": title, "encoder": title, "comment": f"by {title}"})
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        sound = cast(AudioStream, container.add_stream(silence, rate=48_000)) if silence else None
        for number, levels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(levels, format="rgb24")
            frame.pts, frame.time_base = start + number, 1 / rate
            container.mux(stream.encode(frame))
        if sound is not None:
            for number in range(10):
                quiet = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
                for plane in quiet.planes:
                    plane.update(bytes(plane.buffer_size))
                quiet.sample_rate, quiet.pts, quiet.time_base = 48_000, 1024 * number, Fraction(1, 48_000)
                container.mux(sound.encode(quiet))
            container.mux(sound.encode())
        container.mux(stream.encode())
    return path


def turned(path: Path) -> Path:
    """An MP4 that asks to be turned by a quarter, clockwise, when it is shown: the matrix of its track's header."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def films(folder: Path, frames: Sequence[np.ndarray], rate: Fraction) -> dict[str, Path]:
    """The same frames in containers, codecs and moods that have nothing in common."""
    lying = [np.rot90(levels).copy() for levels in frames]
    return {
        "MP4, H.264": encoded(folder / "a.mp4", frames, rate, "libx264", qp="0", title="Nightjar"),
        "Matroska, FFV1, late, with sound": encoded(
            folder / "b.mkv", frames, rate, "ffv1", start=37, silence="libopus", title="Kestrel"
        ),
        "WebM, VP9": encoded(folder / "c.webm", frames, rate, "libvpx-vp9", lossless="1", title="Kestrel 2"),
        "QuickTime, H.264, every frame a key frame, with sound": encoded(
            folder / "d.mov", frames, rate, "libx264", qp="0", g="1", preset="ultrafast", silence="aac", title="Siskin"
        ),
        "AVI, FFV1": encoded(folder / "e.avi", frames, rate, "ffv1", title="Nightjar 7B"),
        "MP4, turned": turned(encoded(folder / "f.mp4", lying, rate, "libx264", qp="0", title="Twite")),
        "MP4, moov first, B-frames": encoded(
            folder / "g.mp4", frames, rate, "libx264", qp="0", bf="3", preset="slow", title="Serin", silence="aac"
        ),
    }
