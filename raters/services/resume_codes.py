"""Codes by which somebody without an account goes on in another browser.

A code is our number of the person, which owners see, and a signature of it, which they do not: it is computed whenever
it is shown, and kept nowhere.
"""

import secrets

from django.utils.crypto import salted_hmac

from raters.models import Platform, Recruitment, Visit

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that are taken for one another
NUMBER = 8
SIGNATURE = 12
GROUP = 4


def new_participant() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(NUMBER))


def resume_code(visit: Visit) -> str:
    """The code of an open link's visitor, for her eyes only; empty for all whom a platform can send again."""
    if visit.recruitment.platform != Platform.LINK:
        return ""
    code = code_of(visit.recruitment, visit.participant)
    return "-".join(code[place : place + GROUP] for place in range(0, len(code), GROUP))


def code_of(recruitment: Recruitment, participant: str) -> str:
    """The person's number and its signature, without hyphens."""
    digest = salted_hmac("raters.resume", f"{recruitment.pk}:{participant}", algorithm="sha256").digest()
    return participant + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:SIGNATURE])


def as_written(code: str) -> str:
    """A code as somebody typed it, without what does not matter."""
    return "".join(sign for sign in code.upper() if sign.isascii() and sign.isalnum())


def participant_in(code: str) -> str:
    return as_written(code)[:NUMBER]
