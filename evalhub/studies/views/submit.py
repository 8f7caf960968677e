"""Submitting outputs from a browser: a folder or a zip, with a script that shows progress or without any."""

import json
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import FilesField, ManyFiles
from evalhub.studies.models import Study, Submission
from evalhub.studies.services import CheckpointFacts


class SubmitForm(forms.Form):
    """A checkpoint, what it costs, and its outputs."""

    name = forms.CharField(max_length=120, label="Checkpoint", help_text="The contestant's name.")
    family = forms.CharField(max_length=120, required=False, help_text="What its training steps have in common.")
    step = forms.IntegerField(min_value=0, required=False, label="Training step")
    latency_p50 = forms.FloatField(min_value=0, required=False, label="Median latency", help_text="Seconds per output.")
    latency_p95 = forms.FloatField(min_value=0, required=False, label="95 % latency", help_text="Seconds per output.")
    price = forms.FloatField(min_value=0, required=False, help_text="US dollars per output.")
    gpu = forms.CharField(max_length=120, required=False, label="GPU")
    dtype = forms.CharField(max_length=32, required=False, label="Number type", help_text="Such as bfloat16.")
    notes = forms.CharField(max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    folder = FilesField(
        required=False,
        label="A folder",
        widget=ManyFiles(attrs={"webkitdirectory": True}),
        help_text="Files named PROMPT.png, or PROMPT/SEED.png, or listed in a manifest.csv with path, prompt and seed.",
    )
    archive = forms.FileField(
        required=False,
        label="or a zip",
        widget=forms.FileInput(attrs={"accept": ".zip,application/zip"}),
        help_text="The same in a zip; without JavaScript the way to send sub-folders.",
    )
    # Where each file of the folder lies, as JSON, from the script; a plain form post does not say.
    paths = forms.JSONField(required=False, widget=forms.HiddenInput)

    def clean_paths(self) -> list[str]:
        paths = self.cleaned_data["paths"] or []
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise forms.ValidationError("The page sent paths that are no list of names; send the form again.")
        return paths

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned.get("folder")) == bool(cleaned.get("archive")):
            raise forms.ValidationError("Choose either a folder with files in it or a zip.")
        return cleaned

    def facts(self) -> CheckpointFacts:
        names = ("name", "family", "step", "latency_p50", "latency_p95", "price", "gpu", "dtype", "notes")
        return CheckpointFacts(**{name: self.cleaned_data[name] for name in names})


@login_required
@require_http_methods(["GET", "POST"])
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "submit")
    form = SubmitForm(request.POST, request.FILES) if request.method == "POST" else SubmitForm()
    context: dict[str, Any] = {"study": study, "role": role_in(actor, study), "active": "submissions", "form": form}
    status = 200
    if request.method == "POST":
        try:
            return redirect("submission", _deliver(form, study, actor).pk)
        except Refusal as refusal:
            context["refusal"], status = refusal.sentence, refusal.status
    return render(request, "studies/submit.html", context, status=status)


@login_required
@require_POST
def submit_layout(request: HttpRequest, slug: str) -> JsonResponse:
    """For the page's script: which of these paths answers which prompt."""
    study = get_study(Actor.of(request), slug, "submit")
    try:
        asked = json.loads(request.body)
        paths, manifest = asked["paths"], str(asked["manifest"])
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise TypeError("paths is a list of strings")
    except (ValueError, KeyError, TypeError) as error:
        return JsonResponse({"detail": f"Expected paths and manifest as JSON ({error})."}, status=400)
    try:
        found = services.lay_out(study=study, paths=paths, read=lambda path: manifest.encode())
    except Refusal as refusal:
        return JsonResponse({"detail": refusal.sentence}, status=refusal.status)
    top = services.wrapping(study=study, paths=paths)
    outputs = [
        {"chosen": top + output.path, "path": output.path, "prompt": output.prompt, "seed": output.seed}
        for output in found.outputs
    ]
    return JsonResponse({"outputs": outputs, "left_out": found.left_out})


def _deliver(form: SubmitForm, study: Study, actor: Actor) -> Submission:
    if not form.is_valid():
        raise Refusal("Nothing was submitted; see what is said beside the fields.")
    archive: UploadedFile | None = form.cleaned_data["archive"]
    facts = form.facts()
    if archive is None:
        files = services.chosen(form.cleaned_data["folder"], form.cleaned_data["paths"])
        return services.deliver(study=study, actor=actor.user, checkpoint=facts, files=files)
    with services.unpacked(archive) as files:
        return services.deliver(study=study, actor=actor.user, checkpoint=facts, files=files)
