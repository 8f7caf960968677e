"""Who comes, as any platform says it."""

import re
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.translation import gettext as _

from evalhub.problems import Refusal

# What the platforms' numbers look like. One that begins otherwise could be a formula in somebody's spreadsheet.
NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True)
class Arrival:
    """One coming of one person.

    Attributes:
        participant: the platform's number of the person.
        session: its number of this coming; empty where there is only one.
        study: its number of what it sends people to.
        submit_to: the origin that takes her submission, on Mechanical Turk.
    """

    participant: str
    session: str = ""
    study: str = ""
    submit_to: str = ""


def numbers_in(query: QueryDict, names: tuple[str, ...], platform: str) -> list[str]:
    """What the address carries under these names. Refusal unless each is there once and looks like a number."""
    missing = [name for name in names if not query.get(name)]
    if missing:
        raise Refusal(
            _(
                "This address lacks %(names)s, which %(platform)s adds when it sends you; open the study from "
                "%(platform)s, and tell the researcher if you did."
            )
            % {"names": ", ".join(missing), "platform": platform}
        )
    for name in names:
        given = query.getlist(name)
        if len(given) > 1 or not NUMBER.fullmatch(given[0]):
            raise Refusal(
                _(
                    "%(name)s in this address is not one number as %(platform)s writes it; open the study from "
                    "%(platform)s, and tell the researcher if you did."
                )
                % {"name": name, "platform": platform}
            )
    return [str(query[name]) for name in names]
