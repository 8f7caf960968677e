"""Raters read their pages in their own language: nothing on these goes past gettext, and nothing of it lacks German.

Texts are gathered from the source as it is, by Django's and Babel's own extractors, not from a list that could be old.
"""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.cache import cache
from django.template.base import Lexer, TokenType
from django.test import Client
from django.utils import translation

from evalhub.translations import CATALOGUES, SOURCE, catalogue_of, gather
from raters import services
from tests.raters.conftest import Desk, make_desk
from tests.submitting import Scene, make_scene

TEMPLATES = SOURCE / "templates"
GERMAN = CATALOGUES / "de" / "LC_MESSAGES" / "django.po"
# Where raters come besides their own pages, all of which are built on one base.
BASE = "raters/base_rating.html"
ALSO = (
    "base.html",
    "studies/studies.html",
    "studies/join.html",
    "studies/join_refused.html",
    "registration/login.html",
    *(f"{name}.html" for name in ("400", "403", "403_csrf", "404")),
)
# A researcher's preview of them is hers.
NOT_FOR_RATERS = re.compile(r"raters/preview_")
# What speaks to raters in Python: whatever is refused here is read by one.
SPEAKING = [
    *(SOURCE / "raters" / "platforms").glob("*.py"),
    *(
        SOURCE / "raters" / "views" / f"{name}.py"
        for name in ("desk", "states", "lessons", "mine", "visits", "entrance", "farewell", "showing")
    ),
    *(
        SOURCE / "raters" / "services" / f"{name}.py"
        for name in (
            "enrolling",
            "leaving",
            "limits",
            "offering",
            "remarks",
            "resume_codes",
            "shares",
            "skipping",
            "starting",
            "training",
            "visiting",
            "voting",
            "windows",
        )
    ),
]
FOR_OWNERS = {"set_exclusion", "set_group"}
# Blocks that stand inside a tag.
NOT_WORDS = ("block kind", "block body")
# Names and signs that are the same in every language.
NAMES = {"EvalHub", "API", "EN", "UTC", "Esc", "Home", "End", "Space", "px"}
TRANSLATED_ATTRIBUTES = ("alt", "title", "placeholder", "aria-label", "aria-description", "aria-valuetext", "label")


# -- the catalogue -------------------------------------------------------------------------------------------------


def test_every_marked_text_is_in_german() -> None:
    german = {(message.context, message.id): message for message in catalogue_of(GERMAN) if message.id}
    gathered = {(message.context, message.id) for message in gather() if message.id}
    assert len(gathered) > 300
    lacking = [str(text) for context, text in gathered if not _whole(german.get((context, text)))]
    assert not lacking, "Run `python -m evalhub.translations update` and translate:\n" + "\n".join(sorted(lacking))
    stale = [str(text) for context, text in german if (context, text) not in gathered]
    assert not stale, "Run `python -m evalhub.translations update`, which drops:\n" + "\n".join(sorted(stale))


def _whole(message: object) -> bool:
    text: str | tuple[str, ...] = getattr(message, "string", None) or ""
    return bool(text) and all(text)


def test_translations_keep_what_is_filled_in() -> None:
    catalogue = catalogue_of(GERMAN)
    faults = [f"{message.id}: {fault}" for message in catalogue for fault in message.check(catalogue)]
    for message in catalogue:
        if not message.id:
            continue
        sources = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for source, text in zip(sources, texts, strict=True):
            # The singular may say its number in a word.
            if not _blanks(text) <= _blanks(sources[-1]) or (
                source == sources[-1] and _blanks(text) != _blanks(source)
            ):
                faults.append(f"{source!r}: {text!r} fills in other things, or has other tags")
    assert not faults, "\n".join(faults)


def _blanks(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]|\{\w+\}|</?\w+", text))


# -- templates -----------------------------------------------------------------------------------------------------


def rating_templates() -> list[str]:
    """Every template that a rater's page is made of, found by following what extends and includes what."""
    sources = {str(path.relative_to(TEMPLATES)): path.read_text() for path in TEMPLATES.rglob("*.html")}
    reached = {name for name, text in sources.items() if f'{{% extends "{BASE}"' in text} | {BASE, *ALSO}
    waiting = list(reached)
    while waiting:
        named = re.findall(r'{%\s*(?:include|extends)\s+"([^"]+)"', sources[waiting.pop()])
        waiting += [name for name in named if name not in reached]
        reached |= set(named)
    return sorted(name for name in reached if not NOT_FOR_RATERS.match(name))


