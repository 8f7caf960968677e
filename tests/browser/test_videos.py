"""Two videos in a real Chromium: they play, seek, loop and step as one."""

import io
from pathlib import Path

import av
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from evalhub.studies.models import Checkpoint, Modality, Role, Sample, Submission, SubmissionState, User
from evalhub.studies.services import add_member, store_media
from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import press, revealed, seat, sign_in, site, until
from tests.filming import film, moving_square
from tests.raters.conftest import Desk, make_desk

__all__ = ["site"]  # a fixture

RATE, FRAMES = 25, 75
# Where each video's bright square begins, in pixels of the video.
SQUARES = """() => [...document.querySelectorAll("video")].map((video) => {
    const canvas = new OffscreenCanvas(320, 180);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const row = context.getImageData(0, 90, 320, 1).data;
    return [...Array(320).keys()].findIndex((place) => row[4 * place] > 140);
})"""


@pytest.fixture
def desk(site: str, tmp_path: Path) -> Desk:
    """Two contestants, in other containers and at other speeds, of the same moving square."""
    desk = make_desk(prompts=3, modality=Modality.VIDEO)
    for name, form, rate in (("Alpha", "mp4", RATE), ("Beta", "webm", 12)):
        checkpoint = Checkpoint.objects.create(study=desk.study, name=name)
        Submission.objects.create(
            checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=desk.study.created_at
        )
        for place, prompt in enumerate(desk.prompts):
            path = film(
                tmp_path / f"{name}{place}.{form}",
                rate=rate,
                frames=3 * rate,
                draw=lambda number: moving_square(number, size=(320, 180)),
            )
            media = store_media(study=desk.study, path=path)
            Sample.objects.create(checkpoint=checkpoint, prompt=prompt, media=media)
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    return seat(page, site, desk)


def paused(page: Page) -> None:
    if page.get_by_role("button", name="Pause").count():
        page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    until(page, "[...document.querySelectorAll('video')].every((video) => !video.seeking)")


def numbers(page: Page) -> list[int]:
    """The frames that both videos are at, by their clocks."""
    found = page.evaluate("[...document.querySelectorAll('video')].map((video) => video.currentTime)")
    return [int(time * RATE) for time in found]


def test_they_stay_within_one_frame_of_each_other(seated: Page) -> None:
    """What each presents, and when, as the browser itself tells: whenever one frame is up, the other is no more than
    one away, after two loops, a stall of one side and a change of speed."""
    seated.evaluate(
        """() => {
            window.presented = [[], []];
            document.querySelectorAll("video").forEach((video, side) => {
                const note = (_now, { mediaTime, expectedDisplayTime }) => {
                    window.presented[side].push([expectedDisplayTime, Math.round(mediaTime * 25)]);
                    video.requestVideoFrameCallback(note);
                };
                video.requestVideoFrameCallback(note);
            });
        }"""
    )
    seated.wait_for_timeout(4000)
    seated.evaluate("document.querySelectorAll('video')[1].pause()")  # one side stalls
    seated.wait_for_timeout(300)
    seated.evaluate("document.querySelectorAll('video')[1].play()")
    seated.wait_for_timeout(1500)
    seated.evaluate("window.presented = [[], []]")
    seated.keyboard.press("[")
    seated.wait_for_timeout(4000)
    left, right = seated.evaluate("window.presented")
    assert len(left) > 20
    assert len(right) > 20
    off = []
    for at, number in left:
        up = [other for time, other in right if time <= at]
        if up:
            # Around the loop's end one may already be at the start.
            distance = abs(up[-1] - number)
            off.append(min(distance, FRAMES - distance))
    assert sum(each <= 1 for each in off) >= 0.95 * len(off), off
    assert Vote.objects.count() == 0


def test_frame_by_frame_and_seeking(seated: Page) -> None:
    paused(seated)
    seated.keyboard.press("Home")
    paused(seated)
    for expected in (1, 2, 3):
        seated.keyboard.press(".")
        paused(seated)
        assert numbers(seated) == [expected, expected]
    seated.keyboard.press(",")
    paused(seated)
    assert numbers(seated) == [2, 2]
    seated.get_by_role("slider", name="Place in both videos").fill("50")
    paused(seated)
    assert numbers(seated) == [50, 50]
    expect(seated.get_by_role("slider", name="Place in both videos")).to_have_attribute(
        "aria-valuetext", "frame 51 of 75"
    )
    seated.keyboard.press("Home")
    paused(seated)
    assert numbers(seated) == [0, 0]
    seated.keyboard.press("End")
    paused(seated)
    assert numbers(seated) == [FRAMES - 1, FRAMES - 1]


