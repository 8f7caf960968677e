"""What comes between consent and comparing: the window's size, practice with explanations, and qualification."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from evalhub.problems import Refusal
from raters import services
from raters.models import Enrolment
from raters.services import training, windows
from raters.views.entrance import for_raters


@require_POST
@for_raters
def measure(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """The browser says how large its window is."""
    width, height = (_number(request.POST.get(name)) for name in ("width", "height"))
    try:
        windows.measure(enrolment=enrolment, width=width, height=height)
    except Refusal as refusal:
        context = {"study": enrolment.study, "refusal": refusal.sentence, "rules": services.rules_of(enrolment.study)}
        return render(request, "raters/screen.html", context, status=refusal.status)
    return redirect("rate", enrolment.study.slug)


@require_POST
@for_raters
def go_on(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """She has read the explanation."""
    training.go_on(enrolment=enrolment, token=request.POST.get("comparison", "").replace("\0", ""))
    return redirect("rate", enrolment.study.slug)


@require_POST
@for_raters
def try_again(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """Once more through the qualification."""
    training.try_again(enrolment=enrolment)
    return redirect("rate", enrolment.study.slug)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
