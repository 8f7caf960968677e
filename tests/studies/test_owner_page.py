"""docs/owner.md: its list of prompts is one, and its check of a webhook's signature holds."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.models import Event, User, Webhook, WebhookCall
from evalhub.studies.services.webhooks import signed
from tests.blocks import blocks
from tests.submitting import Scene, picture


def test_its_list_of_prompts_is_one(db: None) -> None:
    ada = User.objects.create_user("ada")
    study = services.create_study(slug="edits", name="Edits", actor=ada)
    (sheet,) = blocks("docs/owner.md", "csv")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("prompts.csv", sheet)
        for name, form in (("photos/cat.png", "PNG"), ("masks/cat.png", "PNG"), ("photos/street.jpg", "JPEG")):
            archive.writestr(name, picture(len(name), form=form))
    given = SimpleUploadedFile("prompts.zip", packed.getvalue())
    assert services.add_prompts(study=study, actor=ada, archive=given) == 2
    cat, snow = study.prompts.all()
    assert (cat.text, cat.tags) == ("Make the cat wear a hat, in the same light", ["animal", "indoors"])
    assert cat.mask is not None
    assert snow.source is not None
    assert snow.mask is None


@pytest.fixture
def is_genuine() -> Any:
    (program,) = blocks("docs/owner.md", "python")
    names: dict[str, Any] = {}
    exec(compile(program, "docs/owner.md", "exec"), names)
    return names["is_genuine"]


def test_its_check_of_a_signature_holds(scene: Scene, is_genuine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook.objects.create(study=scene.study, address="https://example.org/hook", events=[Event.STUDY_CLOSED])
    call = WebhookCall.objects.create(webhook=webhook, event=Event.STUDY_CLOSED, payload={"type": "study.closed"})
    body = json.dumps(call.payload).encode()
    headers = signed(call, body)
    assert is_genuine(webhook.secret, headers, body)
    assert not is_genuine(webhook.secret, headers, body + b" ")
    assert not is_genuine("whsec_" + "A" * 44, headers, body)
    assert not is_genuine(webhook.secret, headers | {"webhook-id": "other"}, body)
    late = timezone.now() - timedelta(minutes=6)
    monkeypatch.setattr("evalhub.studies.services.webhooks.timezone.now", lambda: late)
    assert not is_genuine(webhook.secret, signed(call, body), body)