class Words(HTMLParser):
    """The words that stand in HTML as they are, in text and in attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within.append(tag)
        self.found += [value for name, value in attrs if name in TRANSLATED_ATTRIBUTES and value and _speaks(value)]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            self.within.remove(tag)

    def handle_data(self, data: str) -> None:
        if not {"script", "style", "code", "kbd"} & set(self.within) and _speaks(data):
            self.found.append(data.strip())


def _speaks(text: str) -> bool:
    return any(word not in NAMES for word in re.findall(r"[^\W\d_]{2,}", text))


def untranslated(source: str) -> list[str]:
    """The words of a template that no language but its own has."""
    plain: list[str] = []
    inside = False
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            if token.contents.startswith(("blocktrans", *NOT_WORDS)):
                inside = True
            elif token.contents.startswith(("endblocktrans", "endblock")):
                inside = False
        elif token.token_type == TokenType.TEXT and not inside:
            plain.append(token.contents)
        elif token.token_type == TokenType.VAR and not inside:
            plain.append("·")
    words = Words()
    words.feed("".join(plain))
    words.close()
    return words.found


@pytest.mark.parametrize("name", rating_templates())
def test_a_raters_template_says_nothing_past_gettext(name: str) -> None:
    assert untranslated((TEMPLATES / name).read_text()) == []


def test_words_past_gettext_are_found() -> None:
    assert len(rating_templates()) > 30
    assert untranslated('<p>{% translate "Good" %} {{ name }} <kbd>Esc</kbd></p>') == []
    assert untranslated("<p>{% blocktranslate %}You are {{ name }}{% endblocktranslate %}</p>") == []
    assert untranslated("<p>You are {{ name }}</p>") == ["You are ·"]
    assert untranslated('<img alt="Left picture">') == ["Left picture"]
    assert untranslated("{% if a %}Yes{% endif %}") == ["Yes"]
    assert untranslated("<button aria-label=\"{% translate 'Play' %}\">▶ {{ n }} px</button>") == []


# -- sentences in Python and in scripts ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_raters_are_refused_is_said_by_gettext(path: Path) -> None:
    assert list(bare_refusals(ast.parse(path.read_text()))) == []


def bare_refusals(tree: ast.AST) -> Iterator[str]:
    """Sentences that are literals where something is refused."""
    for node in _outside(tree, FOR_OWNERS):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in {"Refusal", "Conflict", "TooLarge"}
            and node.args
        ):
            said = node.args[0]
            if isinstance(said, ast.JoinedStr) or (isinstance(said, ast.Constant) and isinstance(said.value, str)):
                yield ast.unparse(said)


def _outside(tree: ast.AST, functions: set[str]) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.FunctionDef) and node.name in functions):
            yield node
            yield from _outside(node, functions)


def test_bare_refusals_are_found() -> None:
    found = list(
        bare_refusals(ast.parse('Refusal("No.")\nConflict(f"No {x}.")\nRefusal(_("No."))\nRefusal(_("%s") % x)'))
    )
    assert found == ["'No.'", "f'No {x}.'"]


def test_scripts_of_raters_pages_bring_no_sentences() -> None:
    """They say what the page brought along."""
    for path in (SOURCE / "static" / "js").glob("*.js"):
        if path.stem not in {"page", "submit"}:  # of researchers' pages
            code = re.sub(r"^\s*//.*$|\s//\s.*$", "", path.read_text(), flags=re.MULTILINE)
            sentences = re.findall(r"""["'`]([A-Z][a-z]+ [a-z]+ [^"'`]*)["'`]""", code)
            assert sentences == [], path.name


# -- which language ------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(db: None) -> Desk:
    desk = make_desk()
    for name in ("Alpha", "Beta"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def scene(db: None) -> Scene:
    return make_scene()


def test_the_browser_chooses_the_language_and_the_menu_another(client: Client, desk: Desk) -> None:
    desk.rater("ria")
    client.login(username="ria", password="a-long-password")
    address = "/rate/study/"
    english = client.get(address)
    assert '<html lang="en"' in english.text
    german = client.get(address, headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
    assert '<html lang="de"' in german.text
    assert "Beide schlecht" in german.text
    assert 'alt="Linkes Bild"' in german.text
    assert german.headers["Content-Language"] == "de"
    french = client.get(address, headers={"accept-language": "fr"})
    assert '<html lang="en"' in french.text
    chosen = client.post("/language/", {"language": "de", "next": address})
    assert chosen.headers["Location"] == address
    cookie = chosen.cookies["language"]
    assert (cookie.value, cookie["samesite"], cookie["httponly"]) == ("de", "Lax", True)
    assert '<html lang="de"' in client.get(address, headers={"accept-language": "en"}).text
    assert (
        client.post("/language/", {"language": "de", "next": "https://elsewhere.example/"}).headers["Location"] == "/"
    )


def test_researchers_pages_and_the_api_are_in_english(client: Client, scene: Scene) -> None:
    cache.clear()  # log-ins of tests before count against the limit
    client.force_login(scene.ada)
    german = {"accept-language": "de"}
    settings = client.get("/studies/faces/settings/texts/", headers=german)
    assert '<html lang="en"' in settings.text
    assert 'aria-label="Language"' not in settings.text
    refused = client.post("/studies/faces/settings/texts/", {"name": ""}, headers=german)
    assert "This field is required." in refused.text
    assert '<html lang="de"' in client.get("/studies/", headers=german).text
    problem = client.post("/api/v1/login/", {}, "application/json", headers=german)
    assert "This field is required" in problem.json()["detail"]


def test_a_refusal_is_said_in_the_raters_language(client: Client, desk: Desk) -> None:
    desk.rater("ria")
    client.login(username="ria", password="a-long-password")
    answer = client.post("/rate/study/consent/", {}, headers={"accept-language": "de"})
    assert "kreuzen Sie an, dass Sie den Text gelesen haben" in answer.text


def test_numbers_follow_the_language_and_scripts_still_read_them() -> None:
    from django.template import Context, Template

    with translation.override("de"):
        template = Template("{% load l10n %}{{ rate }} {{ rate|unlocalize }}")
        assert template.render(Context({"rate": 29.97})) == "29,97 29.97"
