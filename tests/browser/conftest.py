"""A real Chromium. A missing browser fails the test; nothing here skips."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

# Playwright's synchronous interface keeps an event loop in this thread, and Django takes that for a mistake.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

PATIENCE = 30_000  # milliseconds, on a machine with other work
expect.set_options(timeout=PATIENCE)


def _system_chromium() -> str | None:
    """The machine's own browser, if there is one; otherwise Playwright starts the one that it downloaded."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


@pytest.fixture(autouse=True)
def no_attempts_counted() -> None:
    """Signing in is limited per address, and all tests come from one."""
    cache.clear()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as one:
        yield one


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    # Chromium's sandbox does not start as root or in most containers; all that it opens here is our own site.
    one = playwright.chromium.launch(executable_path=_system_chromium(), args=["--no-sandbox"])
    yield one
    one.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor with no cookies. A second visitor is `browser.new_context()`."""
    one = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    one.set_default_timeout(PATIENCE)
    yield one
    one.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page. An uncaught script error, or anything that the content security policy stopped, fails the test."""
    one = context.new_page()
    troubles: list[str] = []
    one.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
    one.on(
        "console",
        lambda message: troubles.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield one
    assert not troubles, troubles
