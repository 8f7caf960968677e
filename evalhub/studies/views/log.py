"""What people did in a study, or with the site itself: as a page, and as a sheet."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import LogForm
from evalhub.studies.log_lines import as_csv, line_of
from evalhub.studies.models import LogEntry, Study

LINES_ON_A_PAGE = 100
AT_ONCE = 2_000
ADMINISTRATORS = "The site's own log is for its administrators; each study has a log that its owners read."


@login_required
@require_GET
def log(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A study's log, newest first; without a study, what was done with the site."""
    actor = Actor.of(request)
    study, entries = _asked(actor, slug)
    form = LogForm(request.GET, entries=entries)
    page = Paginator(form.narrowed(entries), LINES_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "role": role_in(actor, study) if study else "",
        "active": "log",
        "form": form,
        "page": page,
        "lines": [line_of(entry) for entry in page],
        "is_narrowed": any(form.data.get(name) for name in form.fields),
        "sheet": request.GET.urlencode(),
    }
    return render(request, "studies/log.html", context, status=200 if form.is_valid() else 422)


@login_required
@require_GET
def log_sheet(request: HttpRequest, slug: str = "") -> HttpResponse | StreamingHttpResponse:
    """The same lines, all of them, as CSV."""
    study, entries = _asked(Actor.of(request), slug)
    form = LogForm(request.GET, entries=entries)
    if not form.is_valid():
        sentence = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return HttpResponse(sentence, "text/plain; charset=utf-8", status=422)
    name = f"{study.slug if study else 'site'}-log.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = as_csv(form.narrowed(entries).iterator(AT_ONCE))
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _asked(actor: Actor, slug: str) -> tuple[Study | None, QuerySet[LogEntry]]:
    if slug:
        study = get_study(actor, slug, "manage")
        return study, study.log.select_related("actor")
    if not actor.user.is_superuser:
        raise PermissionDenied(ADMINISTRATORS)
    return None, LogEntry.objects.filter(study=None).select_related("actor")
