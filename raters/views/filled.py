"""Desks of pairs leased ahead: written once by the template for all that differ in a few words, then filled in.

Rendering one takes as long as all else that leasing a pair does. What the template reads besides those words is what a
form is kept under, whole, so that nothing of a study can change and leave an old form in use. A pair that has more to
show (a source, an answer taken back) is rendered by itself.
"""

import re
import secrets
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils.html import escape
from django.utils.translation import get_language

from raters.models import Enrolment
from raters.templatetags.visits import progress

TEMPLATE = "raters/desk.html"
FORMS_KEPT = 100
LONG = 161  # characters; from so many on the template lets a caption scroll
_MARK = secrets.token_hex(12)  # which no text of a study holds
_SLOT = re.compile(rf"{_MARK}(\w+?)_+")
_DONE = 10**15 + secrets.randbelow(10**15)  # more than anybody has answered
_forms: dict[tuple[Any, ...], list[str]] = {}


def desks(request: HttpRequest, enrolment: Enrolment, pairs: Sequence[dict[str, Any]], done: Sequence[int]) -> str:
    """The desks of these pairs, one after another.

    Args: done: how many she will have answered before each.
    """
    study = enrolment.study
    fixed = (get_language(), get_script_prefix(), _row(study), _visit(request)) if pairs else ()
    csrf = get_token(request) if pairs else ""
    return "".join(
        _filled(request, csrf, fixed, {"study": study, "done": before, "last": "", **pair})
        for pair, before in zip(pairs, done, strict=True)
    )


def _filled(request: HttpRequest, csrf: str, fixed: tuple[Any, ...], context: dict[str, Any]) -> str:
    if context["revision"] > 1 or context["attachments"] or getattr(request, "framed", False):
        return render_to_string(TEMPLATE, context, request)
    comparison, canvas = context["comparison"], context["canvas"]
    text = comparison.prompt.text
    shape = 0 if not text else 1 if len(text) < LONG else 2
    questions = tuple((_row(one["criterion"]), tuple(one["choices"])) for one in context["criteria"])
    key = (*fixed, questions, shape, context["covered"], _row(canvas, "width", "height", "rate", "frames", "policy"))
    form = _forms.get(key)
    if form is None:
        form = _form(request, context, shape)
        if len(_forms) >= FORMS_KEPT:
            _forms.clear()
        _forms[key] = form
    words = {
        "csrf": csrf,
        "token": comparison.token,
        "left": context["left"],
        "right": context["right"],
        "text": escape(text),
        "done": str(progress({"request": request, **context})["done"]),
    }
    return "".join(words[part] if place % 2 else part for place, part in enumerate(form))


def _form(request: HttpRequest, context: dict[str, Any], shape: int) -> list[str]:
    """The desk as the template writes it: at odd places the names of the words that go there."""
    text = ("", _slot("text"), _slot("text").ljust(LONG, "_"))[shape]
    comparison = SimpleNamespace(token=_slot("token"), prompt=SimpleNamespace(text=text))
    general = {"comparison": comparison, "left": _slot("left"), "right": _slot("right"), "done": _DONE}
    html = render_to_string(TEMPLATE, {**context, **general, "csrf_token": _slot("csrf")}, request)
    done = str(progress({"request": request, **context, "done": _DONE})["done"])
    return _SLOT.split(html.replace(done, _slot("done")))


def _slot(name: str) -> str:
    return f"{_MARK}{name}_"


def _row(one: Model, *fields: str) -> str:
    """All that the row says, or those fields of it."""
    names = fields or [field.attname for field in one._meta.concrete_fields]
    return repr([getattr(one, name) for name in names])


def _visit(request: HttpRequest) -> Any:
    visit = getattr(request, "visit", None)
    return visit and visit.recruitment.comparisons
