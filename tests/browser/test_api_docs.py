"""The page about the API: whole with nothing but this machine to ask, and readable on a telephone."""

from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from playwright.sync_api import Page, Route, expect
from pytest_django.live_server_helper import LiveServer

WIDTHS = (1400, 360)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_drawn_with_no_network(page: Page, live_server: LiveServer, width: int) -> None:
    """Its scripts, styles and pictures come from the site; `page` fails on what the content security policy stops."""
    outside: list[str] = []

    def at_home(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.hostname == "127.0.0.1" or address.scheme in ("data", "blob"):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    page.context.route("**/*", at_home)
    page.set_viewport_size({"width": width, "height": 900})
    answer = page.goto(f"http://127.0.0.1:{urlsplit(live_server.url).port}{reverse('docs')}")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "unsafe-inline" not in policy
    expect(page.get_by_role("heading", name="EvalHub")).to_be_visible()
    operations = page.locator(".opblock")
    expect(operations.filter(has_text="/api/v1/studies/{slug}/submissions/").first).to_be_visible()
    assert operations.count() > 50
    submit = page.locator("#operations-studies-submit")
    submit.locator(".opblock-summary-control").click()
    expect(submit.get_by_text("Begin a submission or go on with one").first).to_be_visible()
    expect(submit.get_by_text("bfloat16").first).to_be_visible()  # of its example
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0
    assert not outside
