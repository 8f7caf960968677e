"""Copies in a bucket: of a file of tiles or a video only the part that is asked for travels.

The bucket is a server on this machine that answers as S3 does to a GET with a range; django-storages and boto3 are the
real ones.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image
from storages.backends.s3 import S3Storage

from evalhub.studies import pieces
from raters import services
from raters.models import PresentationCopy
from raters.presentation import pyramid
from tests.raters.conftest import Desk, copies_of, offer
from tests.raters.test_cutting import WIDE, photograph


@dataclass
class Bucket:
    """What lies in it, and what was asked of it: key and range."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key, span = self.path.lstrip("/"), self.headers.get("Range", "")
            one.asked.append((key, span))
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", span)
            if key not in one.objects or found is None:
                self.send_error(404)
                return
            content = one.objects[key][int(found[1]) : int(found[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Range", f"bytes {found[1]}-{found[2]}/{len(one.objects[key])}")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one = Bucket(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


def test_of_a_file_of_tiles_only_one_tile_is_fetched(
    bare_desk: Callable[..., Desk], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = bare_desk(prompts=1)
    for name in ("One", "Two"):
        desk.contestant(name, lambda _place, number: photograph(WIDE).point(lambda level: level // (number + 1)))
    services.prepare_presentation(study=desk.study)
    for copy in PresentationCopy.objects.all():
        with default_storage.open(copy.path) as file:
            bucket.objects[f"evalhub/prefix/{copy.path}"] = file.read()
    storage = S3Storage(
        bucket_name="evalhub",
        location="prefix",
        endpoint_url=bucket.url,
        access_key="unused",
        secret_key="unused",
        addressing_style="path",
        region_name="unused",
    )
    enrolment = desk.rater("ria")
    comparison = offer(desk, enrolment)
    monkeypatch.setattr(pieces, "default_storage", storage)
    client = Client()
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    finest = len(pyramid.levels(WIDE)) - 1
    answer = client.get(f"/shown/{comparison.left_token}/tiles/{finest}/3_0")
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as tile:
        assert tile.size == (pyramid.TILE, WIDE[1])
    (key, index), (same, span) = bucket.asked
    assert key == same == f"evalhub/prefix/{copies_of(comparison)[0].path}"
    first, last = map(int, span.removeprefix("bytes=").split("-"))
    assert index == "bytes={}-{}".format(*(lambda at: (at, at + 15))(8 * (pyramid.number(WIDE, finest, 3, 0) or 0)))
    assert last - first + 1 == len(answer.content) < len(bucket.objects[key]) / 4
