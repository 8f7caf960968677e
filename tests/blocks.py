"""The blocks of code in README.md and docs: a test runs those of a page and a language that it asks for here.

`tests/test_docs.py` finds those for which no test asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from tests.systems import SOURCE

PAGES = ("README.md", *sorted(str(file.relative_to(SOURCE)) for file in (SOURCE / "docs").rglob("*.md")))


@dataclass(frozen=True)
class Block:
    """One block; `before` is the paragraph above it, which may say why it is not run."""

    page: str
    line: int
    language: str
    text: str
    before: str

    @property
    def is_excused(self) -> bool:
        return "not run here" in self.before.lower()


def all_blocks(page: str) -> Iterator[Block]:
    """Every block of a page, fenced or indented, in its order."""
    before = ""
    for token in MarkdownIt().enable("table").parse((SOURCE / page).read_text(encoding="utf-8")):
        if token.type == "inline":
            before = token.content
        elif token.type in {"fence", "code_block"}:
            yield Block(page, (token.map or [0])[0] + 1, token.info.strip(), token.content, before)


def blocks(page: str, language: str) -> list[str]:
    """What a test runs: the page's blocks in that language, without those that say that they are not run."""
    return [block.text for block in all_blocks(page) if block.language == language and not block.is_excused]
