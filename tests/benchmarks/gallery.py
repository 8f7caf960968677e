"""The pages where people look at outputs, at a hundred thousand samples: the gallery and its thumbnails, two
contestants prompt by prompt, a submission. Beside the same pages at a thousand samples, and beside the limit."""

import io
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from PIL import Image

from tests.benchmarks import Claim, Measure, _database, _photographs, seconds

if TYPE_CHECKING:  # at run time nothing that knows models comes before the database
    from django.test import Client

    from evalhub.studies.models import Study, User

BROAD, LONG, FEW = (5_000, 20), (50_000, 2), (56, 20)  # prompts and contestants; their last pages are equally long
ROUNDS = 20
SIDE = 512
# Of these pages no part grows with the study; of the others some does, and nobody should wait longer for it than that.
CONSTANT = ("gallery, first page", "gallery, in the middle", "gallery, last page")
PATIENCE = 1_000.0

Shape = tuple[int, int]


def measure(
    broad: Shape = BROAD, long: Shape = LONG, few: Shape = FEW, rounds: int = ROUNDS
) -> Iterator[Measure | Claim]:
    """Args: broad, long, few: prompts and contestants of three studies; rounds: how often each page is opened."""
    _database.start()
    from django.test import Client

    from evalhub.studies.models import User
    from tests.benchmarks import _filled

    def fill() -> None:
        for shape in (few, broad, long):
            _study(shape)
        _filled.settle()

    yield Claim("filling the studies", seconds(fill), unit="s")
    reader = User.objects.create_user("reader-of-galleries")
    client = Client(SERVER_NAME="localhost")
    client.force_login(reader)
    small = _addresses(few, reader)
    for shape in (broad, long):
        large = _addresses(shape, reader)
        for name in large:
            yield from _page(client, name, (shape, large[name]), (few, small[name]), rounds)
        yield _memory(client, (shape, large), (few, small))
    yield from _thumbnails(client, broad, large=_addresses(broad, reader)["gallery, in the middle"])


def _study(shape: Shape) -> "Study":
    """With a thousand votes, and per-prompt scores of three metrics."""
    from tests.benchmarks import _filled

    prompts, contestants = shape
    slug = f"looked-at-{prompts}"
    study = _filled.filled_study(slug, 1_000, contestants=contestants, prompts=prompts)
    _filled.score_samples(study, ("lpips", "psnr", "ssim"))
    return study


def _addresses(shape: Shape, reader: "User") -> dict[str, str]:
    """Where each page is, by its name."""
    from django.urls import reverse

    from evalhub.studies.models import Membership, Role, Study, Submission
    from evalhub.studies.views.gallery import PROMPTS_ON_A_PAGE
    from evalhub.studies.views.submissions import PICTURES_ON_A_PAGE

    study = Study.objects.get(slug=f"looked-at-{shape[0]}")
    Membership.objects.get_or_create(study=study, user=reader, role=Role.RESEARCHER)
    gallery, compare = (reverse(name, args=[study.slug]) for name in ("gallery", "compare"))
    submission = reverse("submission", args=[Submission.objects.filter(checkpoint__study=study).earliest("pk").pk])
    pages = -(-shape[0] // PROMPTS_ON_A_PAGE)
    return {
        "gallery, first page": gallery,
        "gallery, in the middle": f"{gallery}?page={(pages + 1) // 2}",
        "gallery, last page": f"{gallery}?page={pages}",
        "gallery, by a tag": f"{gallery}?tag=tag-7",
        "gallery, by words": f"{gallery}?q=number+4",
        "comparison, worst regressions": compare,
        "comparison, best gains by votes": f"{compare}?by=votes&order=best",
        "comparison, of one tag": f"{compare}?tag=tag-7",
        "submission, first page": submission,
        "submission, in the middle": f"{submission}?page={1 + shape[0] // PICTURES_ON_A_PAGE // 2}",
        "its runs": f"{submission}runs/",
        "its near-duplicates": f"{submission}duplicates/",
        "submissions": reverse("submissions", args=[study.slug]),
    }


def _page(
    client: "Client", name: str, large: tuple[Shape, str], small: tuple[Shape, str], rounds: int
) -> Iterator[Measure | Claim]:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds + 1):
        for readings, address in ((ours, large[1]), (theirs, small[1])):
            readings.append(_milliseconds(partial(_opened, client, address)))
    ours, theirs = ours[1:], theirs[1:]  # the first round warms caches
    slow = quantiles(ours, n=20)[-1]
    size = f"{large[0][0]:,} prompts × {large[0][1]}"
    yield Measure(
        f"{name}, of {size}",
        ours,
        f"of {small[0][0]:,} × {small[0][1]}",
        theirs,
        goal=1 / 1.2 if name in CONSTANT else None,
        unit="ms",
        note=f"{_queries(client, large[1])} queries",
    )
    yield Claim(f"{name}, of {size}, the 95th of 100", slow, high=PATIENCE, unit="ms")


