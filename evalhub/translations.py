"""The catalogues of what raters read in their own languages: gathered from the source, compiled for gettext.

`python -m evalhub.translations` compiles each `.po` file whose `.mo` file is missing or older;
`python -m evalhub.translations update` first writes new texts into the `.po` files, and drops those that are gone.
Neither needs gettext's own programs on the machine.
"""

import os
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).resolve().parent.parent
CATALOGUES = SOURCE / "evalhub" / "locale"
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_noop": None,
    "gettext_lazy": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}


def catalogue_of(path: Path) -> Catalog:
    """The catalogue in a `.po` file; a fault in it is an error."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.parent.parent.name, domain="django", abort_invalid=True)
    # Babel's own values are blanks to be filled in by hand.
    catalogue.msgid_bugs_address, catalogue.last_translator, catalogue.language_team = "", "", ""
    return catalogue


def gather() -> Catalog:
    """Every text that is marked for translation, with the files that it stands in."""
    found = Catalog(project="EvalHub", domain="django", fuzzy=False)
    for path, method, content in _sources():
        for _, text, _, context in extract(method, BytesIO(content), KEYWORDS):
            found.add(text, None, [(str(path.relative_to(SOURCE)), 0)], context=context)
    return found


def _sources() -> Iterator[tuple[Path, str, bytes]]:
    from django.utils.translation.template import templatize

    for path in sorted((SOURCE / "templates").rglob("*.html")):
        # Its result is Python but for the indentation, which Python's tokenizer would object to.
        calls = templatize(path.read_text(), origin=str(path))
        yield path, "python", re.sub("^[ \t]+", "", calls, flags=re.MULTILINE).encode()
    for package in ("evalhub", "raters", "metrics"):
        for path in sorted((SOURCE / package).rglob("*.py")):
            yield path, "python", path.read_bytes()


def update() -> None:
    """Bring the texts of every `.po` file up to date; a new one waits for its translation, empty."""
    gathered = gather()
    for path in _catalogues():
        catalogue = catalogue_of(path)
        catalogue.update(gathered, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, sort_by_file=True, include_lineno=False)


def compile_catalogues() -> None:
    """Write the `.mo` file beside each `.po` file that has changed since."""
    for path in _catalogues():
        compiled = path.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime >= path.stat().st_mtime:
            continue
        # Whole or not at all: another process may be reading it.
        new = compiled.with_suffix(f".{os.getpid()}.part")
        with new.open("wb") as file:
            write_mo(file, catalogue_of(path))
        new.replace(compiled)


def _catalogues() -> list[Path]:
    return sorted(CATALOGUES.glob("*/LC_MESSAGES/django.po"))


if __name__ == "__main__":
    if sys.argv[1:] == ["update"]:
        update()
    compile_catalogues()
