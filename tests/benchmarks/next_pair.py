"""From the key press to the next pair fully shown, in a real browser on loopback; and without fetching ahead."""

import time
from collections.abc import Iterator

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.benchmarks import Claim, Measure
from tests.benchmarks._raters import Rater
from tests.benchmarks.voting import electorate
from tests.browser.conftest import _system_chromium
from tests.systems import System, running

EDGE = 1024
PRESSES, ROUNDS = 12, 3
LIMIT = 100.0  # milliseconds
# Two frames on, the one with both sides in it has been drawn.
CLOCK = """() => {
  window.taken = [];
  let began = 0;
  addEventListener("keydown", (event) => { began = event.timeStamp; }, true);
  document.addEventListener("revealed", ({ target }) => {
    const whole = [...target.querySelectorAll(".pane > img")].every((side) => side.complete && side.naturalWidth);
    requestAnimationFrame(() => requestAnimationFrame((now) => { if (whole) window.taken.push(now - began); }));
  });
}"""


def measure(presses: int = PRESSES, rounds: int = ROUNDS) -> Iterator[Measure | Claim]:
    with running() as system, sync_playwright() as playwright:
        raters = electorate(system, "looked-at", 2, 2 * presses * rounds, edge=EDGE)
        browser = playwright.chromium.launch(executable_path=_system_chromium(), args=["--no-sandbox"])
        ahead, after = browser.new_context(), browser.new_context()
        after.route("**/ahead/", lambda route: route.fulfill(status=200, body=""))
        pages = [_seated(context, system, rater) for context, rater in zip((ahead, after), raters, strict=True)]
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            for page, taken in zip(pages, (ours, theirs), strict=True):
                taken += _press(page, presses)
        browser.close()
    what = f"key press to next pair fully shown, pictures of {EDGE} px"
    yield Measure(what, ours, "without fetching ahead", theirs, goal=None, unit="ms")
    yield Claim(f"{what}: median", sorted(ours)[len(ours) // 2], high=LIMIT, unit="ms")


def _seated(context: BrowserContext, system: System, rater: Rater) -> Page:
    page = context.new_page()
    page.goto(f"{system.url}/accounts/login/")
    csrf = next(cookie["name"] for cookie in context.cookies() if "csrf" in cookie.get("name", ""))
    context.add_cookies([{"name": csrf.replace("csrf", "session"), "value": rater.session, "url": system.url}])
    page.goto(f"{system.url}/rate/{rater.slug}/")
    page.locator("[data-open]").wait_for()
    page.evaluate(CLOCK)
    return page


def _press(page: Page, presses: int) -> list[float]:
    """Milliseconds of each press; between two she looks for as long as the fastest of raters do."""
    page.bring_to_front()
    page.evaluate("window.taken = []")
    for number in range(presses):
        page.locator("[data-open]").wait_for()
        page.wait_for_timeout(800)
        page.keyboard.press("ArrowLeft")
        deadline = time.monotonic() + 30
        while page.evaluate("window.taken.length") <= number:
            assert time.monotonic() < deadline, "The next pair did not come."
            page.wait_for_timeout(20)
    taken: list[float] = page.evaluate("window.taken")
    return taken
