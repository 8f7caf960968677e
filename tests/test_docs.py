"""The pages as a whole: every block of code is run by some test or says why not; what they name is there."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from typer.main import get_command

from evalhub.client.command import app
from tests.blocks import PAGES, all_blocks
from tests.systems import SOURCE

TESTS = [file.read_text(encoding="utf-8") for file in sorted((SOURCE / "tests").rglob("test_*.py"))]
ASKED_FOR = {found for text in TESTS for found in re.findall(r"\bblocks\(\"([^\"]+)\", \"(\w*)\"\)", text)}


def text_of(page: str) -> str:
    return (SOURCE / page).read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The names of a page's headings in links, as sites that show Markdown make them."""
    heads = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    left = [
        f"{page}:{block.line} ({block.language or 'no language'})"
        for block in all_blocks(page)
        if not block.is_excused and (page, block.language) not in ASKED_FOR
    ]
    assert not left, "run these by a test, or write above them “Not run here” and why"


def test_no_test_asks_for_blocks_that_are_not_there() -> None:
    there = {(block.page, block.language) for page in PAGES for block in all_blocks(page) if not block.is_excused}
    assert {asked for asked in ASKED_FOR if asked not in there} == set()


def test_every_example_is_run() -> None:
    (runs,) = [text for text in TESTS if text.startswith('"""docs/examples')]
    for example in sorted((SOURCE / "docs" / "examples").iterdir()):
        if example.is_file():
            assert f'"{example.name}"' in runs, f"{example.name} is run by no test"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        found = (Path(page).parent / file) if file else Path(page)
        assert (SOURCE / found).exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(str(found)), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    text = text_of(page)
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    programs = getattr(get_command(app), "commands", {})
    assert set(re.findall(r"(?:`|\$ |/bin/)evalhub ([a-z]+)", text)) <= set(programs)
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ |^)make ([a-z]+)", text, re.MULTILINE)) <= targets
