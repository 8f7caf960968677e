"""Pictures above 4,096 pixels in a study: served tile by tile, to whom they were drawn for."""

import io
import re
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageCms, PngImagePlugin

from evalhub.studies import thumbnails
from raters import services
from raters.models import PresentationCopy
from raters.presentation import (
    TILED,
    WHOLE,
    pyramid,
)
from tests.raters.conftest import Desk, noise, offer, png, store
from tests.raters.test_cutting import WIDE, photograph


@pytest.fixture
def wide(bare_desk: Callable[..., Desk]) -> Desk:
    """A small and a large contestant, whose pictures differ in format and metadata too."""
    desk = bare_desk(prompts=1, presentation_edge=16_384)
    desk.contestant("Large", lambda _place, _number: photograph(WIDE))
    desk.contestant("Small", lambda place, number: noise(place, number), format="WEBP", lossless=True)
    services.prepare_presentation(study=desk.study)
    return desk


def signed_in(desk: Desk, name: str) -> Client:
    enrolment = desk.rater(name)
    assert enrolment.rater.user is not None
    client = Client()
    client.force_login(enrolment.rater.user)
    return client


def test_both_sides_follow_one_policy_whatever_their_sizes(wide: Desk) -> None:
    copies = PresentationCopy.objects.filter(study=wide.study)
    assert {(copy.width, copy.height, copy.policy) for copy in copies} == {(*WIDE, TILED)}
    client = signed_in(wide, "ria")
    page = client.get("/rate/study/").content.decode()
    sides = re.findall(r'<div class="tiles".*?</div>', page)
    assert len(sides) == 2
    without_tokens = {re.sub(r"/shown/[\w-]+|Left|Right", "", side) for side in sides}
    assert len(without_tokens) == 1
    left, right = (re.search(r"/shown/[\w-]+", side) for side in sides)
    assert left
    assert right
    for level, column, row in pyramid.tiles(WIDE):
        answers = [client.get(f"{side[0]}/tiles/{level}/{column}_{row}") for side in (left, right)]
        heads = [{name: value for name, value in answer.items() if name != "Content-Length"} for answer in answers]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert heads[0] == heads[1]
        assert heads[0]["Content-Type"] == "image/webp"
        assert heads[0]["Cache-Control"] == "private, max-age=600"
        assert not {"ETag", "Last-Modified", "Content-Disposition", "Accept-Ranges"} & heads[0].keys()
        sizes = {Image.open(io.BytesIO(b"".join(answer))).size for answer in answers}
        assert len(sizes) == 1


def test_whoever_asks_for_anything_else_gets_one_answer(wide: Desk) -> None:
    client, stranger = signed_in(wide, "ria"), signed_in(wide, "sam")
    client.get("/rate/study/")
    enrolment = wide.study.enrolments.get(rater__user__username="ria")
    comparison = offer(wide, enrolment)
    address = f"/shown/{comparison.left_token}/tiles"
    assert client.get(f"{address}/0/0_0").status_code == 200
    assert client.get(f"/shown/{comparison.left_token}").status_code == 200  # the overview
    refused = client.get("/shown/nothing")
    assert refused.status_code == 404
    wrong = [
        *(f"{address}/{tile}" for tile in ("9/0_0", "0/1_0", "0/0_1", "4/9_0", f"{10**30}/0_0")),
        f"/shown/{comparison.token}/tiles/0/0_0",  # the pair's token is no side's
        f"/shown/{comparison.token}/source",  # its prompt gives none
        f"/shown/{comparison.token}/reference/tiles/0/0_0",
        f"/shown/{comparison.token}/{'x' * 50}",
        f"/shown/{comparison.left_token}/source",
    ]
    for one, where in [
        *((client, where) for where in wrong),
        (stranger, f"{address}/0/0_0"),
        (Client(), f"{address}/0/0_0"),
    ]:
        answer = one.get(where)
        assert (answer.status_code, answer.content, dict(answer.items())) == (
            404,
            refused.content,
            dict(refused.items()),
        ), where
    comparison.expires_at = timezone.now() - timedelta(seconds=1)
    comparison.save()
    assert client.get(f"{address}/0/0_0").content == refused.content


