"""The pictures and videos of a rater's desk. Whoever else asks, and for whatever else, the answer is the same."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotFound
from django.views.decorators.http import require_GET

from evalhub.studies.models import User
from raters import access
from raters.models import PresentationCopy
from raters.serving import serve, serve_tile


@require_GET
def shown(request: HttpRequest, token: str, **tile: int) -> HttpResponseBase:
    """One side, or a tile of it, for the rater it was drawn for."""
    return _answer(request, lambda user: access.shown_copy(user, token), tile)


@require_GET
def given(request: HttpRequest, token: str, name: str, **tile: int) -> HttpResponseBase:
    """The source, mask or reference that a comparison's prompt gives, or a tile of it, for that rater."""
    return _answer(request, lambda user: access.given_copy(user, token, name), tile)


def _answer(request: HttpRequest, find: Callable[[User], PresentationCopy], tile: dict[str, int]) -> HttpResponseBase:
    try:
        if not isinstance(request.user, User):
            raise Http404
        copy = find(request.user)
        return serve_tile(copy, **tile) if tile else serve(request, copy)
    except Http404:
        return HttpResponseNotFound("There is nothing here.\n", content_type="text/plain")
