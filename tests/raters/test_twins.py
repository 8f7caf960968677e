"""Two contestants with equal pixels and everything else different: can anything that a rater observes tell them apart?

A classifier is given all that reaches her over real HTTP in 500 impressions: addresses, headers and their order,
lengths, hashes, times, cookies, the markup around each side, the answers of the desk. It must stay at chance; and with
one leak planted it must not, or the test would prove nothing.
"""

import io
import random
import time
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.http import http_date
from PIL import Image
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.inspection import inspect
from evalhub.studies.models import Checkpoint, Media, Modality, Sample, Submission, SubmissionState
from evalhub.studies.services import store_media
from raters import presentation, services
from raters.models import PresentationCopy
from raters.presentation import Canvas, Shape, moving
from raters.serving import serve
from tests.filming import moving_square
from tests.raters.conftest import Desk, make_desk
from tests.raters.disguises import PAIRS, Write, encoded, films, jpeg, jpeg_s_pixels, turned
from tests.raters.observing import Impression, accuracy, bound, observe

PROMPTS = 25
NAMES = ("Nightjar 7B", "Kestrel")


def few_colours(place: int, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Noise in 200 colours, that a palette holds."""
    numbers = np.random.default_rng(place)
    palette = numbers.integers(0, 256, (200, 3), dtype=np.uint8)
    return Image.fromarray(palette[numbers.integers(0, 200, size[::-1])])


def written(write: Write, place: int, name: str, size: tuple[int, int] = (48, 32)) -> bytes:
    # A lossy picture's pixels follow from the whole file's, so what its twin says of itself is the same name.
    return write(few_colours(place, size), NAMES[0] if write in (jpeg, jpeg_s_pixels) else name)


def delivered(desk: Desk, name: str, paths: list[Path], days_ago: int) -> Checkpoint:
    """A complete submission of these files, through the door, one for each prompt."""
    checkpoint = Checkpoint.objects.create(study=desk.study, name=name)
    Submission.objects.create(checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=timezone.now())
    for prompt, path in zip(desk.prompts, paths, strict=True):
        Sample.objects.create(checkpoint=checkpoint, prompt=prompt, media=store_media(study=desk.study, path=path))
    then = timezone.now() - timedelta(days=days_ago)
    Media.objects.filter(samples__checkpoint=checkpoint).update(created_at=then)
    desk.checkpoints.append(checkpoint)
    return checkpoint


@pytest.fixture
def twins(transactional_db: None, tmp_path: Path) -> Desk:
    desk = make_desk(slug="study", prompts=PROMPTS)
    for number, name in enumerate(NAMES):
        paths = []
        for place in range(PROMPTS):
            paths.append(tmp_path / f"{name}-{place}")
            paths[-1].write_bytes(written(PAIRS[place % len(PAIRS)][number], place, name))
        delivered(desk, name, paths, days_ago=90 * (1 - number))
    originals = [
        set(Media.objects.filter(samples__checkpoint=one).values_list("sha256", flat=True)) for one in desk.checkpoints
    ]
    assert len(originals[0]) == len(originals[1]) == PROMPTS
    assert not originals[0] & originals[1]
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def moving_twins(transactional_db: None, tmp_path: Path) -> Desk:
    """Ten films, each in two containers and codecs that lose nothing."""
    desk = make_desk(slug="study", prompts=10, modality=Modality.VIDEO)
    paths: tuple[list[Path], list[Path]] = [], []
    for place in range(10):
        (tmp_path / str(place)).mkdir()
        frames = [moving_square(number + 3 * place) for number in range(6)]
        rate = Fraction(30_000, 1001) if place % 2 else Fraction(24)
        alpha, beta = tmp_path / str(place) / "a.mp4", tmp_path / str(place) / "b.mkv"
        paths[0].append(encoded(alpha, frames, rate, "libx264", qp="0", title=NAMES[0], silence="aac"))
        paths[1].append(encoded(beta, frames, rate, "ffv1", start=11, title=NAMES[1]))
    for number, name in enumerate(NAMES):
        delivered(desk, name, paths[number], days_ago=90 * number)
    services.prepare_presentation(study=desk.study)
    return desk


# -- equal pixels give equal bytes --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 32), (4200, 24)], ids=["whole", "in tiles"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].__name__} and {pair[1].__name__}")
def test_equal_pixels_give_equal_bytes(pair: tuple[Write, Write], size: tuple[int, int], tmp_path: Path) -> None:
    """Whatever a generator leaves in a file, and whether Pillow or libvips reads it."""
    canvas = Canvas(*size)
    copies = []
    for write, name in zip(pair, NAMES, strict=True):
        (tmp_path / "file").write_bytes(written(write, 1, name, size))
        facts = inspect(tmp_path / "file")
        assert (facts.width, facts.height) == size
        assert any(one.encode() in written(write, 1, name) for one in NAMES) or write in HIDDEN
        with (tmp_path / "file").open("rb") as file:
            policy = presentation.policy("image", canvas)
            presentation.present(policy, file, facts.format, Shape(*size), canvas, tmp_path / "copy")
        copies.append((tmp_path / "copy").read_bytes())
    assert copies[0] == copies[1]
    for word in (b"Nightjar", b"Kestrel", b"jumb", b"c2pa", b"Exif", b"ICCP", b"XMP ", b"EXIF"):
        assert word not in copies[0], word


# These say nothing, or say it where only decoded pixels show it.
HIDDEN = {write for pair in PAIRS for write in pair if b"Kestrel" not in write(few_colours(1), "Kestrel")}


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    """At rates whose times a container that counts milliseconds cannot tell, too."""
    frames = [moving_square(number) for number in range(20)]
    for rate in (Fraction(24), Fraction(30_000, 1001), Fraction(60)):
        canvas = Canvas(96, 64, round(rate), 20)
        copies = {}
        for name, path in films(tmp_path, frames, rate).items():
            assert inspect(path, ["video"]).frames == 20
            with path.open("rb") as file:
                copies[name] = moving.present(file, canvas)
        lying = copies.pop("MP4, turned")  # whose colours were halved along the other edge
        assert len(set(copies.values())) == 1, {name: len(content) for name, content in copies.items()}
        assert not any(word in lying + copies["AVI, FFV1"] for word in (b"Nightjar", b"Kestrel", b"Twite", b"Opus"))


def test_a_film_that_lies_on_its_side_is_its_twin(tmp_path: Path) -> None:
    grey = [np.repeat(moving_square(number)[..., :1], 3, axis=2) for number in range(5)]
    lying = turned(encoded(tmp_path / "f.mp4", [np.rot90(f).copy() for f in grey], Fraction(10), "libx264", qp="0"))
    upright = encoded(tmp_path / "a.mkv", grey, Fraction(10), "ffv1")
    facts = inspect(lying, ["video"])
    assert (facts.width, facts.height) == (96, 64)
    copies = [moving.present(io.BytesIO(path.read_bytes()), Canvas(96, 64, 10, 5)) for path in (lying, upright)]
    assert copies[0] == copies[1]


# -- 500 impressions ----------------------------------------------------------------------------------------------


def hold_at_chance(impressions: list[Impression], more: Callable[[], list[Impression]]) -> None:
    """The bound takes answers as independent, which those of a cross-validation are not: so few may exceed it by luck.
    As many new ones then decide with them: a leak is in those as well, and luck is not."""
    if accuracy(impressions) > bound(len(impressions)):
        impressions = impressions + more()
    reached, chance = accuracy(impressions), bound(len(impressions))
    assert reached <= chance, f"{reached:.3f} of {len(impressions)} named rightly; chance stays under {chance:.3f}"


@pytest.mark.timeout(600)
def test_500_impressions_of_twins_cannot_be_told_apart(twins: Desk, live_server: LiveServer) -> None:
    impressions = observe(twins, live_server.url, raters=20)
    assert len(impressions) == 500
    for impression in impressions:
        left, right = impression.left, impression.right
        assert left.body == right.body
        assert left.markup.replace(left.address, "").replace("Left", "") == right.markup.replace(
            right.address, ""
        ).replace("Right", "")
        steady = [[(name, value) for name, value in side.headers if name != "Date"] for side in (left, right)]
        assert steady[0] == steady[1]
    hold_at_chance(impressions, lambda: observe(twins, live_server.url, raters=20, first=20))


@pytest.mark.timeout(600)
def test_videos_of_twins_cannot_be_told_apart(moving_twins: Desk, live_server: LiveServer) -> None:
    impressions = observe(moving_twins, live_server.url, raters=8)
    assert len(impressions) == 80
    for impression in impressions:
        assert impression.left.body == impression.right.body
    hold_at_chance(impressions, lambda: observe(moving_twins, live_server.url, raters=8, first=8))


Leak = Callable[[PresentationCopy, HttpResponseBase], None]


def _etag(copy: PresentationCopy, response: HttpResponseBase) -> None:
    response["ETag"] = f'"{int(copy.media.created_at.timestamp()):x}-{copy.media.size:x}"'


def _modified(copy: PresentationCopy, response: HttpResponseBase) -> None:
    response["Last-Modified"] = http_date(copy.media.created_at.timestamp())


def _name(copy: PresentationCopy, response: HttpResponseBase) -> None:
    response["Content-Disposition"] = f'inline; filename="{copy.media.samples.all()[0].checkpoint.name}.webp"'


def _slower(copy: PresentationCopy, response: HttpResponseBase) -> None:
    """As if one contestant's copies were made when they are asked for; its times overlap with the other's."""
    slow = copy.media.samples.all()[0].checkpoint.name == NAMES[0]
    time.sleep(random.uniform(0, 0.05) + (0.1 if slow else 0))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("leak", [_etag, _modified, _name, _slower])
def test_a_planted_leak_is_found(
    twins: Desk, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, leak: Leak
) -> None:
    def leaking(request: HttpRequest, copy: PresentationCopy) -> HttpResponseBase:
        response = serve(request, copy)
        leak(copy, response)
        return response

    monkeypatch.setattr("raters.views.showing.serve", leaking)
    impressions = observe(twins, live_server.url, raters=3)
    reached = accuracy(impressions)
    assert reached > 0.85 > bound(len(impressions))
