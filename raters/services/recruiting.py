"""How owners let people in who have no accounts."""

import re
import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Study, User
from raters.models import Platform, Recruitment
from raters.services.resume_codes import ALPHABET

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
GENERATED = 10
CODES = ("completion_code", "screened_out_code", "no_consent_code")


def open_recruitment(
    *,
    study: Study,
    platform: str,
    name: str,
    actor: User,
    comparisons: int | None = None,
    completion_code: str = "",
    screened_out_code: str = "",
    no_consent_code: str = "",
) -> Recruitment:
    """Make a way in. A completion code is made where none is given, but not for an open link, where few want one.

    Raises: Refusal for a name, number or code that does not fit; Conflict when the study has a way in of that name.
    """
    if platform not in Platform.values:
        raise Refusal(f"A way in is one of {', '.join(Platform.values)}; got “{platform}”.")
    if not completion_code and platform != Platform.LINK:
        completion_code = "".join(secrets.choice(ALPHABET) for _ in range(GENERATED))
    recruitment = Recruitment(
        study=study,
        platform=platform,
        name=_fit_name(name),
        token=secrets.token_urlsafe(24),
        comparisons=_fit_number(comparisons),
        created_by=actor,
    )
    _give_codes(recruitment, completion_code, screened_out_code, no_consent_code)
    try:
        with transaction.atomic():
            recruitment.save()
            LogEntry.write(
                study=study, actor=actor, verb="opened recruitment", subject=recruitment.name, platform=platform
            )
    except IntegrityError:
        raise Conflict(f"This study has a way in called “{recruitment.name}” already; choose another name.") from None
    return recruitment


@transaction.atomic
def change_recruitment(
    *,
    recruitment: Recruitment,
    actor: User,
    comparisons: int | None,
    completion_code: str = "",
    screened_out_code: str = "",
    no_consent_code: str = "",
) -> Recruitment:
    """Ask for another number of comparisons, or give the codes that the platform made. Who has left keeps her code.

    Raises: Refusal for a number or code that does not fit.
    """
    locked = Recruitment.objects.select_for_update().get(pk=recruitment.pk)
    before = _as_told(locked)
    locked.comparisons = _fit_number(comparisons)
    _give_codes(locked, completion_code, screened_out_code, no_consent_code)
    locked.save(update_fields=["comparisons", *CODES])
    if (after := _as_told(locked)) != before:
        told = {"before": before, "after": after}
        LogEntry.write(study=locked.study, actor=actor, verb="changed recruitment", subject=locked.name, **told)
    return locked


@transaction.atomic
def close_recruitment(*, recruitment: Recruitment, actor: User) -> None:
    """Let nobody new in. Whoever came before goes on."""
    if Recruitment.objects.taking().filter(pk=recruitment.pk).update(closed_at=timezone.now()):
        LogEntry.write(study=recruitment.study, actor=actor, verb="closed recruitment", subject=recruitment.name)


def _as_told(recruitment: Recruitment) -> dict[str, Any]:
    """For the log."""
    return {name: getattr(recruitment, name) for name in ("comparisons", *CODES)}


def _fit_name(name: str) -> str:
    name, longest = " ".join(name.split()), Recruitment._meta.get_field("name").max_length or 0
    if not 0 < len(name) <= longest:
        raise Refusal(f"The name of a way in has 1 to {longest} characters; got {len(name)}.")
    return name


def _fit_number(comparisons: int | None) -> int | None:
    if comparisons is not None and not 0 < comparisons < 2**31:
        raise Refusal(f"A visit is complete after at least one comparison; got {comparisons}. Empty: after all.")
    return comparisons


def _give_codes(recruitment: Recruitment, *codes: str) -> None:
    given = [code.strip() for code in codes]
    for name, code in zip(CODES, given, strict=True):
        if code and not CODE.fullmatch(code):
            raise Refusal(f"A code is up to 64 letters, digits, hyphens and underscores; got “{code}”.")
        setattr(recruitment, name, code)
    if len(set(filter(None, given))) < len(list(filter(None, given))):
        raise Refusal("Each outcome needs a code of its own, or the platform cannot tell them apart.")
    if recruitment.platform == Platform.PROLIFIC and not recruitment.completion_code:
        raise Refusal(
            "Prolific needs a completion code; copy it from the study's page there, or keep the one made here."
        )
