"""What no template may hold: the content security policy would stop it in a browser, where nobody reads the console."""

import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
FORBIDDEN = {
    "an inline style": r"<style|\sstyle\s*=",
    "an inline script": r"<script(?![^>]*\bsrc=)|javascript:",
    "an inline event handler": r"<[^>]*\son\w+\s*=",
    "htmx code that needs eval": r"\bhx-on\b|hx-vars|hx-trigger\s*=\s*.[^\"']*\[|=\s*[\"']js:",
    "an address of another host": r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//",
    "text that is not escaped": r"\|\s*safe\b|{%\s*autoescape\s+off",
}
# Help texts are the forms' own words, and a letter is plain text.
ALLOWED = {
    ("components/field.html", "text that is not escaped"),
    ("registration/password_reset_email.html", "text that is not escaped"),
}


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_holds_nothing_that_the_policy_stops(path: Path) -> None:
    name, text = str(path.relative_to(TEMPLATES)), path.read_text()
    found = {what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)}
    assert {(name, what) for what in found} <= ALLOWED


def test_the_patterns_find_what_they_are_for() -> None:
    planted = {
        "an inline style": '<p style="color: red">',
        "an inline script": "<script>alert(1)</script>",
        "an inline event handler": '<img src="x" onerror="alert(1)">',
        "htmx code that needs eval": '<div hx-trigger="click[ctrlKey]">',
        "an address of another host": '<script src="//cdn.example/x.js"></script>',
        "text that is not escaped": "{{ name|safe }}",
    }
    for what, text in planted.items():
        assert re.search(FORBIDDEN[what], text), what