def test_twins_in_tiles_cannot_be_told_apart(bare_desk: Callable[..., Desk], client: Client) -> None:
    """Two contestants with equal pixels in other files: every tile and every header is the same."""
    desk = bare_desk(prompts=1, presentation_edge=16_384)
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "Nightjar 7B")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    desk.contestant("Nightjar", lambda _place, _number: photograph(WIDE), pnginfo=text)
    desk.contestant(
        "Kestrel", lambda _place, _number: photograph(WIDE).convert("RGBA"), format="TIFF", icc_profile=profile
    )
    services.prepare_presentation(study=desk.study)
    one, other = PresentationCopy.objects.filter(study=desk.study)
    assert one.media != other.media
    client = signed_in(desk, "ria")
    comparison = offer(desk, desk.study.enrolments.get())
    for level, column, row in pyramid.tiles(WIDE):
        left, right = (
            client.get(f"/shown/{token}/tiles/{level}/{column}_{row}")
            for token in (comparison.left_token, comparison.right_token)
        )
        assert left.content == right.content
        assert dict(left.items()) == dict(right.items())


# -- sources, masks and references --------------------------------------------------------------------------------


def test_no_pair_is_offered_before_its_source_and_mask_are_there(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    desk.contestant("One")
    desk.contestant("Two")
    services.prepare_presentation(study=desk.study)
    (prompt,) = desk.prompts
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "Alpha")
    prompt.source = store(desk.study, png(noise(0, 9), pnginfo=text), "png")
    prompt.mask = store(desk.study, png(Image.new("L", (24, 16), 255)), "png")
    prompt.save()
    enrolment = desk.rater("ria")
    assert services.studies_to_prepare() == [desk.study]
    services.prepare_presentation(study=desk.study)
    assert services.studies_to_prepare() == []
    comparison = offer(desk, enrolment)
    client = Client()
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    page = client.get("/rate/study/").content.decode()
    address = f"/shown/{comparison.token}"
    assert f'src="{address}/source"' in page
    assert f'data-address="{address}/mask"' in page
    source = client.get(f"{address}/source")
    assert source["Content-Type"] == "image/webp"
    assert b"Alpha" not in source.content
    with Image.open(io.BytesIO(source.content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(noise(0, 9)))
    mask = client.get(f"{address}/mask")
    assert mask["Content-Type"] == "image/svg+xml"
    # White all over, on the sides' canvas.
    assert 'viewBox="0 0 48 32"' in mask.content.decode()
    assert 'd="M0 0H48V32H0z"' in mask.content.decode()
    assert client.get(f"{address}/reference").status_code == 404
    assert Client().get(f"{address}/source").status_code == 404


def test_without_its_copy_nothing_is_offered(bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk(prompts=1)
    (prompt,) = desk.prompts
    prompt.source = store(desk.study, png(noise(0, 9)), "png")
    prompt.save()
    desk.contestant("One")
    desk.contestant("Two")
    services.prepare_presentation(study=desk.study)
    PresentationCopy.objects.filter(media=prompt.source).delete()
    enrolment = desk.rater("ria")
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is None
    services.prepare_presentation(study=desk.study)
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) is not None


def test_a_large_copy_that_is_still_whole_is_made_anew(wide: Desk) -> None:
    PresentationCopy.objects.filter(study=wide.study).update(policy=WHOLE)
    assert services.studies_to_prepare() == [wide.study]
    assert services.next_comparison(study=wide.study, rater=wide.rater("ria").rater) is None
    assert services.prepare_presentation(study=wide.study) == 2
    assert services.studies_to_prepare() == []


def test_researchers_see_a_large_picture_small(bare_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that cuts it into tiles keeps a thumbnail; a web process would have to decode it whole."""
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 100_000)
    desk = bare_desk(prompts=1)
    desk.contestant("Large", lambda _place, _number: photograph(WIDE))
    desk.contestant("Tall", lambda _place, _number: photograph((400, 1600)))
    media = {checkpoint.name: checkpoint.samples.get().media for checkpoint in desk.checkpoints}
    assert thumbnails.thumbnail(media["Large"])[1] == "image/svg+xml"
    services.prepare_presentation(study=desk.study)
    for name, size in {"Large": (320, 5), "Tall": (80, 320)}.items():
        content, kind = thumbnails.thumbnail(media[name])
        assert kind == "image/webp"
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.size == pytest.approx(size, abs=12)
            colours = np.asarray(picture.convert("RGB").resize((20, 20))).astype(int)
        expected = np.asarray(photograph((20, 20))).astype(int)
        assert np.abs(colours - expected).mean() < 30