def test_what_is_seen_after_a_step_is_the_same_frame(seated: Page) -> None:
    """By the pixels: a frame's square stands where its number says, on both sides. Beta has 12 frames a second, so its
    frame is seen for two or three of the other's."""
    paused(seated)
    for place in (0, 1, 2, 37, 38, 74):
        seated.get_by_role("slider", name="Place in both videos").fill(str(place))
        paused(seated)
        until(seated, f"({SQUARES})().every((left) => left >= 0)")
        at = sorted(seated.evaluate(SQUARES))
        # Two pixels a frame of its own: Alpha moves by 2 for each, Beta by 2 for each of its slower ones.
        expected = sorted((2 * number) % (320 - 16) for number in (place, place * 12 // RATE))
        assert all(abs(found - wanted) <= 2 for found, wanted in zip(at, expected, strict=True)), (place, at, expected)


def test_the_slider_s_own_keys_move_it_and_answer_nothing(seated: Page) -> None:
    paused(seated)
    seated.keyboard.press("Home")
    slider = seated.get_by_role("slider", name="Place in both videos")
    slider.focus()
    for _ in range(3):
        seated.keyboard.press("ArrowRight")
    paused(seated)
    assert numbers(seated) == [3, 3]
    assert Vote.objects.count() == 0


def test_they_loop_or_stay_at_the_end(seated: Page) -> None:
    slider = seated.get_by_role("slider", name="Place in both videos")
    paused(seated)
    slider.fill("70")
    paused(seated)
    seated.keyboard.press("Space")
    until(seated, "[...document.querySelectorAll('video')].every((video) => video.currentTime < 2 && !video.paused)")
    assert abs(numbers(seated)[0] - numbers(seated)[1]) <= 2
    paused(seated)
    seated.keyboard.press("l")
    expect(seated.get_by_role("button", name="Again and again")).to_have_attribute("aria-pressed", "false")
    slider.fill("70")
    paused(seated)
    seated.keyboard.press("Space")
    until(seated, "[...document.querySelectorAll('video')].every((video) => video.ended)")
    expect(seated.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(seated.get_by_label("Time, frame and speed")).to_have_text("2.96 s · 75/75 · 1×")
    seated.keyboard.press("Space")  # from the start, since there is nothing after the end
    until(seated, "[...document.querySelectorAll('video')].every((video) => !video.ended && video.currentTime < 2)")
    slider.click(position={"x": 100, "y": 8})  # a slider that the mouse has left takes no key away from the answers
    press(seated, "ArrowLeft")
    expect(seated.get_by_role("button", name="Again and again")).to_have_attribute("aria-pressed", "false")


def test_both_at_one_speed(seated: Page) -> None:
    rates = "[...document.querySelectorAll('video')].map((video) => video.playbackRate)"
    paused(seated)
    for key, speed in (("[", 0.5), ("[", 0.25), ("[", 0.25), ("]", 0.5), ("]", 1), ("]", 1.5), ("]", 2)):
        seated.keyboard.press(key)
        assert seated.evaluate(rates) == [speed, speed]


def test_answers_wait_until_both_were_watched(desk: Desk, site: str, page: Page) -> None:
    desk.study.requires_watching = True
    desk.study.save()
    seat(page, site, desk)
    expect(page.get_by_role("button", name="Left")).to_be_disabled()
    page.keyboard.press("ArrowLeft")
    assert Vote.objects.count() == 0
    page.keyboard.press("End")  # to have gone there is not to have watched
    paused(page)
    expect(page.get_by_role("button", name="Left")).to_be_disabled()
    page.keyboard.press("Space")
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(page.get_by_role("button", name="Left")).to_be_enabled(timeout=15_000)
    press(page, "ArrowLeft")
    assert Vote.objects.count() == 1
    expect(page.get_by_role("button", name="Left")).to_be_disabled()


def test_whoever_asked_for_less_motion_starts_them_herself(desk: Desk, site: str, browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = seat(context.new_page(), site, desk)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")
    assert page.evaluate("[...document.querySelectorAll('video')].every((video) => video.muted)")
    expect(page.get_by_text("no sound", exact=True)).to_be_visible()
    page.keyboard.press("Space")
    until(page, "[...document.querySelectorAll('video')].every((video) => !video.paused && video.currentTime > 0.2)")
    page.keyboard.press("?")
    expect(page.get_by_text("again and again, or once; videos have no sound")).to_be_visible()
    context.close()


def test_zoom_and_difference_are_for_videos_too(seated: Page) -> None:
    paused(seated)
    seated.keyboard.press("z")
    assert seated.evaluate("document.querySelector('video').getBoundingClientRect().width") == 320
    seated.keyboard.press("d")
    expect(seated.locator(".pair")).to_have_attribute("data-view", "difference")


def test_the_page_is_accessible(seated: Page) -> None:
    paused(seated)
    found = Axe().run(seated)
    assert found.violations_count == 0, found.generate_report()
    seated.set_viewport_size({"width": 360, "height": 740})
    assert seated.evaluate("document.documentElement.scrollWidth") <= 360
    found = Axe().run(seated)
    assert found.violations_count == 0, found.generate_report()


def test_parts_of_a_copy(desk: Desk, seated: Page) -> None:
    """Ranges as every browser asks for them, each side with the same headers but for its own length."""
    revealed(seated)
    comparison = Comparison.objects.order_by("pk").first()
    assert comparison is not None
    client = Client()
    assert comparison.rater.user is not None
    client.force_login(comparison.rater.user)
    address = f"/shown/{comparison.left_token}"

    def part(asked: str) -> tuple[int, bytes, str]:
        answer = client.get(address, headers={"Range": asked})
        return answer.status_code, answer.getvalue(), answer.headers.get("Content-Range", "")

    whole = client.get(address).getvalue()
    size = len(whole)
    with av.open(io.BytesIO(whole), "r") as container:
        assert len(list(container.decode(video=0))) == FRAMES
    assert part("bytes=0-") == (206, whole, f"bytes 0-{size - 1}/{size}")
    assert part("bytes=10-19") == (206, whole[10:20], f"bytes 10-19/{size}")
    assert part("bytes=-7") == (206, whole[-7:], f"bytes {size - 7}-{size - 1}/{size}")
    assert part(f"bytes=5-{size + 99}") == (206, whole[5:], f"bytes 5-{size - 1}/{size}")
    for asked in (f"bytes={size}-", "bytes=9-3", "bytes=-0"):
        status, content, of = part(asked)
        assert (status, content, of) == (416, b"", f"bytes */{size}")
    for asked in ("bytes=0-1,5-6", "pages=1-2", "bytes=-", "nonsense"):
        assert part(asked) == (200, whole, "")
    other = client.get(f"/shown/{comparison.right_token}", headers={"Range": "bytes=0-9"})
    mine = client.get(address, headers={"Range": "bytes=0-9"})
    # A copy's length follows from its pixels alone.
    assert other.headers.keys() == mine.headers.keys()
    assert all(other.headers[name] == mine.headers[name] for name in mine.headers if name != "Content-Range")


def test_a_preview_plays_videos_that_have_no_copies_yet(site: str, page: Page, tmp_path: Path) -> None:
    desk = make_desk(prompts=2, modality=Modality.VIDEO)
    for name, form in (("Alpha", "mp4"), ("Beta", "webm")):
        checkpoint = Checkpoint.objects.create(study=desk.study, name=name)
        Submission.objects.create(
            checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=desk.study.created_at
        )
        path = film(tmp_path / f"{name}.{form}", draw=lambda number: moving_square(number, size=(320, 180)), frames=30)
        media = store_media(study=desk.study, path=path)
        Sample.objects.create(checkpoint=checkpoint, prompt=desk.prompts[0], media=media)
    owner = User.objects.create_user("olga")
    add_member(study=desk.study, user=owner, role=Role.OWNER, actor=owner)
    sign_in(page.context, site, "olga")
    page.goto(f"{site}/studies/{desk.study.slug}/preview/")
    until(page, "document.querySelector('[data-revealed]') !== null")
    until(page, "[...document.querySelectorAll('video')].every((video) => video.videoWidth === 320)")
    page.keyboard.press(" ")
    until(page, "[...document.querySelectorAll('video')].every((video) => video.currentTime > 0.2)")
    assert not Comparison.objects.exists()