def _milliseconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return 1_000 * (time.perf_counter() - began)


def _opened(client: "Client", address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, f"{address} answers {answer.status_code}"
    page = answer.content.decode()
    assert "<h1>" in page
    return page


def _queries(client: "Client", address: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        _opened(client, address)
    return len(asked)


def _memory(client: "Client", large: tuple[Shape, dict[str, str]], small: tuple[Shape, dict[str, str]]) -> Measure:
    """Of this process, which is Django's: how high it rises while all pages are opened one after another."""
    peaks = []
    for _, addresses in (small, large):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is what is held now
        for address in addresses.values():
            _opened(client, address)
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peaks.append(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024)
    (prompts, contestants), (few, columns) = large[0], small[0]
    return Measure(
        f"peak memory of all these pages, of {prompts:,} × {contestants}",
        peaks[1:],
        f"of {few:,} × {columns}",
        peaks[:1],
        goal=1 / 1.2,
        unit="MiB",
    )


def _thumbnails(client: "Client", shape: Shape, *, large: str) -> Iterator[Measure | Claim]:
    """Every picture of one page of the gallery, as a browser asks for it while its reader scrolls."""
    addresses = re.findall(r'src="([^"]+size=small)"', _opened(client, large))
    originals = _with_photographs(shape, addresses)
    made, alone = [], []
    for address, original in zip(addresses, originals, strict=True):
        made.append(_milliseconds(partial(_fetched, client, address)))
        alone.append(_milliseconds(partial(_shrunk, original)))
    kept = [_milliseconds(partial(_fetched, client, address)) for address in addresses]
    what = f"{len(addresses)} thumbnails of {SIDE} × {SIDE} photographs in PNG"
    yield Measure(f"{what}, asked for first", made, "decode, shrink and encode alone", alone, goal=0.7, unit="ms")
    yield Claim(f"{what}, asked for again, the 95th of 100", quantiles(kept, n=20)[-1], high=50, unit="ms")


def _with_photographs(shape: Shape, addresses: list[str]) -> list[bytes]:
    """Real files, put behind the media that the addresses name."""
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    from evalhub.studies.models import Media

    files = []
    for address, crop in zip(addresses, _photographs.crops(len(addresses), SIDE), strict=True):
        packed = io.BytesIO()
        crop.save(packed, "PNG", compress_level=1)
        media = Media.objects.get(pk=int(re.findall(r"/(\d+)/\?", address)[0]))
        media.width = media.height = SIDE
        media.size = len(packed.getvalue())
        media.save()
        default_storage.save(media.path, ContentFile(packed.getvalue()))
        files.append(packed.getvalue())
    return files


def _fetched(client: "Client", address: str) -> None:
    answer = client.get(address)
    assert answer.headers["Content-Type"] == "image/webp"


def _shrunk(original: bytes) -> None:
    """The work of a thumbnail without a request, a right, a row or a file."""
    from evalhub.studies.thumbnails import EDGE

    picture = Image.open(io.BytesIO(original)).convert("RGB")
    picture.thumbnail((EDGE, EDGE))
    picture.save(io.BytesIO(), "WEBP", quality=82, method=4)
